"""Pictures of bounds: what is drawn is what was computed."""

import copy
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import hinge_loss, log_loss
from sklearn.svm import LinearSVC

from skpoison import (
    CertifiedBound,
    NormConstrainedSVC,
    SlabFilter,
    SphereFilter,
    bound_curve,
)
from skpoison.inspection import BoundDisplay

matplotlib.use("Agg")
import matplotlib.pyplot as plt

EPSILONS = [0.1, 0.0, 0.3]
ORDER = [1, 0, 2]
COLUMNS = ("upper_bound", "attack_loss", "clean_loss")


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs(400, centers=[[-1.2, 0, 0], [1.2, 0, 0]], random_state=0)
    y = np.array(["ham", "spam"])[y]
    return X[:300], y[:300], X[300:], y[300:]


@pytest.fixture(scope="module")
def curve(data):
    return bound_curve(CertifiedBound(rho=1.0), *data[:2], EPSILONS)


@pytest.fixture(scope="module")
def curves(data):
    return {
        f"defense {percentile}": bound_curve(
            CertifiedBound(SphereFilter(percentile), rho=1.0), *data[:2], EPSILONS
        )
        for percentile in (50, 90)
    }


def legend_texts(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_lines_are_the_curve_in_the_order_of_epsilon(curve):
    display = BoundDisplay.from_curve(curve)
    (lines,) = display.lines_
    assert set(lines) == set(COLUMNS)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(display, name), curve[name])
        np.testing.assert_array_equal(lines[name].get_xdata(), [0.0, 0.1, 0.3])
        np.testing.assert_array_equal(lines[name].get_ydata(), curve[name][ORDER])
    assert display.unfiltered_line_ is None


def test_the_band_lies_between_the_bounds(curve):
    display = BoundDisplay.from_curve(curve, band_kwargs={"alpha": 0.9})
    (band,) = display.bands_
    points = band.get_paths()[0].vertices
    for epsilon, lower, upper in zip(
        curve.epsilon, curve.lower_bound, curve.upper_bound, strict=True
    ):
        at = points[points[:, 0] == epsilon, 1]
        assert (at.min(), at.max()) == (lower, upper)
    assert band.get_alpha() == 0.9


def test_labels_and_legend(curve, data):
    X_test, y_test = data[2:]
    display = BoundDisplay.from_curve(curve, X_test=X_test, y_test=y_test, name="mine")
    assert display.ax_.get_xlabel() == "Poison rows per clean row, ε"
    assert display.ax_.get_ylabel() == "Hinge loss"
    assert legend_texts(display) == [
        "mine",
        "upper bound",
        "attack, training",
        "attack, test",
        "clean rows' loss",
    ]
    assert display.ax_.get_ylim()[0] == 0.0


def test_test_loss_is_that_of_the_poisoned_learners(curve, data):
    X_test, y_test = data[2:]
    estimators = [copy.copy(bound) for bound in curve.estimators]
    for bound, factor in zip(estimators, (2.0, 3.0, 5.0), strict=True):
        # Close to the certified parameters otherwise, where nothing can go wrong.
        bound.poisoned_coef_ = factor * bound.poisoned_coef_
        bound.poisoned_intercept_ = factor + bound.poisoned_intercept_
    changed = curve | {"estimators": estimators}
    display = BoundDisplay.from_curve(changed, X_test=X_test, y_test=y_test)
    expected = [
        hinge_loss(y_test, X_test @ b.poisoned_coef_[0] + b.poisoned_intercept_)
        for b in estimators
    ]
    np.testing.assert_allclose(display.test_loss, expected)
    drawn = display.lines_[0]["test_loss"].get_ydata()
    np.testing.assert_allclose(drawn, np.array(expected)[ORDER])


