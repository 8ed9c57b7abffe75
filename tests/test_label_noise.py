import numpy as np
import pytest

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
