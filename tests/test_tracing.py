"""Tracing predictions to training rows, against brute force on small problems."""

from itertools import combinations, permutations
from math import comb, factorial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import (
    LogisticRegression,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skpoison import trace
from skpoison._as_given import AsNumbers
from skpoison.tracing import Trace
from skpoison.tracing._core import core_rows
from skpoison.tracing._goal import label_goal, range_goal
from skpoison.tracing._held_out import left_out
from skpoison.tracing._influence import Influence
from skpoison.tracing._linear import linear_view
from skpoison.tracing._neighbors import knn_shapley
from skpoison.tracing._removal import Search, grow, set_first, shrink
from skpoison.tracing._sizes import shortest

WEIGHTS = {0: 1.0, 1: 2.0, 2: 0.5}


def flipped(seed=0, k=8, to=2):
    """Wine with the labels of the rows nearest to a target changed."""
    X, y = load_wine(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    target = np.flatnonzero(y == 0)[seed]
    rest = np.delete(np.arange(len(y)), target)
    X_target, right = X[[target]], y[[target]]
    X, y = X[rest], y[rest].copy()
    near = np.argsort(((X - X_target) ** 2).sum(axis=1))
    near = near[y[near] == 0][:k]
    y[near] = to
    return X, y, X_target, right, near


def brute_force_shapley(distances, pushes, k):
    """The definition: the mean over all orders of what a row adds."""

    def value(rows):
        nearest = sorted(rows, key=lambda row: distances[row])[:k]
        return sum(pushes[row] for row in nearest) / k

    n = len(distances)
    values = np.zeros(n)
    for order in permutations(range(n)):
        for place, row in enumerate(order):
            values[row] += value(order[: place + 1]) - value(order[:place])
    return values / factorial(n)


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_knn_shapley_is_the_mean_over_all_orders(k):
    rng = np.random.default_rng(k)
    distances, pushes = rng.random(6), rng.normal(size=6)
    expected = brute_force_shapley(distances, pushes, k)
    np.testing.assert_allclose(knn_shapley(distances, pushes, k), expected, atol=1e-12)


@pytest.mark.parametrize("method", ["auto", "knn_shapley", "gradient", "retrain"])
@pytest.mark.parametrize(
    "model",
    [
        SVC(),
        LogisticRegression(),
        KNeighborsClassifier(),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
    ids=["svc", "logistic", "neighbors", "pipeline"],
)
def test_without_the_removal_set_a_fresh_clone_predicts_right(model, method):
    X, y, X_target, right, near = flipped(27)
    model = clone(model).fit(X, y)
    assert model.predict(X_target) != right
    found = trace(model, X, y, X_target, right, method=method, max_removed=0.2)
    kept = np.delete(np.arange(len(y)), found.removal_set_)
    again = clone(model).fit(X[kept], y[kept]).predict(X_target)
    assert again == right == found.removed_prediction_
    assert len(found.removal_set_) <= len(near)
    assert np.isin(found.removal_set_, near).all()
    assert found.ranking_.tolist() != sorted(found.ranking_)
    assert sorted(found.ranking_) == list(range(len(y)))
    n_set = len(found.removal_set_)
    assert found.ranking_[:n_set].tolist() == found.removal_set_.tolist()
    contributions = found.contributions_[found.ranking_]
    assert (np.diff(contributions[n_set:]) <= 0).all()
    if found.method_ in (method, "around"):
        assert (np.diff(contributions[:n_set]) <= 0).all()


def test_rows_around_the_target_are_blamed():
    X, y, X_target, right, near = flipped(27)
    found = trace(SVC(), X, y, X_target, right)
    assert set(found.ranking_[: len(near)]) == set(near)


def test_removal_is_minimal_on_a_tiny_problem():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 2)), np.tile([0, 1], 6)
    model, X_target = KNeighborsClassifier(3), np.zeros((1, 2))
    right = 1 - model.fit(X, y).predict(X_target)

    def works(rows):
        kept = np.delete(np.arange(12), rows)
        return clone(model).fit(X[kept], y[kept]).predict(X_target) == right

    sizes = range(1, 6)
    smallest = next(
        size
        for size in sizes
        if any(map(works, map(list, combinations(range(12), size))))
    )
    found = trace(model, X, y, X_target, max_removed=5)
    assert len(found.removal_set_) == smallest


def test_growing_and_shrinking_find_what_is_needed():
    needed = np.array([2, 5, 9])
    ranking = np.array([2, 0, 1, 5, 7, 9, 3])

    def works(rows):
        return np.isin(needed, rows).all()

    removal = grow({"a": ranking, "b": ranking[::-1]}, Search(works), 7)
    assert removal.ranking == "a" and removal.rows.tolist() == [2, 0, 1, 5, 7, 9]
    assert shrink(removal.rows, works).tolist() == [2, 5, 9]
    assert grow({"a": ranking}, Search(works), 5) is None
    half = grow({"a": ranking, "b": needed}, Search(works), 7)
    assert half.ranking == "b" and half.rows.tolist() == [2, 5, 9]


@pytest.mark.parametrize("guess", [1, 2, 13, 14, 40])
def test_the_smallest_size_is_found_from_any_guess(guess):
    tried = []

    def works(rows):
        tried.append(len(rows))
        return len(rows) >= 14

    assert shortest(np.arange(50), works, 40, guess) == 14
    assert max(tried) <= 40 and len(tried) <= 12
    assert guess != 14 or tried == [14, 13]  # a good guess costs two fits
    assert shortest(np.arange(50), works, 13, guess) is None


@pytest.mark.parametrize("guess", [1, 30, 300, 900])
@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_margins_lead_to_the_size_in_few_fits(guess, power):
    tried = []

    def works(rows):
        tried.append(len(rows))
        return len(rows) >= 300

    def margin(rows):
        return 299.5**power - len(rows) ** power

    order = np.arange(2_000)
    size = shortest(order, works, 1_000, guess, margin)
    assert 300 <= size <= 300 * 21 / 20 and len(tried) <= 9
    tried.clear()
    assert shortest(order, works, 250, guess, margin) is None
    assert len(tried) <= 6


def test_the_ranking_that_seems_shortest_says_what_others_are_worth():
    """A ranking that needs many rows is tried as far as it would be preferred."""
    tried = []

    def works(rows):
        tried.append(rows.tolist())
        return np.isin([7, 8], rows).all()

    long, short = np.arange(9), np.array([7, 8, 0, 1, 2, 3, 4, 5, 6])
    seems = Search(works, lambda rows: np.isin([7, 8], rows).all())
    removal = grow({"long": long, "short": short}, seems, 9)
    assert removal.ranking == "short" and removal.rows.tolist() == [7, 8]
    assert tried == [[7, 8], [7], [0, 1, 2]]
    tried.clear()
    removal = grow({"long": long, "short": short}, seems._replace(is_exact=True), 9)
    assert removal.rows.tolist() == [7, 8] and tried == [[7, 8], [7]]


@pytest.mark.parametrize("step", [[], [StandardScaler()]])
def test_without_a_set_ridge_needs_no_fits_to_say_so(step):
    """Newton steps are exact, unless a step of a pipeline is fitted anew, too."""
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    model = make_pipeline(*step, RidgeClassifier()) if step else RidgeClassifier()
    found = trace(model, X, y, X[[0]], [1 - y[0]], max_removed=2)
    assert found.removal_set_ is None
    on_all_rows = without_those_around = to_contradict = 1
    needed = on_all_rows + without_those_around + to_contradict
    assert (found.n_fits_ > needed) if step else (found.n_fits_ == needed)


def test_what_numbers_are_right_does_not_depend_on_how_well_rows_are_learned():
    """A nearest neighbor makes no errors on its training rows."""
    rng = np.random.default_rng(0)
    X = np.sort(rng.normal(size=(100, 1)), axis=0)
    y = X[:, 0] + rng.normal(size=100)
    y[48:53] = 20.0
    model = KNeighborsRegressor(1).fit(X, y)
    found = trace(model, X, y, X[[50]], [0.0], max_removed=2, random_state=0)
    assert 0.7 < found.tolerance_ < 2.5
    assert found.removal_set_ is None and "The best" not in found.summary()
    model = KNeighborsRegressor(5).fit(X, y)
    found = trace(model, X, y, X[[50]], [0.0], max_removed=4, random_state=0)
    without = KNeighborsRegressor(5).fit(
        *(np.delete(a, [48, 49, 50, 51], 0) for a in (X, y))
    )
    said = f"{without.predict(X[[50]])[0]:.4g} instead of 20."
    best = f"The best that was tried (4 rows) predicts {said}"
    assert found.removal_set_ is None and best in found.summary()


def test_no_removal_set_has_a_reason():
    X, y = load_digits(return_X_y=True)
    model = DecisionTreeClassifier(random_state=0).fit(X[y < 2], y[y < 2])
    found = trace(model, X[y < 2], y[y < 2], X[[0]], [1], max_removed=1)
    assert found.removal_set_ is None and found.removed_prediction_ is None
    assert "up to 1 row " in found.reason_ and found.summary() == found.reason_


@pytest.mark.parametrize("is_range", [False, True])
def test_regressors_come_within_the_range(is_range):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    X[:4] = [4.0, 0.0, 0.0] + 0.1 * rng.normal(size=(4, 3))
    y = X @ [1.0, 2.0, 3.0] + 0.1 * rng.normal(size=80)
    y[:4] += 10.0
    target, right = np.array([[4.0, 0.0, 0.0]]), [4.0]
    y_target = [[3.7, 4.3]] if is_range else right
    model = Ridge(0.1).fit(X, y)
    found = trace(model, X, y, target, y_target)
    low, high = found.y_target[0]
    assert low <= found.removed_prediction_[0] <= high < model.predict(target)[0]
    assert np.isin(found.removal_set_, range(4)).all()
    if is_range:
        assert found.tolerance_ is None
        assert "instead of" in found.summary()
        assert "(right is from 3.7 to 4.3)" in found.summary()
        return
    folds = KFold(5, shuffle=True, random_state=1)
    errors = np.abs(y - cross_val_predict(model, X, y, cv=folds))
    assert found.tolerance_ == pytest.approx(1.4826 * np.median(errors), rel=0.2)
    assert (low, high) == pytest.approx((4 - found.tolerance_, 4 + found.tolerance_))
    within = f"ight is within {found.tolerance_:.4g} of 4"
    assert f"(r{within})" in found.summary()
    found.removal_set_, found.reason_ = None, "No set."
    assert found.summary().startswith(f"No set. R{within}.")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"method": "shapley"}, ValueError, "method must be one of"),
        ({"max_removed": 0}, ValueError, "max_removed must be a number of rows"),
        ({"max_removed": 1.5}, ValueError, "max_removed must be a number of rows"),
        ({"y_target": [7]}, ValueError, "y_target holds labels that estimator was"),
        ({"y_target": [0, 1]}, ValueError, "one entry for each of the 1 rows"),
        ({"y_target": [2]}, ValueError, "predicted right already"),
        ({"by": "source"}, ValueError, "by='source' is no column of X"),
        ({"by": [1, 2]}, ValueError, "by must have one entry for each of the 177"),
        ({"estimator": StandardScaler()}, TypeError, "estimator must be"),
        (
            {"estimator": KNeighborsClassifier(), "sample_weight": np.ones(177)},
            ValueError,
            "sample_weight is not supported by KNeighborsClassifier",
        ),
    ],
)
def test_bad_input_is_named(change, error, message):
    X, y, X_target, right, _ = flipped(27)
    given = {"estimator": SVC(), "y_target": right} | change
    with pytest.raises(error, match=message):
        trace(X=X, y=y, X_target=X_target, **given)