def test_several_curves_differ_in_colour_and_in_marker(curves):
    display = BoundDisplay.from_curve(curves)
    assert display.name == list(curves)
    assert legend_texts(display)[:2] == list(curves)
    for lines, curve in zip(display.lines_, curves.values(), strict=True):
        for name in COLUMNS:
            np.testing.assert_array_equal(lines[name].get_ydata(), curve[name][ORDER])
        assert len({to_rgb(line.get_color()) for line in lines.values()}) == 1
        assert len({line.get_linestyle() for line in lines.values()}) == len(lines)
    attacks = [lines["attack_loss"] for lines in display.lines_]
    assert len({line.get_color() for line in attacks}) == 2
    assert len({line.get_marker() for line in attacks}) == 2
    names = display.ax_.get_legend().legend_handles[:2]
    for handle, line in zip(names, attacks, strict=True):
        assert handle.get_color() == line.get_color()
        assert handle.get_marker() == line.get_marker()


def test_from_estimator_draws_what_bound_curve_computes(data, curve):
    bound = CertifiedBound(rho=1.0)
    display = BoundDisplay.from_estimator(bound, *data[:2], epsilons=EPSILONS)
    for name in ("epsilon", "lower_bound", *COLUMNS):
        np.testing.assert_array_equal(getattr(display, name), curve[name])
    assert display.name is None
    assert not hasattr(bound, "upper_bound_")


def sphere_and_slab(percentile):
    return SphereFilter(percentile) & SlabFilter(percentile)


@pytest.mark.parametrize(
    "given, expected",
    [
        (None, sphere_and_slab),
        (SphereFilter(60) & SlabFilter(95), sphere_and_slab),
        (SphereFilter(60), SphereFilter),
    ],
)
def test_percentiles_are_given_to_every_part_of_the_filter(data, given, expected):
    X, y = data[:2]
    before = None if given is None else given.get_params()
    display = BoundDisplay.from_estimator(
        CertifiedBound(given, rho=1.0), X, y, epsilons=[0.2], percentiles=[90, 50]
    )
    assert display.name == ["percentile 50", "percentile 90"]
    for values, percentile in zip(display.upper_bound, (50, 90), strict=True):
        fitted = CertifiedBound(expected(percentile), epsilon=0.2, rho=1.0).fit(X, y)
        assert values == pytest.approx(fitted.upper_bound_)
    assert given is None or given.get_params() == before


def test_costs_without_attack_are_those_of_linear_svc(data):
    X, y = data[:2]
    bound = CertifiedBound(SphereFilter(50), C=0.02, tol=1e-8)
    display = BoundDisplay.from_estimator(bound, X, y, epsilons=[0.1])
    kept = SphereFilter(50).fit(X, y).inlier_mask_
    svc = LinearSVC(C=0.02, loss="hinge", tol=1e-10, max_iter=1_000_000)
    losses = [
        hinge_loss(y, svc.fit(X[rows], y[rows]).decision_function(X))
        for rows in (kept, np.ones(len(y), dtype=bool))
    ]
    assert losses[0] > losses[1] + 1e-3
    drawn = [display.filtered_loss, display.unfiltered_loss]
    np.testing.assert_allclose(drawn, losses, atol=2e-5)
    assert display.lines_[0]["filtered_loss"].get_xydata().tolist() == [[0, drawn[0]]]
    assert set(display.unfiltered_line_.get_ydata()) == {drawn[1]}
    assert legend_texts(display)[-2:] == ["filter, no attack", "no filter, no attack"]
    assert display.ax_.get_ylabel() == "Hinge loss (of bounds: + penalty)"


def test_losses_are_those_of_the_learner_that_is_bounded(data):
    X, y, X_test, y_test = data
    kept = SphereFilter(50).fit(X, y).inlier_mask_
    logistic = LogisticRegression(C=0.1, tol=1e-9)
    bound = CertifiedBound(SphereFilter(50), estimator=logistic, tol=1e-8)
    tests = {"X_test": X_test, "y_test": y_test}
    display = BoundDisplay.from_estimator(bound, X, y, epsilons=[0.0], **tests)
    assert display.ax_.get_ylabel() == "Logistic loss (of bounds: + penalty)"
    filtered, alone = clone(logistic).fit(X[kept], y[kept]), clone(logistic).fit(X, y)
    expected = {
        "filtered_loss": log_loss(y, filtered.predict_proba(X)),
        "unfiltered_loss": log_loss(y, alone.predict_proba(X)),
        "test_loss": log_loss(y_test, alone.predict_proba(X_test)),
    }
    for name, value in expected.items():
        assert getattr(display, name) == pytest.approx(value, abs=1e-5)


