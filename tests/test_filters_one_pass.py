"""Filters that are fitted in one pass over blocks, against those fitted at once."""

import copy
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_filters_passes import (
    FILTERS,
    assert_like,
    fit_in_passes,
    fitted_quietly,
    rows,
    split,
)

from skpoison.filters import SlabFilter, SphereFilter
from skpoison.filters._guess import Ball, Guess, Limits, measured, scale_of
from skpoison.filters._order_statistics import MissingValues, Zone
from skpoison.filters._threshold import Sample, radius_of_share

JUDGED = {
    name: FILTERS[name] for name in ("share", "l1", "published", "either", "nested")
} | {
    "slab": SlabFilter(percentile=80),
    "slab of known centroids": SlabFilter(
        60, centroids=[[0] * 3, [2, 3, 4], [4, 0, 8]]
    ),
    "sphere of known radii": SphereFilter(radii=[1.5, 2.0, 2.5]) & SlabFilter(90),
    "labels that only one knows": SphereFilter(radii={0: 2.0, 2: 1.5})
    | SphereFilter(50),
    "labels that none knows": SphereFilter(radii={0: 2.0, 2: 1.5}),
    "all rows": SphereFilter(100) & SlabFilter(99.9),
}


def apart(kind, n_samples, seed=0, n_classes=3):
    """Rows of classes whose means are not on a line, and their labels."""
    X, y = rows(kind, n_samples, seed, n_classes)
    X[y == 1, 1] += 3
    return X, y


def fit_both(filter_, X, y, cuts, copies=1):
    """Return a filter fitted in passes, one fitted at once, and how many passes."""
    expected = fitted_quietly(copy.deepcopy(filter_).fit, X, y)
    found = copy.deepcopy(filter_)
    n_passes = fitted_quietly(fit_in_passes, found, split(X, y, cuts), copies)
    return found, expected, n_passes


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(sorted(JUDGED)),
    st.sampled_from(["dense", "float32", "far"]),
    st.lists(st.integers(0, 2_000), max_size=6),
    st.integers(1, 3),
    st.integers(0, 3),
)
def test_one_pass_changes_nothing(name, kind, cuts, copies, seed):
    X, y = apart(kind, 2_000, seed)
    found, expected, _ = fit_both(JUDGED[name], X, y, cuts, copies)
    assert_like(found, expected, rtol=1e-9 if kind == "dense" else 1e-6)


@pytest.fixture
def often_tightened(monkeypatch):
    """Less is supposed after each block or two, however few rows are left."""
    monkeypatch.setattr("skpoison.filters._judged.MANY_BYTES", 0)


@pytest.mark.usefixtures("often_tightened")
@pytest.mark.parametrize("name", sorted(JUDGED))
@pytest.mark.parametrize("kind", ["dense", "float32"])
def test_one_pass_is_enough_where_blocks_are_alike(name, kind):
    X, y = apart(kind, 40_000)
    cuts = range(10_000, 40_000, 10_000)
    found, expected, n_passes = fit_both(JUDGED[name], X, y, cuts, 2)
    assert n_passes == 1
    assert_like(found, expected, rtol=1e-9)


def test_few_rows_are_left(monkeypatch):
    X, y = apart("float32", 80_000, n_classes=2)

    def left():
        found = copy.deepcopy(FILTERS["published"])
        for block in split(X, y, range(10_000, 80_000, 10_000)):
            found.partial_fit(*block)
        return found._passes.judged.n_bytes

    without = left()
    assert without < 0.4 * X.nbytes
    # What is supposed gets less as there are more rows, and old ones are let go.
    monkeypatch.setattr("skpoison.filters._judged.MANY_BYTES", 0)
    assert left() < 0.6 * without


ORDERS = {
    "by class": lambda X, y: np.argsort(y, kind="stable"),
    "by distance": lambda X, y: np.argsort(np.linalg.norm(X, axis=1)),
    "by a feature": lambda X, y: np.argsort(X[:, 1]),
    "a class comes late": lambda X, y: np.argsort(y == 2, kind="stable"),
}