@pytest.mark.parametrize(
    ("X_target", "message"),
    [
        (np.zeros((0, 13)), "X_target must have at least one row"),
        ([], "X_target must have at least one row"),
        (
            np.full((2, 13), np.nan),
            r"X_target has NaN or infinity in the rows \[0, 1\]",
        ),
        (np.full((1, 13), np.inf), r"X_target has NaN or infinity in the rows \[0\]"),
        (np.zeros((1, 4)), "X_target must have the columns of X, 13; got 4"),
        (np.zeros(13), r"X_target must have 2 dimensions.*ndarray of shape \(13,\)"),
        (pd.Series(np.zeros(13)), r"X_target must have 2 dimensions.*Series of shape"),
        ([0.0] * 13, r"X_target must have 2 dimensions.*list of shape"),
        ("a text", "X_target must be rows, as X is; got a single string"),
        (None, "X_target must be rows, as X is; got None"),
        (3.0, "X_target must have 2 dimensions"),
        (np.full((1, 13), "a"), "X_target cannot be predicted by the estimator"),
    ],
)
def test_targets_that_are_no_such_rows_are_named(X_target, message):
    X, y, _, right, _ = flipped(27)
    with pytest.raises(ValueError, match=message):
        trace(SVC(), X, y, X_target, right)