def test_losses_of_several_learners_have_no_name_in_common(data):
    learners = [LogisticRegression(), NormConstrainedSVC(1.0), LinearSVC()]
    curves = {
        type(one).__name__: bound_curve(
            CertifiedBound(SphereFilter(90), estimator=one), *data[:2], [0.1]
        )
        for one in learners
    }
    assert BoundDisplay.from_curve(curves).loss_name == "Loss (of bounds: + penalty)"
    ball = curves["NormConstrainedSVC"]
    assert BoundDisplay.from_curve(ball).loss_name == "Hinge loss"


def test_without_poison_the_bound_is_the_loss_without_filter(data):
    bound = CertifiedBound(rho=1.0, tol=1e-6)
    display = BoundDisplay.from_estimator(bound, *data[:2], epsilons=[0.0, 0.2])
    assert display.unfiltered_loss == pytest.approx(display.upper_bound[0], rel=1e-5)


def test_quantities_can_be_left_out(curve, data):
    display = BoundDisplay.from_curve(curve, X_test=data[2], y_test=data[3])
    display.filtered_loss, display.unfiltered_loss = 0.2, 0.1
    assert set(display.plot(plot_attack=False).lines_[0]) == {
        "upper_bound",
        "clean_loss",
        "filtered_loss",
    }
    assert set(display.plot(plot_clean=False).lines_[0]) == {
        "upper_bound",
        "attack_loss",
        "test_loss",
    }
    assert display.unfiltered_line_ is None


def test_axes_and_styles_of_the_caller_are_used(curves):
    _, ax = plt.subplots()
    display = BoundDisplay.from_curve(curves, ax=ax, curve_kwargs={"lw": 5})
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert len(plt.get_fignums()) == 1
    assert display.lines_[1]["clean_loss"].get_linewidth() == 5
    display.plot(curve_kwargs=[{"c": "red"}, {}], name=["a", "b"])
    assert display.ax_ is not ax
    assert display.lines_[0]["upper_bound"].get_color() == "red"
    assert legend_texts(display)[:2] == ["a", "b"]
    assert display.name == list(curves)


@pytest.mark.parametrize("size", [(3.5, 2.6), (6.4, 4.8)])
def test_the_legend_fits_above_the_curves(curves, curve, data, size):
    for drawn in (curve, curves):
        figure, ax = plt.subplots(figsize=size, layout="constrained")
        display = BoundDisplay.from_curve(drawn, X_test=data[2], y_test=data[3])
        display.filtered_loss = [0.3] * len(display.lines_)
        display.unfiltered_loss = 0.2
        display.plot(ax)
        figure.canvas.draw()
        inside = ax.get_window_extent()
        legend = ax.get_legend().get_window_extent()
        assert inside.x0 <= legend.x0
        assert legend.x1 <= inside.x1
        highest = max(np.max(values) for values in display.upper_bound)
        assert ax.transData.transform((0, highest))[1] < legend.y0


def test_drawing_twice_on_the_same_axes_keeps_both(curve):
    display = BoundDisplay.from_curve(curve)
    ax, top = display.ax_, display.ax_.get_ylim()[1]
    display.plot(ax)
    assert ax.get_ylim()[1] == pytest.approx(top)
    assert len(ax.lines) == 6


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"X_test": np.ones((2, 3))}, "X_test was given without y_test"),
        ({"y_test": ["ham"]}, "y_test was given without X_test"),
        ({"X_test": np.ones((2, 3)), "y_test": ["ham"]}, "inconsistent numbers"),
        ({"X_test": np.ones((1, 3)), "y_test": ["eggs"]}, r"\['eggs'\]"),
        ({"name": ["a", "b"]}, "name must have an entry for each of the 1 curves"),
        ({"curve_kwargs": [{}, {}]}, "curve_kwargs must have an entry"),
    ],
)
def test_what_does_not_fit_the_curve_is_refused(curve, wrong, message):
    with pytest.raises(ValueError, match=message):
        BoundDisplay.from_curve(curve, **wrong)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("wrong", [{}, {"a": 3}, {"a": {"epsilon": [0.1]}}])
