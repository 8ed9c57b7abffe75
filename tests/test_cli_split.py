"""Rows held out for testing: some of every class, and never all of one."""

import numpy as np
import pytest

from skpoison._cli.sample import split_rows
from skpoison._io import DataError


@pytest.mark.parametrize("share", [1e-9, 0.1, 0.3, 0.5, 0.75, 0.9, 0.999999])
@pytest.mark.parametrize("counts", [(2, 40), (2, 2), (3, 5, 100)])
def test_every_class_is_trained_on_and_tested_on(share, counts):
    codes = np.random.default_rng(0).permutation(np.repeat(range(len(counts)), counts))
    train, test = split_rows(codes, share, seed=0)
    np.testing.assert_array_equal(np.sort(np.r_[train, test]), np.arange(len(codes)))
    assert np.all(np.diff(train) > 0) and np.all(np.diff(test) > 0)
    held = np.bincount(codes[test], minlength=len(counts))
    for n_rows, n_held in zip(counts, held, strict=True):
        assert 1 <= n_held <= n_rows - 1
        assert n_held in (1, n_rows - 1) or abs(n_held - share * n_rows) <= 0.5


def test_draws_depend_on_the_seed():
    codes = np.repeat([0, 1], 30)
    first, again, other = (split_rows(codes, 0.3, seed)[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_share_of_zero_holds_nothing_out():
    train, test = split_rows(np.array([0, 1]), 0, seed=0)
    np.testing.assert_array_equal(train, [0, 1])
    assert len(test) == 0


def test_a_class_of_one_row_cannot_be_split():
    with pytest.raises(DataError, match="single row"):
        split_rows(np.array([0, 1, 1]), 0.3, seed=0)
