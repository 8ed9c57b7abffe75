import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import expit, logit
from sklearn.datasets import make_blobs, make_regression
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline

from skpoison.exceptions import FilterWarning
from skpoison.filters import CrossFitFilter
from skpoison.filters._by_models import _share_of_folds
from skpoison.filters._folds import assign_folds, out_of_fold
from skpoison.filters._label_noise import fit_label_noise, smoothed_log


def flipped(n=120, share=0.1, seed=0, std=1.0):
    X, y = make_blobs(
        n, centers=[[-4, 0, 0], [4, 0, 0]], cluster_std=std, random_state=seed
    )
    wrong = np.zeros(n, dtype=bool)
    wrong[:: round(1 / share)] = True
    return X, np.where(wrong, 1 - y, y), wrong


def test_folds_never_split_a_group_and_spread_classes_evenly():
    rng = np.random.RandomState(0)
    codes, groups = rng.randint(3, size=300), rng.randint(200, size=300)
    folds = assign_folds(codes, groups, 5, rng)
    for group in np.unique(groups):
        assert len(np.unique(folds[groups == group])) == 1
    for code in range(3):
        counts = np.bincount(folds[codes == code], minlength=5)
        assert np.ptp(counts) <= 4


def test_a_group_larger_than_a_fold_leaves_the_others_to_the_rest():
    codes = np.zeros(20, dtype=int)
    groups = np.r_[np.zeros(12, dtype=int), np.arange(1, 9)]
    folds = assign_folds(codes, groups, 4, np.random.RandomState(0))
    large = folds[0]
    assert np.all(folds[:12] == large) and not np.any(folds[12:] == large)
    assert sorted(np.bincount(folds[12:], minlength=4)) == [0, 2, 3, 3]


def test_rows_of_a_class_in_one_fold_are_not_judged():
    X = np.arange(9.0)[:, None]
    codes = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])
    folds = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0])
    said = out_of_fold(GaussianNB(), X, codes, folds, 3)
    assert np.isnan(said[8]).all() and not np.isnan(said[:8]).any()


def test_wrong_labels_are_told_from_classes_that_overlap():
    rng = np.random.default_rng(0)
    chances = np.clip(rng.beta(0.3, 0.3, 4000), 0.001, 0.999)
    codes = (rng.random(4000) < chances).astype(int)
    logs = smoothed_log(np.column_stack([1 - chances, chances]), 1000)[None]
    honest = fit_label_noise(logs, codes, np.ones(4000))
    assert 1 - np.diag(honest.matrix).min() < 0.01
    wrong = rng.random(4000) < 0.2
    planted = fit_label_noise(logs, np.where(wrong, 1 - codes, codes), np.ones(4000))
    assert np.all(np.abs(np.diag(planted.matrix) - 0.8) < 0.06)


def test_much_noise_is_told_from_models_that_are_not_sure():
    rng = np.random.default_rng(1)
    chances = np.clip(rng.beta(0.25, 0.25, 600), 0.001, 0.999)
    codes = (rng.random(600) < chances).astype(int)
    wrong = rng.random(600) < 0.2
    unsure = expit(0.4 * logit(chances) + 0.5 * rng.normal(size=600))
    logs = smoothed_log(np.column_stack([1 - unsure, unsure]), 1000)[None]
    noise = fit_label_noise(logs, np.where(wrong, 1 - codes, codes), np.ones(600))
    assert np.all(np.abs(np.diag(noise.matrix) - 0.8) < 0.06)


@pytest.mark.parametrize(
    "estimator",
    [None, LogisticRegression(), RidgeClassifier(), HistGradientBoostingClassifier(
        max_iter=20
    )],
    ids=lambda estimator: type(estimator).__name__,
)  # fmt: skip
def test_flipped_labels_are_found(estimator):
    X, y, wrong = flipped()
    cross_fit = CrossFitFilter(estimator, random_state=0).fit(X, y)
    assert np.array_equal(~cross_fit.inlier_mask_, wrong)
    assert np.array_equal(cross_fit.suggested_labels_[wrong], 1 - y[wrong])
    shares = [wrong[y == label].mean() for label in (0, 1)]
    np.testing.assert_allclose(cross_fit.contamination_, shares)


def test_copies_do_not_vouch_for_one_another():
    X, y, _ = flipped(share=0.001)
    X = np.r_[X, X[[3]] + 1e-6 * np.random.default_rng(0).normal(size=(30, 3))]
    y = np.r_[y, np.full(30, 1 - y[3])]
    tree = HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=5)
    apart = CrossFitFilter(tree, near_copies=None, random_state=0).fit(X, y)
    together = CrossFitFilter(tree, random_state=0).fit(X, y)
    assert len(np.unique(together.groups_[-30:])) == 1
    assert apart.inlier_mask_[-30:].all() and not together.inlier_mask_[-30:].any()
    given = CrossFitFilter(tree, near_copies=together.groups_, random_state=0)
    assert np.array_equal(given.fit(X, y).inlier_mask_, together.inlier_mask_)