def test_what_is_no_curve_is_refused(wrong):
    with pytest.raises(TypeError, match="a result of bound_curve"):
        BoundDisplay.from_curve(wrong)


def test_filters_without_percentile_cannot_vary_it(data):
    X, y = data[:2]
    frozen = FrozenEstimator(SphereFilter().fit(X, y))
    with pytest.raises(ValueError, match="has none to set"):
        BoundDisplay.from_estimator(
            CertifiedBound(frozen, rho=1.0), X, y, percentiles=[50]
        )
    with pytest.raises(ValueError, match="percentiles must not be empty"):
        BoundDisplay.from_estimator(CertifiedBound(rho=1.0), X, y, percentiles=[])


def test_one_class_and_shares_beyond_one_are_refused(data):
    X, y = data[:2]
    with pytest.raises(ValueError, match="two classes"):
        BoundDisplay.from_estimator(CertifiedBound(), X, np.zeros(len(X)))
    with pytest.raises(ValueError, match="between 0 and 1"):
        BoundDisplay.from_estimator(CertifiedBound(), X, y, epsilons=[2.0])
    with pytest.raises(TypeError, match="must be a CertifiedBound"):
        BoundDisplay.from_estimator(LinearSVC(), X, y)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"upper_bound": np.ones(4)}, r"upper_bound .*\(3,\).* \(4,\)"),
        ({"upper_bound": [np.ones(3)] * 2}, "upper_bound must have an entry"),
        ({"epsilon": np.ones((3, 2))}, r"epsilon .*\(n_epsilons,\)"),
        ({"filtered_loss": np.ones(3)}, "filtered_loss of a curve"),
    ],
)
def test_arrays_given_to_the_constructor_must_fit(wrong, message):
    arrays = {name: np.ones(3) for name in ("epsilon", "upper_bound", "lower_bound")}
    assert BoundDisplay(**arrays).plot().lines_
    with pytest.raises(ValueError, match=message):
        BoundDisplay(**(arrays | wrong)).plot()


def test_matplotlib_missing_is_an_error_that_says_so(curve, data, monkeypatch):
    display = BoundDisplay.from_curve(curve)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="from_estimator requires matplotlib"):
        BoundDisplay.from_estimator(CertifiedBound(), *data[:2])
    with pytest.raises(ImportError, match="from_curve requires matplotlib"):
        BoundDisplay.from_curve(curve)
    with pytest.raises(ImportError, match=r"BoundDisplay\.plot requires matplotlib"):
        display.plot()


def test_mnist_looks_as_in_the_paper(data_folder):
    """Figure 2(b): a rise to 0.063 until 0.05, flat beyond; the attack right below."""
    with np.load(data_folder / "mnist_17.npz") as data:
        X, y = data["X_train"] / 255.0, data["y_train"]
        X_test, y_test = data["X_test"] / 255.0, data["y_test"]
    bound = CertifiedBound(rho=0.8**0.5, tol=1e-4, random_state=0)
    display = BoundDisplay.from_estimator(
        bound,
        X,
        y,
        epsilons=[0, 0.01, 0.02, 0.05, 0.1, 0.3],
        X_test=X_test,
        y_test=y_test,
    )
    (lines,) = display.lines_
    drawn = {name: line.get_ydata() for name, line in lines.items()}
    upper = drawn["upper_bound"]
    np.testing.assert_allclose(
        upper, [0.0288, 0.04966, 0.05895, 0.06289, 0.06288, 0.06288], atol=5e-5
    )
    assert np.all(drawn["attack_loss"] <= upper)
    assert np.all(drawn["attack_loss"] >= 0.999 * upper)
    np.testing.assert_allclose(drawn["test_loss"][3:], 0.068, atol=0.003)
