"""What CertifiedBound promises, whatever the data."""

import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracles import KINDS, conic_penalised_loss, labelled_rows, training_loss
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skpoison import (
    CertifiedBound,
    NormConstrainedSVC,
    SlabFilter,
    SphereFilter,
    bound_curve,
)

LEARNERS = [{"rho": 0.5}, {"rho": 5.0}, {"C": 0.1}, {"C": 10.0}]

problems = st.tuples(
    st.integers(0, 10_000),
    st.sampled_from(KINDS),
    st.sampled_from([0.0, 0.3, 3.0]),
    st.sampled_from([0.05, 0.2, 1.0]),
    st.sampled_from(LEARNERS),
    st.sampled_from([40.0, 70.0, 100.0]),
)


def fitted_bound(seed, kind, gap, epsilon, learner, percentile):
    X, y = labelled_rows(seed, kind, gap=gap, n_rows=30, n_features=4)
    filter_ = SphereFilter(percentile=percentile) & SlabFilter(percentile=percentile)
    with warnings.catch_warnings():
        # At low percentiles an intersection may leave one row of a class.
        warnings.simplefilter("ignore", UserWarning)
        bound = CertifiedBound(filter_, epsilon, random_state=0, **learner)
        return X, y, bound.fit(X, y)


def retrained_loss(X, y, X_poison, y_poison, learner):
    """Train the learner anew; its own objective, counted per clean row."""
    rows, labels = np.vstack([X, X_poison]), np.append(y, y_poison)
    signs = 2.0 * labels - 1.0
    if "C" in learner:
        return conic_penalised_loss(rows, signs, n_clean=len(X), C=learner["C"])
    svc = NormConstrainedSVC(learner["rho"], tol=1e-6).fit(rows, labels)
    return training_loss(rows, signs, svc.coef_[0], svc.intercept_[0], n_clean=len(X))


def _penalised(X, y, C):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        svc = LinearSVC(loss="hinge", C=C, tol=1e-8, max_iter=5000, random_state=0)
        return svc.fit(X, y)


def random_attack(rng, bound, n_poison):
    """Whole rows that pass the filter: random points pushed to the sets' boundary."""
    feasible, classes = bound.filter_.feasible_set(), bound.classes_
    rows, labels = [], []
    favourite = rng.integers(0, 2)
    for _ in range(n_poison):
        label = classes[favourite if rng.random() < 0.7 else 1 - favourite]
        towards = rng.normal(size=bound.n_features_in_)
        if rng.random() < 0.5:  # against the certified parameters, roughly
            sign = 1.0 if label == classes[1] else -1.0
            towards = 0.3 * towards - sign * bound.coef_[0]
        rows.append(feasible[label].support(towards)[1])
        labels.append(label)
    return np.array(rows).reshape(n_poison, -1), np.array(labels)


@settings(max_examples=60, deadline=None)
@given(problem=problems, draw=st.integers(0, 100))
def test_no_attack_exceeds_the_upper_bound(problem, draw):
    X, y, bound = fitted_bound(*problem)
    epsilon, learner = problem[3], problem[4]
    n_poison = int(np.floor(epsilon * len(X) + 1e-9))
    rng = np.random.default_rng(draw)
    for _ in range(3):
        X_poison, y_poison = random_attack(rng, bound, n_poison)
        loss = retrained_loss(X, y, X_poison, y_poison.astype(int), learner)
        assert loss <= bound.upper_bound_ * (1 + 2e-6) + 1e-8


@settings(max_examples=40, deadline=None)
@given(problem=problems)
def test_a_refined_attack_does_not_exceed_the_upper_bound(problem):
    """Best responses against the retrained learner, repeated: a greedy ascent."""
    X, y, bound = fitted_bound(*problem)
    epsilon, learner = problem[3], problem[4]
    n_poison = int(np.floor(epsilon * len(X) + 1e-9))
    feasible = bound.filter_.feasible_set()
    X_poison, y_poison = random_attack(np.random.default_rng(0), bound, n_poison)
    for step in range(n_poison):
        rows, labels = np.vstack([X, X_poison]), np.append(y, y_poison).astype(int)
        if "rho" in learner:
            svc = NormConstrainedSVC(learner["rho"], tol=1e-4).fit(rows, labels)
        else:
            svc = _penalised(rows, labels, learner["C"])
        loss = training_loss(
            rows,
            2.0 * labels - 1.0,
            svc.coef_[0],
            svc.intercept_[0],
            n_clean=len(X),
            C=learner.get("C"),
        )
        if "C" in learner and loss > bound.upper_bound_:
            # The trained classifier may be short of its optimum: ask an exact solver.
            signs = 2.0 * labels - 1.0
            loss = conic_penalised_loss(rows, signs, n_clean=len(X), C=learner["C"])
        assert loss <= bound.upper_bound_ * (1 + 2e-4) + 1e-7
        label = bound.classes_[step % 2]
        sign = 2.0 * label - 1.0
        X_poison[step] = feasible[label].support(-sign * svc.coef_[0])[1]
        y_poison[step] = label


