"""Order statistics in passes, against those of values in memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skpoison.filters._bins import Tally, bins_of, in_bins
from skpoison.filters._order_statistics import BinnedSample, MissingValues
from skpoison.filters._threshold import (
    FEW,
    Sample,
    end_of_bulk,
    quantiles,
    radius_of_share,
)


def answered(values, question, most_passes=4):
    """Ask in passes over two blocks; return the answer and the number of passes."""
    blocks = np.array_split(values, 2)
    bins = Tally.sum([Tally.of(bins_of(block)) for block in blocks])
    sample = BinnedSample(bins, values.max())
    for n_passes in range(1, most_passes + 1):
        try:
            return question(sample), n_passes
        except MissingValues as missing:
            sample.ranges = missing.ranges
            found = [Tally.of(in_bins(block, sample.ranges)) for block in blocks]
            sample.gathered = Tally.sum(found)
    raise AssertionError("too many passes")


kinds = st.sampled_from(["normal", "whole", "tied", "zeros", "heavy", "tiny"])


def draw(kind, size, seed):
    rng = np.random.default_rng(seed)
    values = np.abs(rng.normal(size=size))
    if kind == "whole":
        return np.floor(3 * values)
    if kind == "tied":
        values[rng.random(size) < 0.4] = np.quantile(values, 0.7)
    if kind == "zeros":
        values[rng.random(size) < 0.5] = 0.0
    if kind == "heavy":
        return np.exp(8 * rng.normal(size=size))
    return values * 5e-310 if kind == "tiny" else values


@settings(deadline=None, max_examples=60)
@given(kinds, st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_the_bulk_ends_where_it_does_in_memory(kind, size, seed):
    values = draw(kind, size, seed)
    found, _ = answered(values, end_of_bulk)
    assert found == pytest.approx(end_of_bulk(Sample(values)), rel=1e-12, abs=0)


@settings(deadline=None, max_examples=100)
@given(
    kinds,
    st.integers(1, 400),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.1, 33.3, 50, 70, 100]),
    st.sampled_from([0.0, 1e-3]),
)
def test_a_share_has_the_radius_that_it_has_in_memory(kind, size, seed, share, slack):
    values = draw(kind, size, seed)

    def radius(sample):
        return radius_of_share(sample, share, np.float64, slack * sample.largest)

    found, _ = answered(values, radius)
    expected = radius(Sample(values))
    assert found == pytest.approx(expected, rel=1e-12, abs=0)


def test_one_pass_counts_and_one_gathers():
    values = draw("normal", 5000, 0)
    assert answered(values, end_of_bulk)[1] == 2
    assert answered(values, lambda s: radius_of_share(s, 70, np.float64))[1] == 2


def test_few_values_are_gathered():
    values = draw("normal", 200_000, 0)
    sample = BinnedSample(Tally.of(bins_of(values)), values.max())
    with pytest.raises(MissingValues) as missing:
        end_of_bulk(sample)
    assert len(in_bins(values, missing.value.ranges)) < 0.01 * len(values)


@pytest.mark.parametrize("n_rows", [1_000, 300_000])
def test_most_values_must_be_equal_where_bins_are_full(n_rows):
    values = np.random.default_rng(0).uniform(1.0, 1.1, n_rows)
    bins = bins_of(values)
    for tally in (Tally.of_bins(bins), Tally.of_bins(np.append(bins, 1 << 22))):
        assert tally.counts.sum() - n_rows in (0, 1)
    sample = BinnedSample(Tally.of_bins(bins), values.max())
    question = 1.05 - 1e-6, 1.05 + 1e-6, 1e-6
    if n_rows > 1_000:  # nothing has to be gathered
        assert sample.is_mostly_equal(*question)
        assert Sample(values).is_mostly_equal(*question)
    else:
        assert not Sample(values).is_mostly_equal(*question)
        with pytest.raises(MissingValues):
            sample.is_mostly_equal(*question)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
@pytest.mark.parametrize("most", [1 << 21, 2_000])
def test_of_very_many_values_those_in_some_bins_are_compared(share, most, monkeypatch):
    monkeypatch.setattr("skpoison.filters._threshold.MOST_COMPARED", most)
    rng = np.random.default_rng(0)
    values = np.abs(rng.normal(size=30_000))
    copied = rng.random(30_000) < share
    values[copied] = values[~copied][rng.integers(0, 500, copied.sum())]

    def question(sample):
        return sample.is_mostly_equal(1.0, 1.0, 1e-9)

    found, _ = answered(values, question)
    assert found == question(Sample(values)) == (share > 0.5)
    bins = Tally.of(bins_of(values))
    sample = BinnedSample(bins, values.max())
    with pytest.raises(MissingValues) as missing:
        question(sample)
    n_gathered = len(in_bins(values, missing.value.ranges))
    assert n_gathered == 30_000 if most > 30_000 else n_gathered < 2 * most


@pytest.mark.parametrize("kind", ["normal", "whole", "tied", "zeros"])
@pytest.mark.parametrize("size", [FEW, FEW + 1, 20_000])
@pytest.mark.parametrize("shares", [[0.25, 0.5, 0.75], [0.7], [1.0, 0.0, 0.0], [1e-5]])
def test_quantiles_selected_one_by_one_are_those_of_numpy(kind, size, shares):
    values = draw(kind, size, seed=0)
    before = values.copy()
    np.testing.assert_array_equal(
        quantiles(values, shares), np.quantile(values, shares)
    )
    np.testing.assert_array_equal(values, before)


def test_sums_of_tallies():
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 9, size).astype(float) for size in (0, 5, 40)]
    for some in (parts, parts[:1]):
        found, whole = Tally.sum(map_of(some)), Tally.of(np.concatenate(some))
        np.testing.assert_array_equal(found.values, whole.values)
        np.testing.assert_array_equal(found.counts, whole.counts)


def map_of(parts):
    return [Tally.of(part) for part in parts]
