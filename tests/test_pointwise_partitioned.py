"""Votes of models fitted on parts: which rows they see, and what attackers can do."""

import pickle
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_blobs
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skpoison import PartitionedClassifier, certified_radius
from skpoison.pointwise._hashing import row_digests
from skpoison.pointwise._parts import leads


@pytest.fixture
def blobs():
    X, y = make_blobs(150, centers=3, n_features=4, cluster_std=4.0, random_state=0)
    return X, np.array(["ant", "bee", "cat"])[y]


def fitted(data, estimator=None, **params):
    return PartitionedClassifier(estimator or GaussianNB(), **params).fit(*data)


def same_votes(one, other, X):
    np.testing.assert_array_equal(one._votes(X)[1], other._votes(X)[1])


def test_parts_depend_on_nothing_but_the_row(blobs):
    X, y = blobs
    order = np.random.default_rng(0).permutation(len(X))
    model = fitted(blobs, n_partitions=9)
    same_votes(model, fitted((X[order], y[order]), n_partitions=9), X)
    fewer = fitted((X[20:], y[20:]), n_partitions=9)
    touched = {i for row in X[:20] for i in np.flatnonzero(_sees(model, X, row))}
    equal = [np.array_equal(a, b) for a, b in _pairs_of_votes(model, fewer, X)]
    assert {i for i, same in enumerate(equal) if not same} <= touched


def _sees(model, X, row):
    place = int(np.flatnonzero((row == X).all(axis=1))[0])
    return [place in part for part in model._members(model._y, model._digests)]


def _pairs_of_votes(one, other, X):
    return zip(one._votes(X)[1].T, other._votes(X)[1].T, strict=True)


@pytest.mark.parametrize(
    "same",
    [
        lambda X: sparse.csr_matrix(X),
        lambda X: sparse.coo_array(X),
        lambda X: np.asfortranarray(X),
        lambda X: X.astype(np.int64),
        lambda X: pd.DataFrame(X).astype({0: np.float32, 1: np.int8}),
        lambda X: np.where(X == 0, -0.0, X),
    ],
)
def test_the_same_numbers_have_the_same_digests(same):
    X = np.random.default_rng(0).integers(-2, 3, (20, 3)).astype(float)
    np.testing.assert_array_equal(row_digests(same(X)), row_digests(X))


def test_other_rows_have_other_digests():
    rows = [["a", 1.5], ["a1", 0.5], ["a", None], [None, "a"], ["", "a"], [True, "a"]]
    frame = pd.DataFrame(rows, dtype=object)
    assert len(np.unique(row_digests(frame), axis=0)) == len(rows)
    large = np.array([[2**60], [2**60 + 1], [0]])
    assert len(np.unique(row_digests(large), axis=0)) == 3
    missing = np.array([[np.nan, 0.0], [0.0, np.nan], [-np.nan, 0.0]])
    assert len(np.unique(row_digests(missing), axis=0)) == 2


def test_what_cannot_be_hashed_is_refused():
    frame = pd.DataFrame({"a": [object(), object()]})
    with pytest.raises(TypeError, match="X must hold numbers, text"):
        fitted((frame, [0, 1]))


