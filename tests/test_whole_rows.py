"""Shares of rows as whole rows."""

import itertools

import numpy as np
import pytest

from skpoison._whole_rows import (
    apportion,
    apportion_evenly,
    apportion_upwards,
    copied_points,
    n_poison_rows,
    round_down,
)


def drawn_shares(seed):
    """Shares with ties, whole numbers and zeros among them."""
    rng = np.random.default_rng(seed)
    shares = rng.exponential(1.5, rng.integers(1, 5))
    return np.round(2 * shares) / 2 if seed % 2 else shares * (rng.random() < 0.8)


def all_counts(n_points, total):
    counts = itertools.product(range(total + 1), repeat=n_points)
    return np.array([count for count in counts if sum(count) == total])


@pytest.mark.parametrize("seed", range(30))
def test_no_whole_numbers_of_the_sum_are_nearer_to_the_shares(seed):
    shares = drawn_shares(seed)
    for total in range(7):
        copies = apportion(shares, total)
        assert copies.sum() == total
        squares = ((all_counts(len(shares), total) - shares) ** 2).sum(axis=1)
        assert ((copies - shares) ** 2).sum() == pytest.approx(squares.min(), abs=1e-9)


def test_equal_remainders_go_by_priority():
    halves = np.array([0.5, 1.5, 0.0, 2.5])
    assert apportion(halves, 4).tolist() == [1, 1, 0, 2]
    assert apportion(halves, 4, np.array([1, 2, 9, 3])).tolist() == [0, 1, 0, 3]
    assert apportion(halves, 2, np.array([3, 2, 9, 1])).tolist() == [0, 1, 0, 1]
    assert apportion_upwards(halves, 4).tolist() == [0, 1, 0, 3]


@pytest.mark.parametrize("total", range(4))
@pytest.mark.parametrize("shares", [[0.2, 2.4], [1.0, 2.0], [0.0, 0.0], [1.5, 1.5]])
def test_copies_are_rounded_up_as_far_as_there_are_rows(shares, total):
    copies = apportion_upwards(np.array(shares), total)
    assert copies.sum() <= total
    assert (copies <= np.ceil(shares)).all()
    if np.ceil(shares).sum() <= total:
        np.testing.assert_array_equal(copies, np.ceil(shares))
    else:
        assert copies.sum() == total


def test_inaccurate_whole_numbers_are_not_rounded_up():
    shares = np.array([2.0 + 1e-8, 1.0 - 1e-8, 1e-8])
    assert apportion_upwards(shares, 10).tolist() == [2, 1, 0]


@pytest.mark.parametrize("n_points", [1, 3, 7, 49, 1000])
def test_even_copies_differ_by_at_most_one(n_points):
    gains = np.random.default_rng(0).normal(size=n_points)
    for total in range(0, 3000, 17):
        each, rest = divmod(total, n_points)
        first = each + (np.arange(n_points) < rest)
        np.testing.assert_array_equal(apportion_evenly(total, n_points), first)
        most = apportion_evenly(total, n_points, gains)
        assert most.sum() == total
        assert set(most - each) <= {0, 1}
        assert (most @ gains) >= first @ gains


def test_nothing_is_shared_among_nobody():
    assert apportion_evenly(0, 0).tolist() == []
    assert apportion_upwards(np.zeros(0), 3).tolist() == []
    assert copied_points(np.zeros(0, dtype=int)).tolist() == []


def test_share_of_poison_is_rounded_down_to_whole_rows():
    assert n_poison_rows(0.03, 100) == 3
    assert n_poison_rows(0.3, 10) == 3
    assert n_poison_rows(0.29, 10) == 2
    assert n_poison_rows(0.0, 10) == 0
    assert round_down(0.29 * np.array([10, 100])).tolist() == [2, 29]