@pytest.mark.parametrize(
    ("n_rows", "y", "y_target", "message"),
    [
        (1, [0.0], [1.0], "X must have at least 2 rows; got 1"),
        (9, ["a"] * 9, None, r"y must have at least two labels; got \['a'\] only"),
        (9, [0.0, 1.5, 1.0] * 3, ["a"], r"y_target must be numbers; got \['a'\]"),
    ],
)
def test_what_cannot_be_traced_is_named(n_rows, y, y_target, message):
    X = np.random.default_rng(0).normal(size=(n_rows, 2))
    numbers = isinstance(y[0], float)
    model = KNeighborsRegressor(1) if numbers else KNeighborsClassifier(1)
    with pytest.raises(ValueError, match=message):
        trace(model, X, y, X[[0]], y_target)


@pytest.mark.parametrize("estimator", ["svm", SVC, None])
def test_what_is_no_estimator_is_named(estimator):
    X, y, X_target, right, _ = flipped(27)
    with pytest.raises(
        TypeError, match="estimator must be a classifier or a regressor"
    ):
        trace(estimator, X, y, X_target, right)


def test_rows_are_blamed_if_the_first_ranking_blames_none():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), np.repeat([0, 1], 30)
    X[:, 0] += 8.0 * y
    model = KNeighborsClassifier(5)
    found = trace(model, X, y, X[[0]], [1], max_removed=1, random_state=0)
    assert found.removal_set_ is None
    assert any((scores <= 0.0).all() for scores in found.scores_.values())
    assert found.contributions_.max() > 0.0 and found.method_ == "knn_shapley"