@pytest.mark.parametrize("name", sorted(JUDGED))
@pytest.mark.parametrize("order", [*sorted(ORDERS), "drift", "a far block"])
def test_blocks_that_are_not_alike_change_nothing(name, order):
    X, y = apart("dense", 20_000)
    if order in ORDERS:
        places = ORDERS[order](X, y)
        X, y = X[places], y[places]
    elif order == "drift":
        X += np.linspace(0, 0.2, len(X))[:, None]
    else:
        X[:2_000] += 5.0
    cuts = [0, 0, *range(2_000, 20_000, 2_000), 20_000]
    found, expected, n_passes = fit_both(JUDGED[name], X, y, cuts, 3)
    assert_like(found, expected, rtol=1e-9)
    if name == "published":
        assert n_passes > 1 or order == "drift"


@pytest.mark.parametrize("name", ["share", "slab", "published", "nested"])
@pytest.mark.parametrize("wrong", ["means", "radii"])
def test_what_is_supposed_wrongly_is_seen(name, wrong, monkeypatch):
    X, y = apart("dense", 20_000)
    change = {
        "means": ("_guess.LARGER", 1e-12),
        "radii": ("_supposed.DEVIATIONS", -0.5),
    }[wrong]
    monkeypatch.setattr(f"skpoison.filters.{change[0]}", change[1])
    found, expected, n_passes = fit_both(JUDGED[name], X, y, [5_000, 9_000])
    assert n_passes > 1
    assert_like(found, expected, rtol=1e-9)


@pytest.mark.parametrize("limit", ["MOST_BYTES", "LARGEST_SHARE", "MOST_OF_BLOCK"])
def test_rows_that_are_left_have_limits(limit, monkeypatch):
    X, y = rows("float32", 20_000, n_classes=2)
    judged = "skpoison.filters._judged"
    monkeypatch.setattr(f"{judged}.FEW_BYTES", 0)
    filter_ = copy.deepcopy(FILTERS["published"])
    assert fit_both(filter_, X, y, [9_000])[2] == 1
    monkeypatch.setattr(
        f"{judged}.{limit}", 0.01 if limit == "LARGEST_SHARE" else 1_000
    )
    blocks = split(X, y, [9_000])
    filter_.partial_fit(*blocks[0]).partial_fit(*blocks[1])
    assert filter_._passes.judged is None
    found, expected, n_passes = fit_both(FILTERS["published"], X, y, [9_000])
    assert n_passes == 2
    assert_like(found, expected)


@pytest.mark.parametrize("kind", ["sparse", "whole", "copies"])
def test_rows_that_are_not_judged(kind):
    X, y = rows(kind, 6_000)
    found, expected, _ = fit_both(FILTERS["published"], X, y, [1_000, 4_000], 2)
    assert_like(found, expected)


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(["l2", "l1", "slab"]),
    st.integers(2, 4),
    st.integers(1, 6),
    st.sampled_from([1e-3, 0.1, 1.0, 10.0]),
    st.sampled_from([np.float32, np.float64]),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_verdicts_hold_wherever_means_are(
    kind, n_classes, d, reach, dtype, turning, seed
):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(n_classes, d)) * 3.0
    labels = np.arange(n_classes)
    reaches = reach * rng.uniform(0.1, 1.0, n_classes)
    leaf = fitted_at(kind, labels, means)
    steps = rng.normal(size=means.shape)
    if turning and d > 1:  # all across the direction of the first class
        way = means[0] - means[1:].mean(axis=0)
        steps[0] -= (steps[0] @ way) / (way @ way) * way
        steps[1:] = -steps[0]
    steps *= (reaches / np.linalg.norm(steps, axis=1))[:, None]
    moved = fitted_at(kind, labels, means + steps)
    codes = rng.integers(0, n_classes, 300)
    X = (means[codes] + 2.0 * rng.normal(size=(300, d))).astype(dtype)
    (of_leaf,) = measured(leaf, X, codes)
    ball = Ball(labels, means, reaches, True)
    low, high = np.sort(rng.uniform(0.0, 3.0, (2, n_classes)), axis=0)
    guess = Guess(leaf, labels, ball, low[None], high[None], reaches)
    limits = Limits.of(guess, leaf, labels, (low, high), dtype)
    is_inside, is_doubtful = limits.judged(codes, of_leaf.distances, of_leaf.lengths)
    distances = -moved._score(X, codes)
    assert (distances[is_inside] < low[codes][is_inside]).all()
    is_beyond = ~is_inside & ~is_doubtful
    assert (distances[is_beyond] > high[codes][is_beyond]).all()
    if reach == 1e-3 and kind != "slab":
        assert is_doubtful.mean() < 0.75 + (high - low).mean()