@settings(max_examples=60, deadline=None)
@given(problem=problems)
@example((244, "gaussian", 3.0, 0.2, {"C": 0.1}, 100.0))  # of a training without starts
def test_the_attack_is_whole_passes_the_filter_and_does_what_is_said(problem):
    X, y, bound = fitted_bound(*problem)
    epsilon, learner, attack = problem[3], problem[4], bound.attack_
    assert attack.n_copies.sum() <= np.floor(epsilon * len(X) + 1e-9)
    assert len(attack.n_copies) <= 2
    assert (attack.n_copies > 0).all()
    if len(attack.n_copies):
        assert (bound.filter_.predict(attack.X, attack.y) == 1).all()
    assert 0 <= attack.rounding_slack <= bound.lower_bound_
    floor = bound.lower_bound_ - attack.rounding_slack
    assert floor - 1e-9 <= bound.attack_loss_ <= bound.upper_bound_ + 1e-9
    X_poison = attack.X.repeat(attack.n_copies, axis=0)
    y_poison = attack.y.repeat(attack.n_copies)
    rows, labels = np.vstack([X, X_poison]), np.append(y, y_poison)
    told = training_loss(
        rows,
        2.0 * labels - 1.0,
        bound.poisoned_coef_[0],
        bound.poisoned_intercept_[0],
        n_clean=len(X),
        C=learner.get("C"),
    )
    assert bound.attack_loss_ == pytest.approx(told, abs=1e-12)
    best = retrained_loss(X, y, X_poison, y_poison, learner)
    assert bound.attack_loss_ <= best + 2e-3 * max(bound.upper_bound_, 1e-3)


@settings(max_examples=40, deadline=None)
@given(problem=problems)
@example((101, "whole numbers", 3.0, 0.05, {"rho": 5.0}, 40.0))  # large products
def test_reported_numbers_follow_from_parameters_and_points(problem):
    X, y, bound = fitted_bound(*problem)
    epsilon, learner = problem[3], problem[4]
    w, b, signs = bound.coef_[0], bound.intercept_[0], 2.0 * y - 1.0
    feasible = bound.filter_.feasible_set()
    worst = max(
        [0.0]
        + [
            1 - s * b + feasible[label].support(-s * w)[0]
            for s, label in zip((-1, 1), bound.classes_, strict=True)
        ]
    )
    clean = np.maximum(0, 1 - signs * (X @ w + b)).mean()
    penalty = 0.0
    if "C" in learner:
        penalty = (w @ w + b * b) / (2 * learner["C"] * len(X))
    else:
        assert np.hypot(np.linalg.norm(w), b) <= learner["rho"] * (1 + 1e-12)
    assert bound.clean_loss_ == pytest.approx(clean, abs=1e-12)
    assert bound.poison_loss_ == pytest.approx(worst, abs=1e-12)
    total = clean + epsilon * worst + penalty
    # The margin for rounding grows with the sizes of the products.
    sizes = np.linalg.norm(w) * np.linalg.norm(X, axis=1).max() + abs(b)
    assert total <= bound.upper_bound_ <= total + 1e-13 * (1.0 + sizes + penalty)
    assert bound.dual_gap_ == bound.upper_bound_ - bound.lower_bound_
    assert bound.dual_gap_ <= 1e-3 * max(bound.upper_bound_, 1e-3) + 1e-12


