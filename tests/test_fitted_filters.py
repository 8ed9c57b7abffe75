"""Fitted filters are asked about their own labels and features, and no others."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris, make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from skpoison import CertifiedBound, FilterIntersection, SphereFilter, bound_curve
from skpoison._labels import find_labels
from skpoison.attacks import GradientAttack, KKTAttack, LabelFlipAttack, MinMaxAttack
from skpoison.evaluation import evaluate_attack, held_out_loss
from skpoison.feasible import Domain, FeasibleSet, SphereSlab
from skpoison.inspection import BoundDisplay, FilterDisplay

FACING = [
    CertifiedBound(epsilon=0.1),
    CertifiedBound(epsilon=0.1, defense="moving_centroids", tol=0.2),
    CertifiedBound(epsilon=0.1, domain=Domain(lower=-99.0)),
    MinMaxAttack(0.1),
    MinMaxAttack(0.1, domain=Domain(lower={"a": -99.0})),
    KKTAttack(0.1),
    GradientAttack(0.1, max_iter=1),
    LabelFlipAttack(0.1, strategy="feasible"),
]
each_facing = pytest.mark.parametrize("estimator", FACING, ids=repr)


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs(80, 2, centers=[[-1, 0], [1, 0]], random_state=0)
    return X * [1.0, 5.0], y


@pytest.fixture(scope="module")
def table(data):
    return pd.DataFrame(data[0], columns=["a", "b"])


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        ([1, 5, 0, -1, 9], [0, 1, 5]),
        ([1.0, 0.5, 0.0], [0, 1]),
        ([True, False], [0, 1]),
        ([0, 1], [False, True]),
        (["b", "a", "c"], ["a", "b"]),
        (["0", "1"], [0, 1]),
        ([0, 1], ["0", "1"]),
        ([b"a"], ["a"]),
        (np.array(["b", "z"], dtype=object), ["a", "b"]),
        (np.array([1, True, "1", None], dtype=object), [0, 1]),
        ([True, False], np.array([0, 1], dtype=object)),
        (np.uint8([1, 7]), np.float32([1.0, 2.0])),
        ([], [0, 1]),
    ],
)
def test_labels_are_found_among_those_of_their_kind(y, classes):
    def same(one, other):
        bools = isinstance(one, bool), isinstance(other, bool)
        return bools[0] == bools[1] and one == other

    y, classes = np.asarray(y), np.asarray(classes)
    found = find_labels(y, classes).tolist()
    wanted = [
        next((i for i, other in enumerate(classes.tolist()) if same(one, other)), -1)
        for one in y.tolist()
    ]
    assert found == wanted


def relabeled(X, y, kind):
    """Iris as a filter of other labels than its own would see it."""
    return {
        "bool": (X, y == 2),
        "two of three": (X[y < 2], y[y < 2]),
        "rest": (X, (y == 2).astype(int)),
        "text": (X, np.where(y == 2, "1", "0")),
    }[kind]


@pytest.mark.parametrize("kind", ["bool", "two of three", "rest", "text"])
@each_facing
def test_a_filter_of_other_classes_is_refused(estimator, kind):
    X, y = load_iris(return_X_y=True)
    fitted = FrozenEstimator(SphereFilter(90).fit(X, y))
    X, y = relabeled(X, y, kind)
    estimator = clone(estimator).set_params(filter=fitted)
    if isinstance(getattr(estimator, "domain", None), Domain):
        estimator.set_params(domain=Domain(lower=-99.0))
    with pytest.raises(ValueError, match=r"on the labels \[0, 1, 2\]; y has"):
        estimator.fit(X, y)


def test_one_against_the_rest_takes_filters_that_are_not_fitted_only():
    X, y = load_iris(return_X_y=True)
    bound = CertifiedBound(SphereFilter(), epsilon=0.1, rho=1.0)
    fitted = OneVsRestClassifier(bound).fit(X, y)
    for label, one in enumerate(fitted.estimators_):
        alone = clone(bound).fit(X, (y == label).astype(int))
        assert one.upper_bound_ == alone.upper_bound_
    bound.filter = FrozenEstimator(SphereFilter().fit(X, y))
    with pytest.raises(ValueError, match="pass an unfitted filter"):
        OneVsRestClassifier(bound).fit(X, y)


@each_facing
def test_booleans_are_labels_like_any_others(estimator, data, table):
    y = data[1] == 1
    fitted = FrozenEstimator(SphereFilter(95).fit(table, y))
    found = clone(estimator).set_params(filter=fitted).fit(table, y)
    assert found.classes_.dtype == bool
    with pytest.raises(ValueError, match=r"another kind of label \(number, not bool\)"):
        clone(estimator).set_params(filter=fitted).fit(table, data[1])


def test_given_radii_and_centroids_know_labels_of_one_kind(data):
    X, y = data
    for name, values in (
        ("radii", {0: 1.0, 1: 1.0}),
        ("centroids", {0: X[0], 1: X[1]}),
    ):
        sphere = SphereFilter(**{name: values}).fit(X, y)
        assert sphere.classes_.tolist() == [0, 1]
        with pytest.raises(ValueError, match=rf"{name} has no entry.*\[False, True\]"):
            clone(sphere).fit(X, y == 1)


def test_labels_of_another_kind_are_named_when_new_rows_are_judged(data):
    X, y = data
    both = FilterIntersection([("sphere", SphereFilter())]).fit(X, y)
    for labels in (y == 1, y.astype(str), y.astype(str).astype(object)):
        with pytest.raises(
            ValueError, match=r"It was fitted on \[0, 1\]; these are another"
        ):
            both.predict(X, labels)
    np.testing.assert_array_equal(both.predict(X, y.astype(float)), both.predict(X, y))


def test_feasible_sets_tell_labels_of_different_kinds_apart():
    sets = FeasibleSet([0, 1], [SphereSlab([0.0], 1.0), SphereSlab([3.0], 1.0)])
    assert sets[1] is sets[1.0] is sets.sets[1]
    for label in (True, "1", 2):
        with pytest.raises(KeyError, match="is not one of the classes"):
            sets[label]
    assert sets.contains([[3.0], [0.0]], [1, 0]).all()
    assert not sets.contains([[3.0], [0.0]], [True, False]).any()


def test_test_labels_must_be_of_the_kind_that_was_trained_on(data):
    X, y = data
    learner = LinearSVC().fit(X, y)
    for labels in (y == 1, y.astype(str)):
        with pytest.raises(ValueError, match="another kind of label"):
            held_out_loss(learner, X, labels)
        with pytest.raises(ValueError, match=r"y_test contains.*another kind of label"):
            evaluate_attack(
                LabelFlipAttack(), None, LinearSVC(), X, y, X, labels, epsilons=[0.1]
            )


def test_displays_tell_labels_of_different_kinds_apart(data):
    pytest.importorskip("matplotlib")
    sphere = SphereFilter().fit(*data)
    with pytest.raises(ValueError, match=r"classes contains \[False, True\]"):
        FilterDisplay.from_estimator(sphere, *data, classes=[False, True])


@each_facing
def test_a_filter_of_the_same_columns_in_another_order_is_refused(
    estimator, data, table
):
    swapped, y = table[["b", "a"]], data[1]
    fitted = FrozenEstimator(SphereFilter(95).fit(table, y))
    estimator = clone(estimator).set_params(filter=fitted)
    with pytest.raises(ValueError, match="feature 0 was 'a', but is 'b' in X"):
        estimator.fit(swapped, y)
    assert clone(estimator).fit(table, y).feature_names_in_.tolist() == ["a", "b"]
    # An attack on a fitted filter need not be frozen to be refused.
    if not isinstance(estimator, CertifiedBound):
        with pytest.raises(ValueError, match="feature 0 was 'a'"):
            clone(estimator).set_params(filter=fitted).fit(swapped, y)


def test_without_names_on_one_side_there_is_a_warning_as_in_scikit_learn(data, table):
    X, y = data
    named, nameless = SphereFilter().fit(table, y), SphereFilter().fit(X, y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        expected = CertifiedBound(FrozenEstimator(named)).fit(X, y).upper_bound_
    with pytest.warns(UserWarning, match="X has feature names"):
        found = CertifiedBound(FrozenEstimator(nameless)).fit(table, y).upper_bound_
        assert found == pytest.approx(expected, rel=1e-12)


def test_curves_and_pictures_compare_names_too(data, table):
    pytest.importorskip("matplotlib")
    swapped, y = table[["b", "a"]], data[1]
    bound = CertifiedBound(FrozenEstimator(SphereFilter(95).fit(table, y)))
    with pytest.raises(ValueError, match="feature 0 was 'a'"):
        bound_curve(bound, swapped, y, [0.1])
    curve = bound_curve(bound, table, y, [0.1])
    with pytest.raises(ValueError, match="same order"):
        BoundDisplay.from_curve(curve, X_test=swapped, y_test=y)
    with pytest.raises(ValueError, match="same order"):
        FilterDisplay.from_estimator(bound.filter, swapped, y)
    drawn = BoundDisplay.from_curve(curve, X_test=table, y_test=y).test_loss
    (one,) = curve.estimators
    signs = 2.0 * y - 1.0
    margins = signs * (data[0] @ one.poisoned_coef_[0] + one.poisoned_intercept_)
    assert np.ravel(drawn)[0] == pytest.approx(np.maximum(1.0 - margins, 0.0).mean())


@pytest.mark.parametrize("attack", [GradientAttack(0.1, max_iter=1), KKTAttack(0.1)])
def test_targets_have_the_names_and_labels_of_the_clean_rows(attack, data, table):
    y = data[1]
    wanted = clone(attack).set_params(targets=(table, y)).fit(table, y)
    plain = clone(attack).fit(table, y)  # which aims at the clean rows
    np.testing.assert_allclose(wanted.X_poison_, plain.X_poison_, rtol=1e-6)
    with pytest.raises(ValueError, match="feature 0 was 'a', but is 'b' in targets"):
        attack.set_params(targets=(table[["b", "a"]], y)).fit(table, y)
    with pytest.raises(ValueError, match="targets holds labels that the attack"):
        attack.set_params(targets=(table, y == 1)).fit(table, y)


def test_sparse_rows_are_told_apart_by_labels_too(data):
    X, y = data
    fitted = FrozenEstimator(SphereFilter().fit(sparse.csr_array(X), y))
    with pytest.raises(ValueError, match="another kind of label"):
        CertifiedBound(fitted).fit(sparse.csr_array(X), y == 1)