def fitted_at(kind, labels, means):
    leaf = SlabFilter(50) if kind == "slab" else SphereFilter(50, norm=kind)
    leaf.classes_ = labels
    leaf._begin(means, labels, means)
    return leaf


@pytest.mark.parametrize("variances", [[1.0], [1.0] * 20, [9.0, 1.0, 0.1], [0.0, 0.0]])
def test_means_are_within_their_scale(variances):
    rng = np.random.default_rng(0)
    scale = np.sqrt(variances)
    drawn = rng.normal(size=(300, 400, len(scale))) * scale
    means = drawn.mean(axis=1)
    own = [
        scale_of(one, np.arange(400), mean)
        for one, mean in zip(drawn[:20], means, strict=False)
    ]
    off = 400 * np.sum(means**2, axis=1)
    assert off.max() <= np.min(own)
    # They are not supposed much larger than they need be.
    assert np.max(own) <= 60 * np.max(variances) + 3 * np.sum(variances)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10**6),
    st.sampled_from([1.0, 0.1, 1e-7]),
    st.sampled_from([20.0, 70.0, 95.0]),
)
def test_zones_answer_as_all_values_do(seed, digits, percentile):
    values = np.sort(np.random.default_rng(seed).gamma(4.0, size=400))
    values = np.round(values / digits) * digits
    low, high = np.quantile(values, [0.1, 0.97])
    zone = Zone.of(values[100:], 100, 400, max(low, values[100]), high)
    try:
        found = radius_of_share(zone, percentile, np.float64)
    except MissingValues:  # where it would be wrong
        assert digits > 1e-7 or percentile == 20.0
        return
    assert found == radius_of_share(Sample(values), percentile, np.float64)


def test_filters_of_many_members_are_fitted_in_more_passes():
    X, y = rows("dense", 1_000)
    filter_ = SphereFilter(50)
    for percentile in range(51, 58):
        filter_ = filter_ | SphereFilter(percentile)
    found, expected, n_passes = fit_both(filter_, X, y, [300, 600])
    assert n_passes == 2
    assert_like(found, expected)


def test_a_new_filter_supposes_nothing_of_a_former_fit():
    X, y = rows("dense", 1_000)
    found = copy.deepcopy(FILTERS["published"])
    for scale in (1.0, 5.0):
        blocks = split(scale * X, y, [300, 600])
        assert fit_in_passes(found, blocks) == 1
        assert_like(found, copy.deepcopy(FILTERS["published"]).fit(scale * X, y))


def test_combinations_of_orders_of_merging():
    X, y = rows("dense", 3_000)
    expected = copy.deepcopy(FILTERS["published"]).fit(X, y)
    blocks = split(X, y, [1_000, 2_000])
    for order in itertools.permutations(range(3)):
        base = copy.deepcopy(FILTERS["published"])
        copies = [copy.deepcopy(base).partial_fit(*blocks[i]) for i in order]
        copies[1].merge(copies[2])
        assert base.merge(*copies[:2]).end_pass()
        assert_like(base, expected, rtol=1e-9)