def test_the_bound_grows_with_epsilon_and_with_the_percentile():
    X, y = labelled_rows(0, n_rows=100, gap=0.5)
    curve = bound_curve(
        CertifiedBound(rho=1.0, tol=1e-5), X, y, [0.3, 0.0, 0.01, 0.1, 1.0]
    )
    assert (np.diff(curve.upper_bound[np.argsort(curve.epsilon)]) > -1e-5).all()
    by_percentile = [
        CertifiedBound(SphereFilter(percentile=p), 0.1, rho=1.0, tol=1e-5).fit(X, y)
        for p in (30, 60, 90, 100)
    ]
    uppers = [bound.upper_bound_ for bound in by_percentile]
    assert (np.diff(uppers) > -1e-5).all()


@pytest.mark.parametrize("learner", [{"rho": 1.0}, {"C": 1.0}], ids=str)
def test_a_curve_holds_what_separate_fits_give(learner):
    X, y = labelled_rows(1, n_rows=80)
    epsilons = [0.2, 0.05, 0.5]
    curve = bound_curve(CertifiedBound(tol=1e-6, **learner), X, y, epsilons)
    assert curve.epsilon.tolist() == epsilons
    for epsilon, upper, bound in zip(
        epsilons, curve.upper_bound, curve.estimators, strict=True
    ):
        alone = CertifiedBound(epsilon=epsilon, tol=1e-6, **learner).fit(X, y)
        assert bound.epsilon == epsilon
        assert upper == bound.upper_bound_
        assert upper == pytest.approx(alone.upper_bound_, rel=2e-6)


def test_curve_refuses_what_it_cannot_walk():
    X, y = labelled_rows(0)
    with pytest.raises(ValueError, match=r"epsilons must lie between 0 and 1.*1\.5"):
        bound_curve(CertifiedBound(), X, y, [0.1, 1.5])
    with pytest.raises(ValueError, match="array of at least one value"):
        bound_curve(CertifiedBound(), X, y, [])
    with pytest.raises(TypeError, match="must be a CertifiedBound, got LinearSVC"):
        bound_curve(LinearSVC(), X, y, [0.1])


def test_stopping_early_warns_and_leaves_valid_bounds():
    X, y = labelled_rows(2, n_rows=200, gap=0.3)
    exact = CertifiedBound(epsilon=0.1, rho=2.0, tol=1e-7).fit(X, y)
    for steps in (1, 2, 4):
        with pytest.warns(ConvergenceWarning, match="tol=1e-07 requires"):
            short = CertifiedBound(epsilon=0.1, rho=2.0, tol=1e-7, max_iter=steps)
            short.fit(X, y)
        assert short.n_iter_ <= steps
        assert short.lower_bound_ <= exact.upper_bound_
        assert short.upper_bound_ >= exact.lower_bound_
        assert short.attack_loss_ <= short.upper_bound_


def test_labels_may_be_any_two_values_and_order_does_not_matter():
    X, y = labelled_rows(3, n_rows=60)
    numbers = CertifiedBound(epsilon=0.1, tol=1e-6).fit(X, y)
    words = CertifiedBound(epsilon=0.1, tol=1e-6).fit(X, np.array(["ham", "spam"])[y])
    turned = CertifiedBound(epsilon=0.1, tol=1e-6).fit(X, 1 - y)
    assert words.classes_.tolist() == ["ham", "spam"]
    assert words.upper_bound_ == numbers.upper_bound_
    assert turned.upper_bound_ == pytest.approx(numbers.upper_bound_, rel=2e-6)
    assert set(words.attack_.y) <= {"ham", "spam"}
    np.testing.assert_array_equal(
        words.predict(X), np.array(["ham", "spam"])[numbers.predict(X)]
    )


def test_fixed_centroids_and_radii_are_the_fixed_defense():
    X, y = labelled_rows(4, n_rows=80)
    centroids, radii = np.array([[-1.0] * 5, [1.0] * 5]), [4.0, 5.0]
    fixed = SphereFilter(centroids=centroids, radii=radii)
    bound = CertifiedBound(fixed, 0.1, rho=1.0).fit(X, y)
    np.testing.assert_array_equal(bound.filter_.radii_, radii)
    frozen = FrozenEstimator(SphereFilter(centroids=centroids, radii=radii).fit(X, y))
    again = CertifiedBound(frozen, 0.1, rho=1.0).fit(X[:40], y[:40])
    np.testing.assert_array_equal(again.filter_.radii_, radii)


def test_default_filter_is_sphere_and_slab_at_70():
    X, y = labelled_rows(4)
    plain = CertifiedBound(epsilon=0.1).fit(X, y)
    both = CertifiedBound(SphereFilter(percentile=70) & SlabFilter(percentile=70), 0.1)
    assert plain.upper_bound_ == both.fit(X, y).upper_bound_
    named = CertifiedBound(epsilon=0.1, C=1.0).fit(X, y)
    assert plain.upper_bound_ == named.upper_bound_


