import numpy as np
import pytest
from sklearn.datasets import make_classification

from skpoison import AutoFilter
from skpoison.filters._label_noise import judge_labels


def _rejected(said, codes):
    said = np.stack([np.column_stack([1 - said, said])])
    rng = np.random.RandomState(0)
    groups = np.arange(len(codes))
    _, noise, chance = judge_labels(said, np.array([200]), codes, groups, rng)
    return chance > noise.cut


@pytest.mark.parametrize("seed", range(4))
def test_overlap_that_models_can_order_is_no_noise(seed):
    rng = np.random.default_rng(seed)
    low, high = 0.25 * rng.random(2000) ** 1.5, 1 - 0.2 * rng.random(2000) ** 2
    share = np.where(rng.random(2000) < 0.7, low, high)
    codes = (rng.random(2000) < share).astype(int)
    assert _rejected(0.12 + 0.8 * share, codes).mean() < 0.005


@pytest.mark.parametrize("seed", range(4))
def test_labels_changed_at_random_in_one_class_are_noise(seed):
    rng = np.random.default_rng(seed)
    truth = (rng.random(2000) < 0.3).astype(int)
    wrong = (truth == 0) & (rng.random(2000) < 0.08)
    said = np.where(truth, 0.97, 0.08) + rng.uniform(-0.02, 0.02, 2000)
    assert np.array_equal(_rejected(said, np.where(wrong, 1, truth)), wrong)


@pytest.mark.parametrize("seed", range(2))
def test_honest_labels_that_models_cannot_predict_are_kept(seed):
    t = np.arange(1500)
    noise = 0.05 * np.random.default_rng(seed).normal(size=(1500, 8))
    X = np.sin(np.outer(t, np.arange(1, 9)) / 50) + noise
    auto = AutoFilter(random_state=0).fit(X, t > 750)
    assert np.mean(auto.tests_ == "label") < 0.02


def test_another_label_is_suggested_for_each_that_is_rejected():
    X, y = make_classification(
        800, 12, n_informative=5, flip_y=0.3, class_sep=0.7, random_state=21
    )
    auto = AutoFilter(random_state=0).fit(X, y)
    by_label = auto.tests_ == "label"
    assert by_label.mean() > 0.02
    assert not np.any(auto.suggested_labels_[by_label] == y[by_label])
    new = auto.predict(X, y) == -1
    assert new.mean() > 0.02


@pytest.mark.parametrize("n_classes", [4, 5])
def test_few_labels_are_rejected_where_models_are_sure_of_few_rows(n_classes):
    X, y = make_classification(
        900, 10, n_informative=6, n_classes=n_classes, class_sep=0.2, random_state=3
    )
    auto = AutoFilter(random_state=0).fit(X, y)
    wrong = auto.out_of_fold_.argmax(axis=1) != y
    assert wrong.mean() > 0.2
    assert np.mean(auto.tests_ == "label") <= 0.04