def test_rows_that_the_model_was_not_trained_on_are_noticed():
    X, y, X_target, right, near = flipped(27)
    model = SVC().fit(X, y)
    honest = y.copy()
    honest[near] = 0
    with pytest.raises(ValueError, match="fitted on X and y predicts them right"):
        trace(model, X, honest, X_target, right)
    with pytest.warns(UserWarning, match=r"differ in \d+\.\d %"):
        trace(model, X[: 2 * len(X) // 3], y[: 2 * len(y) // 3], X_target, right)


def leave_one_out(model, X, y, X_target, score, rows):
    """By how much a score of the targets falls without each of some rows, by fits."""
    before = score(clone(model).fit(X, y), X_target)
    fits = (clone(model).fit(np.delete(X, i, axis=0), np.delete(y, i)) for i in rows)
    return np.column_stack([before - score(one, X_target) for one in fits]).T


@pytest.mark.parametrize("n_classes", [2, 3])
def test_influence_on_ridge_classifiers_is_that_of_leaving_rows_out(n_classes):
    X, y, X_target, _, _ = flipped(27)
    X, y = X[y < n_classes], y[y < n_classes]
    model = RidgeClassifier(alpha=3.0).fit(X, y)
    wrong = model.predict(X_target)[0]
    right = (wrong + 1) % n_classes

    def score(fitted, rows):
        found = fitted.decision_function(rows)
        if n_classes == 2:
            return (2 * wrong - 1) * found
        return found[:, wrong] - found[:, right]

    some = np.arange(0, len(y), 5)
    expected = leave_one_out(model, X, y, X_target, score, some)[:, 0]
    found = trace(model, X, y, X_target, [right], method="influence")
    np.testing.assert_allclose(found.contributions_[some], expected, atol=1e-10)


def test_influence_on_ridge_regression_is_exact_for_sets_too():
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(40, 3)), rng.normal(size=40)
    y = X.sum(axis=1) + noise
    model, target = Ridge(2.0).fit(X, y), np.array([[2.0, 2.0, 2.0]])
    goal = range_goal(noise, model.predict(target), [[-1.0, 0.0]])
    view = linear_view(model, X, y, None, target, goal)
    rows = np.array([3, 8, 21, 30])
    fewer = clone(model).fit(np.delete(X, rows, axis=0), np.delete(y, rows))
    found = Influence(view).margins_without(rows)
    np.testing.assert_allclose(found, fewer.predict(target), atol=1e-10)


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(C=0.05, tol=1e-7),
        LogisticRegression(C=0.05, tol=1e-8, class_weight=WEIGHTS),
        LinearSVC(C=0.003, tol=1e-8, max_iter=100_000),
    ],
    ids=["logistic", "weighted", "svc"],
)
def test_influence_orders_rows_as_leaving_them_out_does(model, is_sparse):
    X, y, X_target, _, _ = flipped(27)
    model = clone(model).fit(X, y)
    wrong = model.predict(X_target)[0]
    right = 2 - wrong

    def score(fitted, rows):
        found = fitted.decision_function(rows)
        return found[:, wrong] - found[:, right]

    some = np.arange(0, len(y), 6)
    expected = leave_one_out(model, X, y, X_target, score, some)[:, 0]
    rows = csr_array(X) if is_sparse else X
    found = trace(model, rows, y, X_target, [right], method="influence")
    contributions = found.contributions_[some]
    assert np.corrcoef(contributions, expected)[0, 1] > 0.99
    scale = contributions @ expected / (expected @ expected)
    assert scale == pytest.approx(1.0, abs=0.1)


def test_influence_needs_a_linear_model():
    X, y, X_target, right, _ = flipped(27)
    with pytest.raises(ValueError, match="method='influence' needs a linear model"):
        trace(SVC(), X, y, X_target, right, method="influence")


def test_retraining_finds_copies():
    X, y, X_target, right, _ = flipped(27, k=0)
    rng = np.random.default_rng(0)
    copies = X_target + 1e-3 * rng.normal(size=(12, X.shape[1]))
    X, y = np.concatenate([X, copies]), np.append(y, np.full(12, 2))
    model = RandomForestClassifier(9, random_state=0)
    found = trace(model, X, y, X_target, right, method="retrain", max_removed=20)
    assert set(found.ranking_[:12]) == set(range(len(y) - 12, len(y)))
    assert set(found.removal_set_) <= set(range(len(y) - 12, len(y)))
    sharing = {one.column: one for one in found.shared_}
    assert sharing["near copies"].n_rows == len(found.removal_set_)
    assert sharing["near copies"].value == len(y) - 12
    assert sharing["near copies"].p_value < 0.01