def test_it_ends_a_pipeline_and_can_be_searched():
    X, y = labelled_rows(5, n_rows=80)
    pipeline = make_pipeline(
        StandardScaler(), CertifiedBound(SphereFilter() & SlabFilter(), 0.1, rho=1.0)
    )
    grid = {"certifiedbound__filter__spherefilter__percentile": [50, 90]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    assert search.best_score_ > 0.7
    assert search.predict(X).shape == y.shape


def test_the_default_random_state_does_not_touch_the_result():
    X, y = labelled_rows(6, n_rows=5000, gap=0.4)
    first, second = (
        CertifiedBound(epsilon=0.1, rho=1.0, tol=1e-6, random_state=seed).fit(X, y)
        for seed in (0, 1)
    )
    assert first.upper_bound_ == pytest.approx(second.upper_bound_, rel=2e-6)


def test_fit_does_not_change_what_it_is_given():
    X, y = labelled_rows(7)
    kept = X.copy(), y.copy()
    X.flags.writeable = y.flags.writeable = False
    bound = CertifiedBound(SphereFilter(), 0.1).fit(X, y)
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(y, kept[1])
    assert not hasattr(bound.filter, "radii_")


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        (dict(epsilon=-0.1), r"'epsilon' parameter.*\[0\.?0?, 1\.?0?\]. Got -0.1"),
        (dict(epsilon=1.5), "'epsilon' parameter.*Got 1.5"),
        (dict(rho=0.0), "'rho' parameter.*Got 0.0"),
        (dict(rho=-1.0), "'rho' parameter.*Got -1.0"),
        (dict(C=0.0), "'C' parameter.*Got 0.0"),
        (dict(tol=0.0), "'tol' parameter"),
        (dict(max_iter=0), "'max_iter' parameter"),
        (dict(filter="sphere"), "'filter' parameter"),
        (dict(rho=1.0, C=1.0), r"Set only one of rho, C and .*'rho': 1\.0, 'C': 1\.0"),
        (
            dict(rho=1.0, estimator=LinearSVC()),
            "one of rho, C and estimator.*LinearSVC",
        ),
        (dict(estimator=LinearSVC), "LinearSVC'> is a class. Give an estimator"),
        (dict(estimator="svm"), "'estimator' parameter"),
        (dict(filter=SlabFilter()), "leaves the attacker unbounded"),
        (dict(filter=SphereFilter(percentile=0)), "'percentile' parameter"),
    ],
    ids=str,
)
def test_bad_parameters_are_named(parameters, says):
    X, y = labelled_rows(0)
    with pytest.raises(ValueError, match=says):
        CertifiedBound(**parameters).fit(X, y)


@pytest.mark.parametrize("estimator", [CertifiedBound(), NormConstrainedSVC()], ids=str)
def test_bad_data_is_refused_at_once(estimator):
    X, y = labelled_rows(0)
    name = type(estimator).__name__
    with pytest.raises(ValueError, match=f"{name} requires rows of two classes"):
        estimator.fit(X, np.zeros(len(y)))
    several = clone(estimator)
    if isinstance(estimator, CertifiedBound):
        several.set_params(rho=1.0)
    with pytest.raises(ValueError, match="Only binary classification is supported"):
        several.fit(X, np.arange(len(y)) % 3)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        estimator.fit(X, y[:-1])
    for bad in (np.nan, np.inf):
        spoilt = X.copy()
        spoilt[3, 1] = bad
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            estimator.fit(spoilt, y)
    with pytest.raises(NotFittedError):
        type(estimator)().predict(X)


def test_degenerate_classes_have_sensible_answers():
    X, y = labelled_rows(8, n_rows=30)
    y[:] = 0
    y[4] = 1  # a class with a single row: its radius is zero
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        bound = CertifiedBound(epsilon=0.1, rho=1.0).fit(X, y)
    assert bound.lower_bound_ <= bound.attack_loss_ <= bound.upper_bound_
    constant = np.hstack([X, np.ones((30, 1))])
    found = CertifiedBound(SphereFilter(), 0.1).fit(constant, np.arange(30) % 2)
    assert np.isfinite(found.upper_bound_)


