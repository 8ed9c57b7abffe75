"""Bounds and their learner on Dask collections, against those on rows in memory."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    HuberRegressor,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.svm import LinearSVC, LinearSVR

from skpoison import CertifiedBound, NormConstrainedSVC, SphereFilter, bound_curve
from skpoison.solvers import _out_of_core

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")

N_ROWS, N_FEATURES = 6000, 5
CUTS = {
    "even": [1500, 3000, 4500],
    "one": [],
    "uneven and empty": [0, 0, 17, 5000, 5000, 6000],
}
LEARNERS = {
    "ball": {"rho": 1.0},
    "hinge": {"C": 1.0},
    "hinge, intercept": {"estimator": LinearSVC(loss="hinge", intercept_scaling=10)},
    "squared hinge": {"estimator": LinearSVC()},
    "logistic": {"estimator": LogisticRegression()},
    "no intercept": {"estimator": LogisticRegression(fit_intercept=False)},
    "balanced": {"estimator": LogisticRegression(class_weight="balanced")},
    "weights": {
        "estimator": LinearSVC(loss="hinge", class_weight={0: 2.0, 1: 0.5}),
        "max_weight": 2.0,
    },
    "squared": {"estimator": RidgeClassifier()},
    "modified huber": {"estimator": SGDClassifier(loss="modified_huber")},
    "sgd": {"estimator": SGDClassifier(loss="hinge")},
    "ridge": {"estimator": Ridge()},
    "svr": {"estimator": LinearSVR(epsilon=0.1)},
    "squared svr": {
        "estimator": LinearSVR(epsilon=0.1, loss="squared_epsilon_insensitive")
    },
    "huber": {"estimator": SGDRegressor(loss="huber"), "target_range": (-4, 4)},
}


@pytest.fixture(autouse=True)
def few_in_memory(monkeypatch):
    monkeypatch.setattr(_out_of_core, "MOST_ROWS", 1200)
    with dask.config.set(scheduler="synchronous"):
        yield


def rows(n_rows=N_ROWS, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n_rows)
    X = rng.normal(size=(n_rows, N_FEATURES))
    X[:, 0] += 2.0 * y
    return X, y


def data_for(name):
    X, y = rows()
    if name not in ("ridge", "svr", "squared svr", "huber"):
        return X, y
    return X, X @ np.arange(1.0, 6.0) + np.random.default_rng(1).normal(size=len(y))


def chunked(X, cuts):
    ends = [*cuts, X.shape[0]]
    parts = [
        da.from_delayed(
            dask.delayed(X[a:b]), (b - a, *X.shape[1:]), dtype=X.dtype, meta=X[:0]
        )
        for a, b in zip([0, *ends], ends, strict=False)
    ]
    return da.concatenate(parts)


def counted(X, seen):
    """Rows in four chunks, and how often these have been looked at."""
    return da.from_array(X, chunks=(1500, N_FEATURES)).map_blocks(
        lambda block: (seen.append(len(block)), block)[1], dtype=X.dtype, meta=X[:0]
    )


def assert_same_bound(found, expected):
    """Two intervals that hold the same number, and attacks that reach them."""
    assert found.converged_
    assert found.lower_bound_ <= expected.upper_bound_
    assert expected.lower_bound_ <= found.upper_bound_
    allowed = found.tol * max(found.upper_bound_, 1e-3)
    assert found.dual_gap_ <= 1.01 * allowed
    least = found.lower_bound_ - found.attack_.rounding_slack
    assert least <= found.attack_loss_ <= found.upper_bound_


@pytest.mark.parametrize("name", LEARNERS)
def test_bounds_are_those_of_rows_in_memory(name):
    X, y = data_for(name)
    bound = CertifiedBound(epsilon=0.05, random_state=0, **LEARNERS[name])
    seen = []
    found = clone(bound).fit(counted(X, seen), y)
    assert_same_bound(found, bound.fit(X, y))
    assert len(seen) <= 4 * (10 if name == "svr" else 8)  # passes over four chunks
    assert max(one["n_rows"] for one in found.history_) < 1.3 * 1200
    if not np.isnan(bound.error_bound_):
        assert found.error_bound_ == pytest.approx(bound.error_bound_, rel=2e-3)


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("name", ["hinge", "logistic", "ridge"])
def test_chunks_change_nothing(name, cuts):
    X, y = data_for(name)
    order = np.argsort(y, kind="stable")  # most chunks have one class
    X, y = X[order], y[order]
    bound = CertifiedBound(epsilon=0.05, random_state=0, **LEARNERS[name])
    found = clone(bound).fit(chunked(X, CUTS[cuts]), chunked(y, CUTS[cuts]))
    assert_same_bound(found, bound.fit(X, y))


@pytest.mark.parametrize("name", ["hinge", "logistic"])
def test_the_bound_holds_by_its_own_definition(name):
    X, y = rows()
    bound = CertifiedBound(epsilon=0.05, **LEARNERS[name])
    bound.fit(da.from_array(X, chunks=(1500, N_FEATURES)), y)
    signs = 2.0 * y - 1.0
    w, b = bound.coef_[0], bound.intercept_[0]

    def loss(margins):
        if name == "hinge":
            return np.maximum(1.0 - margins, 0.0)
        return np.logaddexp(0.0, -margins)

    feasible = bound.filter_.feasible_set()
    least = [
        (2 * label - 1) * b - feasible[label].support(-(2 * label - 1) * w)[0]
        for label in (0, 1)
    ]
    penalized = w @ w + (b * b if name == "hinge" else 0.0)
    value = loss(signs * (X @ w + b)).mean() + penalized / (2 * N_ROWS)
    value += 0.05 * max(loss(np.array(least)))
    assert bound.upper_bound_ == pytest.approx(value, rel=1e-9)
    sent = np.repeat(bound.attack_.X, bound.attack_.n_copies, axis=0)
    labels = np.repeat(bound.attack_.y, bound.attack_.n_copies)
    assert (bound.filter_.predict(sent, labels) == 1).all()
    assert len(sent) <= 0.05 * N_ROWS
    if name == "logistic":
        learner = LogisticRegression(tol=1e-8)
        learner.fit(np.vstack([X, sent]), np.append(y, labels))
        margins = signs * learner.decision_function(X)
        sent_margins = (2.0 * labels - 1.0) * learner.decision_function(sent)
        reached = loss(margins).sum() + loss(sent_margins).sum()
        reached += 0.5 * np.sum(learner.coef_**2)
        assert bound.attack_loss_ == pytest.approx(reached / N_ROWS, rel=2e-3)
        assert reached / N_ROWS <= bound.upper_bound_


@pytest.mark.parametrize("kind", ["csr", "float32", "csr float32"])
def test_blocks_of_other_kinds(kind):
    X, y = rows()
    X[np.random.default_rng(2).random(X.shape) < 0.6] = 0.0
    X = X.astype(np.float32) if "float32" in kind else X
    X = sparse.csr_matrix(X) if "csr" in kind else X
    for settings in ({"C": 1.0}, {"estimator": LogisticRegression()}):
        bound = CertifiedBound(random_state=0, **settings)
        found = clone(bound).fit(chunked(X, CUTS["uneven and empty"]), y)
        assert_same_bound(found, bound.fit(X, y))
        assert found.attack_.X.dtype == X.dtype
        assert sparse.issparse(found.attack_.X) == sparse.issparse(X)


@pytest.mark.parametrize("name", ["ball", "hinge", "logistic"])
def test_columns_of_other_units(name):
    X, y = rows()
    X[:, 1] *= 1000.0
    bound = CertifiedBound(epsilon=0.05, random_state=0, **LEARNERS[name])
    found = clone(bound).fit(chunked(X, CUTS["even"]), y)
    assert_same_bound(found, bound.fit(X, y))


def test_tables_with_words_as_labels():
    X, y = rows()
    table = pd.DataFrame(X, columns=[*"abcde"]).assign(label=np.where(y, "yes", "no"))
    lazy = dd.from_pandas(table, npartitions=3)
    bound = CertifiedBound(estimator=LogisticRegression(), random_state=0)
    found = clone(bound).fit(lazy[[*"abcde"]], lazy["label"])
    assert_same_bound(found, bound.fit(table[[*"abcde"]], table["label"]))
    assert found.feature_names_in_.tolist() == [*"abcde"]
    assert found.classes_.tolist() == ["no", "yes"]
    assert set(found.attack_.y) <= {"no", "yes"}


def test_few_rows_come_into_memory():
    X, y = rows(1000)
    expected = CertifiedBound(random_state=0).fit(X, y)
    found = CertifiedBound(random_state=0).fit(chunked(X, [0, 300, 300]), y)
    assert found.upper_bound_ == expected.upper_bound_
    np.testing.assert_array_equal(found.attack_.X, expected.attack_.X)
    table = pd.DataFrame(X, columns=[*"abcde"])
    lazy = dd.from_pandas(table, npartitions=3)
    found = CertifiedBound(random_state=0).fit(lazy, y)
    # Columns of a frame are summed in another order.
    assert found.upper_bound_ == pytest.approx(expected.upper_bound_, rel=1e-12)
    assert found.feature_names_in_.tolist() == [*"abcde"]


@pytest.mark.parametrize("name", ["hinge", "ridge"])
def test_the_filter_sees_the_rows_with_the_survey(name):
    X, y = data_for(name)
    seen = []
    bound = CertifiedBound(epsilon=0.05, random_state=0, **LEARNERS[name])
    bound.fit(counted(X, seen), y)
    n_trained = 1  # pass beside the survey, with the filter, and those of the history
    assert len(seen) <= 4 * (1 + len(bound.history_) + n_trained)
    expected = clone(bound).fit(X, y).filter_
    for member, other in zip(leaves(bound.filter_), leaves(expected), strict=True):
        np.testing.assert_allclose(member.radii_, other.radii_, rtol=1e-9)
        np.testing.assert_allclose(member.contamination_, other.contamination_)
    assert not hasattr(bound.filter_, "scores_")


def leaves(filter_):
    return getattr(filter_, "filters_", [filter_])


@pytest.mark.parametrize("name", ["hinge", "ridge", "ball"])
@pytest.mark.parametrize("is_fitted_lazily", [True, False])
def test_predictions_are_lazy(name, is_fitted_lazily):
    X, y = data_for(name)
    bound = CertifiedBound(epsilon=0.05, **LEARNERS[name])
    if name == "ball":
        bound = NormConstrainedSVC()
    seen = []
    rows = counted(X, seen)
    bound.fit(rows if is_fitted_lazily else X, y)
    del seen[:]
    methods = ["predict"] if name == "ridge" else ["predict", "decision_function"]
    for method in methods:
        found, expected = getattr(bound, method)(rows), getattr(bound, method)(X)
        assert (found.chunks, found.dtype) == (((1500,) * 4,), expected.dtype)
        assert not seen
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        del seen[:]
        parted = chunked(X, CUTS["uneven and empty"])
        np.testing.assert_allclose(getattr(bound, method)(parted), expected, rtol=1e-12)
    assert bound.score(rows, y) == pytest.approx(bound.score(X, y))


def test_predictions_of_tables_and_of_several_classes():
    X, y = rows()
    names = [f"x{i}" for i in range(N_FEATURES)]
    table, y = pd.DataFrame(X, columns=names), np.where(y, "spam", "ham")
    lazy = dd.from_pandas(table, npartitions=3)
    bound = CertifiedBound(epsilon=0.05, C=1.0).fit(table, y)
    found = bound.predict(lazy)
    np.testing.assert_array_equal(found.compute(), bound.predict(table))
    wrong = lazy.rename(columns={"x0": "z"})
    with pytest.raises(ValueError, match="The feature names should match"):
        bound.predict(wrong)
    y = np.arange(N_ROWS) % 3
    bound = CertifiedBound(epsilon=0.05, estimator=LogisticRegression()).fit(X, y)
    parted = chunked(X, CUTS["uneven and empty"])
    for method in ("predict", "decision_function"):
        expected = getattr(bound, method)(X)
        found = getattr(bound, method)(parted)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_fixed_filters_are_not_fitted_again():
    X, y = rows()
    sphere = FrozenEstimator(SphereFilter(80).fit(X[:500], y[:500]))
    bound = CertifiedBound(sphere, C=1.0, random_state=0)
    found = clone(bound).fit(chunked(X, CUTS["even"]), y)
    assert_same_bound(found, bound.fit(X, y))


def test_several_shares_of_poison():
    X, y = rows()
    lazy = chunked(X, CUTS["even"])
    bound = CertifiedBound(rho=1.0, random_state=0)
    found = bound_curve(bound, lazy, y, [0.0, 0.1, 0.03])
    expected = bound_curve(bound, X, y, [0.0, 0.1, 0.03])
    for mine, theirs in zip(found.estimators, expected.estimators, strict=True):
        assert_same_bound(mine, theirs)


def test_the_learner_in_a_ball():
    X, y = rows()
    lazy = chunked(X, CUTS["even"])
    for rho in (0.5, 100.0):
        expected = NormConstrainedSVC(rho).fit(X, y)
        found = NormConstrainedSVC(rho).fit(lazy, y)
        assert found.dual_gap_ <= 1.01e-4 * found.loss_
        assert found.loss_ - found.dual_gap_ <= expected.loss_
        assert expected.loss_ - expected.dual_gap_ <= found.loss_
        theta = np.append(found.coef_, found.intercept_)
        assert np.linalg.norm(theta) <= rho * (1 + 1e-12)
        margins = (2 * y - 1) * (X @ found.coef_[0] + found.intercept_)
        assert found.loss_ == pytest.approx(np.maximum(1 - margins, 0).mean())
    with pytest.raises(TypeError, match="takes no sample_weight"):
        NormConstrainedSVC().fit(lazy, y, np.ones(len(y)))


def test_what_the_bound_says_where_it_stops_early():
    X, y = rows()
    exact = CertifiedBound(C=1.0).fit(X, y)
    bound = CertifiedBound(C=1.0, max_iter=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="still valid"):
        bound.fit(chunked(X, CUTS["even"]), y)
    assert not bound.converged_
    assert bound.lower_bound_ <= exact.upper_bound_
    assert bound.upper_bound_ >= exact.lower_bound_


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"defense": "moving_centroids"}, "no bound with defense='moving_centroids'"),
        ({"domain": "nonnegative"}, "no bound with domain='nonnegative'"),
        (
            {"estimator": HuberRegressor()},
            r"no bound with estimator=HuberRegressor\(\)",
        ),
    ],
)
def test_what_has_no_bound_in_blocks_says_so(settings, message):
    X, y = rows()
    with pytest.raises(TypeError, match=f"Dask collection.*{message}.*X.compute"):
        CertifiedBound(**settings).fit(chunked(X, CUTS["even"]), y)


def test_inputs_that_no_bound_takes():
    X, y = rows()
    lazy = chunked(X, CUTS["even"])
    with pytest.raises(TypeError, match="no bound with sample_weight"):
        CertifiedBound().fit(lazy, y, np.ones(len(y)))
    with pytest.raises(ValueError, match=r"only two classes are supported.*y has 3"):
        CertifiedBound().fit(lazy, np.arange(len(y)) % 3)
    with pytest.raises(ValueError, match="requires rows of two classes"):
        CertifiedBound().fit(lazy, np.zeros(len(y), dtype=int))
    with pytest.raises(ValueError, match="requires y"):
        CertifiedBound().fit(lazy, None)
    with pytest.raises(ValueError, match="Weights of rows and classes"):
        CertifiedBound(rho=1.0, max_weight=2.0).fit(lazy, y)
    with pytest.raises(ValueError, match="has 10 entries, but X has 6000 rows"):
        CertifiedBound().fit(lazy, y[:10])
    bound = CertifiedBound().fit(lazy, y)
    with pytest.raises(ValueError, match=r"No certificate file.*Dask collections"):
        bound.to_certificate("nowhere.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda block: np.where(block > 3, np.nan, block), "Partition 2: .*NaN"),
        (lambda block: block.astype(np.float32), "dtype is 'float.*in another"),
        (lambda block: block[:, :3], "n_features is [35] in one and [35] in another"),
        (lambda block: 1e200 * block, "Partition 2: .*absolute values of X up to"),
    ],
)
def test_partitions_that_differ_are_refused_and_named(change, message):
    X, y = rows()
    parts = [X[:1500], X[1500:3000], change(X[3000:])]
    arrays = [
        da.from_delayed(dask.delayed(part), (len(part), N_FEATURES), dtype=X.dtype)
        for part in parts
    ]
    with pytest.raises(ValueError, match=message):
        CertifiedBound().fit(da.concatenate(arrays), y)


def test_every_pass_must_see_the_same_rows():
    X, y = rows()
    table = pd.DataFrame(X, columns=[*"abcde"]).assign(label=y)
    looks = []

    def shrinking(i):
        looks.append(i)
        return table[3000 * i : 3000 * (i + 1) - (len(looks) > 2)]

    parts = [dask.delayed(shrinking, pure=False)(i) for i in range(2)]
    lazy = dd.from_delayed(parts, meta=table[:0], verify_meta=False)
    frozen = FrozenEstimator(SphereFilter(80).fit(table[[*"abcde"]], y))
    with pytest.raises(ValueError, match="the first has seen 6000 and another 5998"):
        CertifiedBound(frozen).fit(lazy[[*"abcde"]], lazy["label"])


def test_nothing_warns():
    X, y = rows()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CertifiedBound(C=1.0).fit(chunked(X, CUTS["uneven and empty"]), y)
