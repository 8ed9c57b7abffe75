"""Thresholds that are read from the distances of a class."""

import numpy as np
import pytest
from scipy import stats

from skpoison.filters._threshold import bulk_threshold

LAWS = {
    "normal": stats.norm(10, 1),
    "chi": stats.chi(5),
    "log-normal": stats.lognorm(1.0),
    "exponential": stats.expon(),
    "gamma": stats.gamma(3),
    "uniform": stats.uniform(1, 1),
}
each_law = pytest.mark.parametrize("law", LAWS.values(), ids=list(LAWS))


@each_law
def test_honest_distances_are_kept(law):
    d = law.rvs(5000, random_state=0)
    assert np.mean(d > bulk_threshold(d)) <= 0.003


@each_law
@pytest.mark.parametrize("share", [0.02, 0.15])
def test_far_rows_are_beyond_it_however_far(law, share):
    d = law.rvs(2000, random_state=1)
    n_far = int(share * len(d))
    thresholds = [
        bulk_threshold(np.r_[d, np.full(n_far, far)]) for far in (1e4, 1e8, 1e300)
    ]
    assert thresholds[0] < 1e4
    assert thresholds == thresholds[:1] * 3


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1e150])
def test_the_unit_of_distances_does_not_matter(scale):
    d = stats.gamma(2).rvs(300, random_state=2)
    assert bulk_threshold(d * scale) == pytest.approx(bulk_threshold(d) * scale)


def test_the_quantiles_of_a_normal_law_are_its_own():
    d = stats.norm(100, 1).ppf((np.arange(100_000) + 0.5) / 100_000)
    assert bulk_threshold(d, deviations=3) == pytest.approx(103, abs=0.06)


@pytest.mark.parametrize(
    "d",
    [
        np.empty(0),
        np.array([3.0]),
        np.r_[np.ones(8), 90],
        np.ones(50),
        np.r_[np.zeros(50), np.arange(9.0)],
        np.r_[np.full(80, 2.0), np.arange(9.0)],
        1 + 1e-13 * np.arange(50),
    ],
)
def test_where_nothing_is_usual_all_are_kept(d):
    assert bulk_threshold(d) == np.max(d, initial=0)


def test_many_zeros_do_not_count():
    d = stats.gamma(2).rvs(300, random_state=3)
    assert bulk_threshold(np.r_[d, np.zeros(200)]) == bulk_threshold(d)