def test_loss_blames_rows_whose_labels_were_changed_at_random():
    X, y = load_digits(return_X_y=True)
    X, y = X[np.isin(y, [1, 8])] / 16, y[np.isin(y, [1, 8])]
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(y))
    train, test = rows[:250], rows[250:]
    y_train, changed = y[train].copy(), rng.permutation(250)[:25]
    y_train[changed] = 9 - y_train[changed]
    model = LogisticRegression().fit(X[train], y_train)
    wrong = test[model.predict(X[test]) != y[test]]
    for target in wrong[:3]:
        found = trace(model, X[train], y_train, X[[target]], y[[target]])
        assert np.isin(found.ranking_[:10], changed).mean() >= 0.9


def boundary(n=200):
    """Two classes that overlap, and a row that is predicted wrong, but barely."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 2)), np.arange(n) % 2
    X[:, 0] += 2.0 * y
    model = LogisticRegression().fit(X, y)
    edge = -(model.intercept_[0] - 0.02) / model.coef_[0, 0]
    return model, X, y, np.array([[edge, 0.0]])


def test_a_coincidence_on_the_boundary_is_named():
    model, X, y, X_target = boundary()
    wrong = model.predict(X_target)[0]
    found = trace(model, X, y, X_target, [1 - wrong], random_state=0)
    before, after = found.probability_[0], found.removed_probability_[0]
    np.testing.assert_allclose(
        before, model.predict_proba(X_target)[0][[wrong, 1 - wrong]]
    )
    assert before[1] < 0.5 < after[1]
    text = f"undecided (probability of what is right: {before[1]:.3f} before, "
    assert text + f"{after[1]:.3f} after)" in found.summary()
    X, y, X_target, right, _ = flipped(27)
    sure = trace(LogisticRegression(), X, y, X_target, right, random_state=0)
    assert "undecided" not in sure.summary()


def test_contributions_do_not_depend_on_max_removed():
    X, y, X_target, right, _ = flipped(27, k=14)
    found = [
        trace(LogisticRegression(), X, y, X_target, right, max_removed=m).contributions_
        for m in (1, 0.05, 0.2)
    ]
    assert (found[0] == found[1]).all() and (found[1] == found[2]).all()


def test_a_set_that_is_not_of_the_blamed_rows_is_named():
    found = Trace(
        ranking_=np.array([3, 0, 1, 2]),
        contributions_=np.array([1.0, 0.5, 0.2, 0.0]),
        scores_={},
        method_="influence",
        removal_set_=np.array([3]),
        reason_=None,
        prediction_=np.array([1]),
        removed_prediction_=np.array([0]),
        X_target=np.zeros((1, 2)),
        y_target=np.array([0]),
        max_removed_=2,
    )
    assert "found by 'influence', and most of it is not among" in found.summary()
    found.removal_set_ = np.array([1])
    assert "not among" not in found.summary()


def test_what_rows_share_is_not_talked_away_by_other_errors():
    X, y, X_target, right, near = flipped(27, k=10)
    source = np.where(np.isin(np.arange(len(y)), near), "mail", "web")
    found = trace(SVC(), X, y, X_target, right, by={"source": source}, random_state=0)
    (of_source,) = (one for one in found.shared_ if one.column == "source")
    assert of_source.p_value < 0.001
    text = "have the same source is no coincidence"
    for value, is_named in [(1.0, True), (0.85, True), (0.02, False)]:
        found.p_value_ = value
        assert (text in found.summary()) == is_named
        assert ("look the same" in found.summary()) == (not is_named)
        assert "do not set it apart" not in found.summary()
    of_source.p_value = 0.002
    found.p_value_ = 1.0
    assert "do not set it apart" in found.summary()


def test_what_a_removal_set_has_in_common():
    X, y, X_target, right, near = flipped(27)
    source = np.where(np.isin(np.arange(len(y)), near), "mail", "web")
    source[:2] = "mail"
    by = {"source": source, "day": np.arange(len(y))}
    found = trace(SVC(), X, y, X_target, right, by=by)
    (of_source,) = (one for one in found.shared_ if one.column == "source")
    n_set, n_mail = len(found.removal_set_), np.sum(source == "mail")
    assert (of_source.value, of_source.n_rows) == ("mail", n_set)
    assert of_source.share == 1.0 and of_source.share_of_all == n_mail / len(y)
    expected = comb(n_mail, n_set) / comb(len(y), n_set)
    assert of_source.p_value == pytest.approx(expected)
    assert "all with source mail" in found.summary()
    days = [one.value for one in found.shared_ if one.column == "day"]
    assert all(" to " in str(day) for day in days)  # no day has two rows


@pytest.mark.parametrize("kind", ["datetime64", "date", "zone", "number", "missing"])
def test_times_and_numbers_are_compared_in_ranges(kind):
    """Rows planted within an hour share no time, but a range of times."""
    X, y, X_target, right, near = flipped(27)
    rng = np.random.default_rng(0)
    minutes = rng.permutation(np.arange(len(y), dtype=float) * 100.0)
    minutes[near] = minutes.max() - np.arange(len(near))
    start = np.datetime64("2024-03-01T00:00")
    when = start + minutes.astype("timedelta64[m]")
    by = {
        "datetime64": when,
        "date": np.array(
            [
                (start + int(m)).astype("datetime64[D]").item()
                for m in minutes * 24 * 60
            ],
            dtype=object,
        ),
        "zone": pd.Series(when).dt.tz_localize("UTC"),
        "number": minutes,
        "missing": np.where(minutes < 1_000, np.nan, minutes),
    }[kind]
    found = trace(SVC(), X, y, X_target, right, by={"when": by}, random_state=0)
    (shared,) = (one for one in found.shared_ if one.column == "when")
    assert shared.n_rows == len(found.removal_set_) and shared.p_value < 0.01
    assert 0.05 < shared.share_of_all < 0.15
    low, high = str(shared.value).split(" to ")
    assert low < high or kind == "number"
    assert f"all with when {low}" in " ".join(found.summary().split())
    (group,) = found.groups_
    assert group.value == shared.value
    assert group.n_rows == pytest.approx(shared.share_of_all * len(y))


def poisoned_source():
    """Labels of a source that are wrong, and rows that are predicted wrong by that."""
    rng = np.random.default_rng(0)
    X, source = rng.normal(size=(300, 2)), rng.choice(["web", "mail", "api"], 300)
    y = (X[:, 0] > 0.0).astype(int)
    source[(X[:, 0] > 0.2) & (X[:, 1] > 0.0)] = "evil"
    y[source == "evil"] = 0
    X_target = np.array([[0.4, 1.0], [0.6, 1.0], [0.8, 1.5], [1.0, 2.0], [0.05, 1.0]])
    return X, y, source, X_target, np.ones(5, dtype=int)


def test_without_a_set_a_source_is_blamed_as_a_whole():
    X, y, source, X_target, right = poisoned_source()
    model = LogisticRegression().fit(X, y)
    by = {"source": source, "day": np.arange(len(y))}
    found = trace(model, X, y, X_target, right, by=by, max_removed=6)
    assert found.removal_set_ is None
    evil = found.groups_[0]
    kept = source != "evil"
    again = clone(model).fit(X[kept], y[kept]).predict(X_target)
    n_right = int((again == right).sum())
    assert (evil.column, evil.value, evil.n_rows) == ("source", "evil", sum(~kept))
    assert evil.n_right == n_right >= 4
    text = f"Without the {evil.n_rows} rows with source evil, {n_right} of 5 are right."
    assert text in found.summary()
    n_evil = np.count_nonzero(source[found.ranking_[:6]] == "evil")
    assert n_evil < 6
    assert f"6 rows blamed most: {n_evil} with source evil" in found.summary()
    assert "The best that was tried makes 0 of 5 right" in found.reason_
    days = [one.value for one in found.groups_ if one.column == "day"]
    assert all(" to " in str(day) for day in days)


def test_a_source_is_named_beside_a_removal_set():
    X, y, source, X_target, right = poisoned_source()
    found = trace(
        LogisticRegression(), X, y, X_target[:1], right[:1], by=source, max_removed=0.4
    )
    assert found.removal_set_ is not None
    assert "with by evil, the prediction is right." in found.summary()


@pytest.mark.parametrize("container", ["pandas", "polars", "sparse", "float32", "list"])
def test_containers(container):
    X, y, X_target, right, _ = flipped(27)
    expected = trace(LogisticRegression(), X, y, X_target, right).removal_set_
    convert = {
        "pandas": lambda rows: pd.DataFrame(rows).add_prefix("x"),
        "polars": lambda rows: pl.DataFrame(rows),
        "sparse": csr_array,
        "float32": lambda rows: rows.astype(np.float32),
        "list": lambda rows: rows.tolist(),
    }[container]
    names = np.array(["a", "b", "c"])
    labels = {"pandas": pd.Series, "polars": pl.Series, "list": list}
    given = labels.get(container, np.asarray)(names[y].tolist())
    model = LogisticRegression().fit(convert(X), given)
    found = trace(model, convert(X), given, convert(X_target), names[right])
    assert found.prediction_ != "a" and found.removed_prediction_ == "a"
    assert len(found.removal_set_) == len(expected)


def test_texts_and_missing_values():
    texts = ["win money now", "cheap money win", "meet me at noon", "lunch at noon"] * 5
    y = np.array(["spam", "spam", "ham", "ham"] * 5)
    y[0:20:4] = "ham"
    model = make_pipeline(TfidfVectorizer(), MultinomialNB()).fit(texts, y)
    found = trace(model, texts, y, ["win money now"], ["spam"], max_removed=0.4)
    assert set(found.removal_set_) <= set(range(0, 20, 4))
    X, y, X_target, right, _ = flipped(27)
    X[::7, 3] = np.nan
    model = HistGradientBoostingClassifier(max_iter=10, random_state=0).fit(X, y)
    found = trace(model, X, y, X_target, right, max_removed=0.2)
    assert found.removal_set_ is not None


def test_several_targets_become_right_together():
    X, y, X_target, right, _ = flipped(27)
    targets = np.concatenate([X_target, X_target + 0.05, X_target - 0.05])
    found = trace(LogisticRegression(), X, y, targets, right, max_removed=0.2)
    kept = np.delete(np.arange(len(y)), found.removal_set_)
    again = LogisticRegression().fit(X[kept], y[kept]).predict(targets)
    assert (again == 0).all() and (found.removed_prediction_ == 0).all()
    assert "predicts all 3 targets right" in found.summary()


def test_rows_without_weight_are_not_blamed():
    X, y, X_target, right, near = flipped(27, k=12)
    weights = np.ones(len(y))
    weights[near[:2]] = 0.0
    found = trace(
        LogisticRegression(),
        X,
        y,
        X_target,
        right,
        sample_weight=weights,
        max_removed=20,
    )
    assert not np.isin(near[:2], found.removal_set_).any()
    again = np.delete(np.arange(len(y)), found.removal_set_)
    model = LogisticRegression().fit(X[again], y[again], sample_weight=weights[again])
    assert model.predict(X_target) == right


@pytest.mark.parametrize("model", [KNeighborsClassifier(), LogisticRegression(C=10)])
def test_rows_that_no_model_can_do_without_stay(model):
    """Without them, categories of the target are unknown."""
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    X = rng.normal(size=(80, 2)) * 0.5 + np.where(y, 1.0, -1.0)[:, np.newaxis]
    near = np.arange(10)
    X[near], y[near] = 1.2 + 0.1 * rng.normal(size=(10, 2)), 0
    table = pd.DataFrame(X, columns=["a", "b"])
    table["c"] = np.where(np.isin(np.arange(80), [*near[:7], 20]), "new", "old")
    steps = [("c", OneHotEncoder(), ["c"])]
    columns = ColumnTransformer(steps, remainder="passthrough")
    target = pd.DataFrame({"a": [1.2], "b": [1.2], "c": ["new"]})
    found = trace(
        make_pipeline(columns, model),
        *(table, y, target, [1]),
        by="c",
        max_removed=10,
        random_state=0,
    )
    assert found.prediction_ == [0] and found.removal_set_ is not None
    kept = np.delete(np.arange(80), found.removal_set_)
    again = clone(make_pipeline(columns, model)).fit(table.iloc[kept], y[kept])
    assert again.predict(target) == [1]
    assert [one.value for one in found.groups_] == []


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "modified_huber"])
def test_rows_without_curvature(loss):
    """Where all rows are beyond the kinks, nothing holds the intercept."""
    X = np.array([[-3.0], [-4.0], [-5.0], [3.0], [4.0], [5.0], [2.0], [2.1]])
    y = np.array([0, 0, 0, 1, 1, 1, 0, 0])
    model = SGDClassifier(loss, alpha=1e-6, random_state=0).fit(X[:6], y[:6])
    far = X[:6] * 100.0
    target = far[[0]]
    found = trace(model.fit(far, y[:6]), far, y[:6], target, [1], max_removed=2)
    assert found.removal_set_ is None


def test_a_class_is_never_removed_whole():
    X = np.array([[0.0], [1.0], [2.0], [10.0]])
    y = np.array([0, 0, 0, 1])
    found = trace(KNeighborsClassifier(1), X, y, [[9.0]], [0], max_removed=3)
    assert found.removal_set_ is None


def test_an_estimator_that_cannot_be_cloned_is_an_error():
    class Unclonable(SVC):
        def __init__(self, C=1.0):
            super().__init__(C=[C][0] * 1.0 + 0.0)
            self.C = np.array([C])

    X, y, X_target, right, _ = flipped(27)
    with pytest.raises(TypeError, match="cannot be cloned"):
        trace(Unclonable(), X, y, X_target, right)


def test_left_out_scores_are_those_of_leaving_rows_out():
    X, y = load_wine(return_X_y=True)
    X, y = StandardScaler().fit_transform(X)[y < 2], y[y < 2]
    y[:5] = 1
    model = RidgeClassifier(alpha=5.0).fit(X, y)
    wrong = 1 - model.predict(X[:1])
    view = linear_view(
        model, X, y, None, X[:1], label_goal(model.classes_, wrong, None)
    )
    found = left_out(Influence(view), y, label_goal(model.classes_, wrong, None))
    for row in range(10):
        fewer = clone(model).fit(np.delete(X, row, axis=0), np.delete(y, row))
        score = fewer.decision_function(X[[row]])[0]
        assert found.codes[row] == (score > 0)
        expected = 1 / (1 + np.exp(score if y[row] == 1 else -score))
        assert found.losses[row] == pytest.approx(expected, abs=1e-10)


def test_scores_without_rows_are_those_of_a_fit_without_them():
    X, y, X_target, _, _ = flipped(27)
    X, y = X[y != 1], np.where(y[y != 1] == 2, 1, 0)
    model, rows = RidgeClassifier().fit(X, y), np.array([3, 9, 30, 70])
    goal = label_goal(model.classes_, model.predict(X_target), None)
    view = linear_view(model, X, y, None, X_target, goal)
    fewer = clone(model).fit(np.delete(X, rows, axis=0), np.delete(y, rows))
    found = Influence(view).scores_without(rows, rows)
    np.testing.assert_allclose(found, fewer.decision_function(X[rows]), atol=1e-10)


def test_planted_rows_are_told_from_honest_errors():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    train, test = np.arange(0, len(y), 2), np.arange(1, len(y), 2)
    model = LogisticRegression().fit(X[train], y[train])
    wrong = test[model.predict(X[test]) != y[test]][:4]
    honest = [
        trace(model, X[train], y[train], X[[row]], y[[row]], random_state=0).p_value_
        for row in wrong
    ]
    assert sum(p is None or p > 0.1 for p in honest) >= 3
    target = test[y[test] == 1][3]
    near = train[np.argsort(((X[train] - X[target]) ** 2).sum(axis=1))]
    near = near[y[near] == 1][:14]
    y[near] = 0
    found = trace(clone(model), X[train], y[train], X[[target]], [1], random_state=0)
    assert found.p_value_ <= 0.1
    assert np.isin(train[found.ranking_[:10]], near).all()
    assert "around" in found.scores_ and "loss" not in found.scores_


@pytest.mark.parametrize("is_scaled", [False, True])
@pytest.mark.parametrize("model", [KNeighborsClassifier(), LinearSVC()])
def test_neighbors_are_those_of_the_attacker_whatever_the_units(model, is_scaled):
    """Rows that are near as they are, or in comparable columns; and no other errors.

    The planted rows are errors, too, of models that have not seen them.
    """
    X, y = load_digits(return_X_y=True)
    X, y = X[:600] / 16, y[:600]
    X, X_target, y = np.delete(X, 7, axis=0), X[[7]], np.delete(y, 7)
    space = AsNumbers().fit(X).transform if is_scaled else np.asarray
    own = np.flatnonzero(y == 7)
    distances = ((space(X)[own] - space(X_target)) ** 2).sum(axis=1)
    near = own[np.argsort(distances)][:15]
    y[near] = 4
    found = trace(model, X, y, X_target, [7], random_state=0)
    assert found.prediction_ == [4]
    assert set(found.ranking_[:15]) == set(near)
    assert found.p_value_ <= 0.1


def test_rows_of_a_set_come_by_falling_contributions():
    """Those of another ranking's set, too."""
    X, y, X_target, right, _ = flipped(27)
    ranking = np.array([3, 1, 2, 0])
    assert set_first(ranking, np.array([0, 1])).tolist() == [1, 0, 3, 2]
    for method in ("auto", "gradient", "influence"):
        model = LogisticRegression(max_iter=3_000)
        found = trace(model, X, y, X_target, right, method=method)
        parts = np.split(
            found.contributions_[found.ranking_], [len(found.removal_set_)]
        )
        assert all((np.diff(part) <= 0.0).all() for part in parts)


def test_the_core_ends_where_other_rows_begin():
    distances = np.arange(10.0)
    pushes = np.array([1, 1, -1, 1, 1, 1, -1, -1, 1, 1.0])
    assert core_rows(distances, pushes).tolist() == [0, 1, 3, 4, 5]
    assert core_rows(distances, -pushes).tolist() == []
    assert core_rows(distances[:4], np.array([1, -1, 1, 1.0])).tolist() == [0]
    assert core_rows(distances, np.where(pushes > 0, 1.0, 0.0)).tolist() == [
        0,
        1,
        3,
        4,
        5,
    ]