@pytest.mark.parametrize(
    "estimator",
    [
        LinearSVC(),
        RidgeClassifier(),
        LogisticRegression(max_iter=1000),
        MultinomialNB(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_one_product_predicts_as_each_linear_model_does(
    estimator, n_classes, container, blobs
):
    X, y = np.abs(blobs[0]), blobs[1]
    wanted = np.isin(y, np.unique(y)[:n_classes])
    X, y = container(X[wanted]), y[wanted]
    model = fitted((X, y), estimator, n_partitions=12)
    single = [part.predict(X) for part in model.estimators_ if part is not None]
    votes = np.delete(model._votes(X)[1], _abstaining(model), axis=1)
    np.testing.assert_array_equal(model.classes_[votes.T], single)
    sizes = {len(part.classes_) for part in model.estimators_ if part is not None}
    assert n_classes in sizes


def _abstaining(model):
    return [i for i, part in enumerate(model.estimators_) if part is None]


def test_empty_parts_abstain_and_parts_of_one_class_predict_it(blobs):
    X, y = blobs[0][:8], blobs[1][:8]
    model = fitted((X, y), LogisticRegression(), n_partitions=40)
    assert {0, 1} <= set(model.part_sizes_)
    votes = model._votes(X)[1]
    for size, part, vote in zip(
        model.part_sizes_, model.estimators_, votes.T, strict=True
    ):
        assert (part is None) == (size == 0)
        assert np.all((vote == -1) == (size == 0))
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)


def test_parts_that_cannot_be_fitted_abstain_with_one_warning(blobs):
    few = KNeighborsClassifier(n_neighbors=9)
    with pytest.warns(UserWarning, match=r"of 20 parts abstain") as caught:
        model = fitted(blobs, few, n_partitions=20)
    assert len(caught) == 1
    assert 0 < sum(part is None for part in model.estimators_) < 20
    with pytest.raises(ValueError, match="cannot be fitted on any part"):
        fitted(blobs, KNeighborsClassifier(n_neighbors=500), n_partitions=3)


ATTACKED = {
    "vote": {"n_partitions": 9},
    "spread": {"n_partitions": 5, "spread": 2},
    "run_off": {"n_partitions": 9, "aggregation": "run_off"},
    "both": {"n_partitions": 5, "aggregation": "run_off", "spread": 2},
}


@pytest.mark.parametrize("name", ATTACKED)
def test_no_attack_within_the_radius_changes_a_prediction(name, blobs):
    X, y = blobs
    model = fitted(blobs, **ATTACKED[name])
    radii = certified_radius(model, X, attack="insert_delete")
    before = model.predict(X)
    rng = np.random.default_rng(0)
    assert radii.max() >= 2
    for trial in range(12):
        size = 1 + trial % 3
        safe = radii >= size
        attacked = _attacked(X, y, size, rng)
        after = clone(model).fit(*attacked).predict(X)
        np.testing.assert_array_equal(after[safe], before[safe])


def _attacked(X, y, size, rng):
    """Delete some rows, and insert others that bear the wrong label far out."""
    n_deleted = rng.integers(0, size + 1)
    kept = np.sort(rng.permutation(len(X))[n_deleted:])
    places = rng.integers(len(X), size=size - n_deleted)
    wrong = rng.permutation(y)[places]
    return np.vstack([X[kept], 3.0 * X[places]]), np.append(y[kept], wrong)


@pytest.mark.parametrize("hash", ["content", "rank"])
def test_all_pairs_of_flips_on_small_data_stay_within_the_radius(hash):
    X, y = make_blobs(12, centers=[[-2, 0], [2, 0]], random_state=0)
    X[3] = X[2]  # a duplicate, with a label of its own
    model = fitted((X, y), LogisticRegression(), n_partitions=7, hash=hash)
    radii = certified_radius(model, X, attack="flip")
    before = model.predict(X)
    assert radii.max() >= 1
    for size in (1, 2):
        changed = np.zeros(len(X), dtype=bool)
        for places in combinations(range(12), size):
            flipped = y.copy()
            flipped[list(places)] ^= 1
            after = fitted(
                (X, flipped), LogisticRegression(), n_partitions=7, hash=hash
            )
            changed |= after.predict(X) != before
        assert not changed[radii >= size].any()
        assert changed.any()


def test_a_flip_touches_one_part_by_rank_even_where_rows_are_equal():
    X = np.repeat(np.arange(6.0), 3)[:, None]
    y = np.arange(18) % 2
    model = fitted((X, y), n_partitions=3, hash="rank")
    assert set(model.part_sizes_) == {6}
    flipped = np.where(np.arange(18) == 4, 1 - y, y)
    other = fitted((X, flipped), n_partitions=3, hash="rank")
    prints = (model._fingerprints, other._fingerprints)
    changed = [a != b for a, b in zip(*prints, strict=True)]
    assert sum(changed) == 1
    with pytest.raises(ValueError, match="hash='rank' certifies attack='flip' only"):
        certified_radius(model, X, attack="insert_delete")


def test_a_change_costs_two(blobs):
    model = fitted(blobs, n_partitions=9)
    each = [
        certified_radius(model, blobs[0], attack=attack)
        for attack in ("insert_delete", "flip", "change")
    ]
    np.testing.assert_array_equal(each[0], each[1])
    np.testing.assert_array_equal(each[0] // 2, each[2])


@pytest.mark.parametrize(
    "params", [{}, {"spread": 3}, {"hash": "rank"}], ids=["plain", "spread", "rank"]
)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, pd.DataFrame])
def test_update_is_fitting_to_all_rows(params, container, blobs):
    X, y = container(blobs[0]), blobs[1]
    whole = fitted((X, y), RidgeClassifier(), n_partitions=6, **params)
    parts = fitted((X[:140], y[:140]), RidgeClassifier(), n_partitions=6, **params)
    parts.update(X[140:], y[140:])
    assert parts._fingerprints == whole._fingerprints
    same_votes(parts, whole, X)
    if not params:  # ten rows are in fewer parts than there are
        parts.update(X[:1], y[:1])
        former = parts.estimators_
        parts.update(X[1:2], y[1:2])
        again = [a is not b for a, b in zip(parts.estimators_, former, strict=True)]
        assert sum(again) == 1


def test_partial_fit_knows_the_classes_that_it_is_told(blobs):
    X, y = blobs
    one = y == "ant"
    model = PartitionedClassifier(GaussianNB(), 4)
    model.partial_fit(X[one], y[one], classes=["ant", "bee", "cat"])
    assert set(model.predict(X)) == {"ant"}
    model.partial_fit(X[~one], y[~one])
    same_votes(model, fitted(blobs, n_partitions=4), X)
    with pytest.raises(ValueError, match=r"fitted on: \['dog'\]"):
        model.partial_fit(X[:1], ["dog"])


def test_texts_tables_and_scalers_are_encoded_within_parts(blobs):
    texts = [f"word{i % 3} other{i % 7}" for i in range(60)]
    labels = ["spam" if i % 3 == 0 else "ham" for i in range(60)]
    words = make_pipeline(CountVectorizer(), MultinomialNB())
    for container in (list, pd.Series, lambda t: np.array(t, dtype=object)):
        model = fitted((container(texts), labels), words, n_partitions=3)
        assert model.score(container(texts), labels) == 1.0
    few = fitted((texts[:8], labels[:8]), words, n_partitions=2).estimators_
    assert [len(p[0].vocabulary_) for p in few] != [10, 10]
    frame = pd.DataFrame({"word": texts, "number": np.arange(60.0)})
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["word"]),
        (StandardScaler(), ["number"]),
    )
    tree = make_pipeline(encoder, DecisionTreeClassifier())
    model = fitted((frame, labels), tree, n_partitions=4)
    assert certified_radius(model, frame, attack="insert_delete").max() >= 1
    means = {tuple(p[0].transformers_[1][1].mean_) for p in model.estimators_}
    assert len(means) > 1