def test_tables_texts_and_sparse_rows():
    X, y, wrong = flipped()
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    table["word"] = np.where(X[:, 0] > 0, "high", "low")
    table.loc[::7, "b"] = np.nan
    labels = np.array(["ham", "spam"])[y]
    kept = CrossFitFilter(random_state=0).fit(table, labels).inlier_mask_
    assert np.array_equal(~kept, wrong)
    rng = np.random.default_rng(0)
    vocabulary = {"high": ["sun", "hot", "sky", "top"], "low": ["sea", "wet", "mud"]}
    texts = [
        " ".join([*rng.choice(vocabulary[word], 3), f"rain{i % 29}", f"day{i % 31}"])
        for i, word in enumerate(table["word"])
    ]
    text = CrossFitFilter(random_state=0).fit(texts, labels)
    assert np.array_equal(~text.inlier_mask_, wrong)
    new = text.predict(["sun hot sky", "sea wet mud"], ["spam", "spam"])
    assert new.tolist() == [1, -1]
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression(C=100))
    through = CrossFitFilter(
        pipeline, near_copies=TfidfVectorizer(), random_state=0
    ).fit(texts, labels)
    assert np.sum(~through.inlier_mask_ != wrong) <= 1
    rows = sparse.csr_array(np.abs(X))
    assert CrossFitFilter(random_state=0).fit(rows, y).scores_.shape == (120,)


def test_targets_of_regression():
    X, y = make_regression(150, 4, noise=1.0, random_state=0)
    y[[4, 60]] += 500
    for estimator in (LinearRegression(), None):
        kept = CrossFitFilter(estimator, random_state=0).fit(X, y)
        assert not kept.inlier_mask_[[4, 60]].any()
        assert (~kept.inlier_mask_).mean() < 0.05
        assert kept.predict(X[:1], y[:1]).tolist() == [1]
        assert kept.predict(X[:1], y[:1] + 500).tolist() == [-1]


def test_weights_go_to_the_estimator():
    X, y, wrong = flipped()
    weights = np.where(wrong, 1e-6, 1.0)
    weighted = CrossFitFilter(LogisticRegression(), random_state=0)
    weighted.fit(X, y, sample_weight=weights)
    plain = CrossFitFilter(LogisticRegression(), random_state=0).fit(X, y)
    sure = weighted.out_of_fold_.max(axis=1) > plain.out_of_fold_.max(axis=1)
    assert sure.mean() > 0.9
    wide = sparse.csr_array(np.tile(np.abs(X), 70))
    some = CrossFitFilter(near_copies=None, random_state=0)
    assert some.fit(wide, y, sample_weight=weights).scores_.shape == (120,)


def test_new_rows_are_judged_by_what_was_kept():
    X, y, _ = flipped()
    cross_fit = CrossFitFilter(random_state=0).fit(X, y)
    new = [[4.0, 0, 0], [4.0, 0, 0], [-4.0, 0, 0]]
    assert cross_fit.predict(new, [1, 0, 0]).tolist() == [1, -1, 1]
    assert cross_fit.predict(new).tolist() == [1, 1, 1]


def test_small_classes_are_kept_and_one_class_is_said():
    X, y, _ = flipped()
    y[0] = 7
    assert CrossFitFilter(random_state=0).fit(X, y).inlier_mask_[0]
    with pytest.warns(FilterWarning, match="at least two classes"):
        one = CrossFitFilter().fit(X, np.zeros(len(y)))
    assert one.inlier_mask_.all()
    with pytest.warns(FilterWarning, match="no class is in two folds"):
        kept = CrossFitFilter(GaussianNB()).fit([[0.0], [9.0], [0.0]], [0, 1, 0])
    assert kept.inlier_mask_.all()


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"cv": 1}, "'cv' parameter"),
        ({"near_copies": "Auto"}, "'near_copies' parameter"),
        ({"near_copies": [0, 1]}, "got 2 groups for 120 rows"),
        ({"threshold": 0.0}, "'threshold' parameter"),
    ],
)
def test_bad_parameters(parameters, match):
    X, y, _ = flipped()
    with pytest.raises(ValueError, match=match):
        CrossFitFilter(**parameters).fit(X, y)


class Mute(NearestCentroid):
    """Predicts, and says nothing else."""

    decision_function = predict_proba = property()


def test_an_estimator_must_say_how_sure_it_is():
    X, y, _ = flipped()
    with pytest.raises(ValueError, match="predict_proba or decision_function"):
        CrossFitFilter(Mute()).fit(X, y)


def test_a_column_of_numbers_and_texts_is_named():
    X, y, _ = flipped()
    table = pd.DataFrame(X, columns=["a", "b", "c"]).astype({"b": object})
    table.loc[3, "b"] = "n/a"
    with pytest.raises(ValueError, match="'b' of X holds numbers and texts, such as"):
        CrossFitFilter().fit(table, y)


def test_models_for_new_rows_see_as_much_of_each_class_as_those_of_folds():
    codes = np.repeat([0, 1, 2], [101, 53, 3])
    rows = np.arange(1, len(codes))
    some = _share_of_folds(rows, codes, np.random.RandomState(0))
    assert np.isin(some, rows).all() and np.all(np.diff(some) > 0)
    assert np.bincount(codes[some]).tolist() == [80, 43, 3]