def test_identical_centroids_leave_the_slab_without_direction():
    X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    with pytest.raises(ValueError, match="direction of the slab is undefined"):
        CertifiedBound().fit(X, [0, 0, 1, 1])
    bound = CertifiedBound(SphereFilter(), 0.5, rho=1.0).fit(X, [0, 0, 1, 1])
    # Nothing can be learned, and any row may come: the loss of theta = 0.
    assert bound.upper_bound_ == pytest.approx(1.5, rel=1e-3)


def test_an_empty_feasible_set_is_an_error():
    X, y = labelled_rows(0)
    far = np.array([[100.0] * 5, [-100.0] * 5])
    filter_ = SphereFilter(radii=[0.5, 0.5]) & SlabFilter(
        centroids=far, radii=[0.1, 0.1]
    )
    with (
        warnings.catch_warnings(),
        pytest.raises(ValueError, match="feasible set is empty"),
    ):
        warnings.simplefilter("ignore", UserWarning)
        CertifiedBound(filter_, 0.1).fit(X, y)


def test_weights_of_the_classifier_are_checked():
    X, y = labelled_rows(0)
    with pytest.raises(ValueError, match="at least one non-zero"):
        NormConstrainedSVC().fit(X, y, sample_weight=np.zeros(len(y)))
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        NormConstrainedSVC().fit(X, y, sample_weight=-np.ones(len(y)))


@pytest.mark.parametrize("size", [1e308, 5e-324])
def test_the_size_of_weights_does_not_matter(size):
    X, y = labelled_rows(0)
    plain = NormConstrainedSVC(tol=1e-8).fit(X, y)
    weighted = NormConstrainedSVC(tol=1e-8).fit(X, y, np.full(len(y), size))
    assert weighted.loss_ == pytest.approx(plain.loss_, rel=1e-12)
    assert np.allclose(weighted.coef_, plain.coef_)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_weights_are_finite(value):
    X, y = labelled_rows(0)
    weights = np.ones(len(y))
    weights[3] = value
    with pytest.raises(ValueError, match="sample_weight"):
        NormConstrainedSVC().fit(X, y, weights)


@pytest.mark.parametrize("size", [1e77, 1e150, 1e300])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("estimator", [CertifiedBound(), NormConstrainedSVC()])
def test_values_that_cannot_be_squared_twice_are_refused(estimator, container, size):
    X, y = labelled_rows(0)
    X[0, 0] = -size
    with pytest.raises(ValueError, match=r"values of X up to 1.2e\+77; got"):
        estimator.fit(container(2.0 * X), y)


@pytest.mark.parametrize("defense", ["fixed", "moving_centroids"])
@pytest.mark.parametrize("learner", [{"rho": 1.0}, {"C": 0.5}])
def test_the_learner_is_trained_without_poison_and_without_the_filter(learner, defense):
    X, y = labelled_rows(0, "gaussian", gap=1.0, n_rows=40, n_features=3)
    bound = CertifiedBound(epsilon=0.1, tol=0.3, defense=defense, **learner).fit(X, y)
    bound.set_params(tol=1e-6, max_iter=1, domain="nonnegative")
    trained = bound.train_learner(X[::2], y[::2])
    assert trained.epsilon == 0
    assert trained.converged_
    wanted = retrained_loss(X[::2], y[::2], X[:0], y[:0], learner)
    assert trained.upper_bound_ == pytest.approx(wanted, rel=1e-4)
    # What the filter keeps is not measured again.
    np.testing.assert_array_equal(
        trained.filter_.decision_function(X, y), bound.filter_.decision_function(X, y)
    )
    with pytest.raises(NotFittedError):
        CertifiedBound().train_learner(X, y)


def test_convergence_is_told_as_it_is_warned_of():
    X, y = labelled_rows(1, "gaussian", gap=0.3, n_rows=60, n_features=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        assert CertifiedBound(epsilon=0.1, rho=1.0).fit(X, y).converged_ is True
    with pytest.warns(ConvergenceWarning):
        short = CertifiedBound(epsilon=0.1, rho=1.0, max_iter=1, tol=1e-9).fit(X, y)
    assert short.converged_ is False
    with pytest.warns(ConvergenceWarning):
        curve = bound_curve(short, X, y, [0.1, 0.0])
    assert curve.converged.tolist() == [one.converged_ for one in curve.estimators]
    assert not curve.converged.all()