def test_numbers_that_are_not_finite_are_refused_in_tables_too(blobs):
    frame = pd.DataFrame(blobs[0]).rename(columns=str)
    frame.loc[3, "1"] = np.inf
    with pytest.raises(ValueError, match="column '1', row 3"):
        fitted((frame, blobs[1]))


def test_frozen_steps_are_named(blobs):
    scaler = FrozenEstimator(StandardScaler().fit(blobs[0]))
    model = fitted(blobs, make_pipeline(scaler, GaussianNB()))
    assert model.frozen_ == ["frozenestimator"]


def test_randomness_is_fixed_and_searches_and_pickles_work(blobs):
    X, y = blobs
    tree = DecisionTreeClassifier(max_features=1)
    same_votes(*(fitted(blobs, tree, n_partitions=8) for _ in range(2)), X)
    search = GridSearchCV(
        PartitionedClassifier(tree),
        {"n_partitions": [3, 9], "estimator__max_depth": [1, 3]},
        cv=2,
    ).fit(X, y)
    best = search.best_estimator_
    same_votes(best, pickle.loads(pickle.dumps(best)), X)
    with parallel_config("threading"):
        parallel = fitted(blobs, tree, n_partitions=8, n_jobs=2)
    same_votes(parallel, fitted(blobs, tree, n_partitions=8), X)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_partitions": 0}, "'n_partitions' parameter"),
        ({"hash": "index"}, "'hash' parameter"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(params, message, blobs):
    with pytest.raises(ValueError, match=message):
        fitted(blobs, **params)


@pytest.mark.parametrize("estimator", [LogisticRegression(), GaussianNB()])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_models_prefer_the_class_that_they_score_higher(estimator, n_classes, blobs):
    X, y = blobs
    wanted = np.isin(y, np.unique(y)[:n_classes])
    X, y = X[wanted], y[wanted]
    model = fitted((X, y), estimator, aggregation="run_off", n_partitions=25)
    wins = model._wins(X)
    expected = np.zeros_like(wins)
    for part in model.estimators_:
        if part is None:
            continue
        scores = np.full((len(X), n_classes), -1.0)
        scores[:, np.searchsorted(model.classes_, part.classes_)] = part.predict_proba(
            X
        )
        for a in range(n_classes):
            for b in set(range(n_classes)) - {a}:
                ahead = scores[:, a] - scores[:, b]
                expected[:, a, b] += (ahead > 0) | ((ahead == 0) & (a < b))
    np.testing.assert_array_equal(wins, expected)
    winner = np.arange(len(X)) % n_classes
    above = leads(model.estimators_, model.classes_, X, winner).sum(axis=1)
    each = np.arange(len(X))
    others = np.arange(n_classes) != winner[:, None]
    margins = wins[each, winner] - wins[each, :, winner]
    np.testing.assert_array_equal(above[others], margins[others])
    assert {len(p.classes_) for p in model.estimators_ if p is not None} > {1}


def test_run_off_needs_scores(blobs):
    class NoScores(NearestCentroid):
        decision_function = predict_proba = property()

    model = fitted(blobs, NoScores(), aggregation="run_off", n_partitions=3)
    with pytest.raises(ValueError, match="has neither"):
        model.predict(blobs[0])
