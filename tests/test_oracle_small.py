"""The oracle against enumeration of every row, on sets with few features."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skpoison.feasible import Domain, FeasibleSet, RestrictedSet, SphereSlab, restrict

seeds = st.integers(0, 100_000)


def random_base(rng, n_features, cut=None):
    center = rng.uniform(0, 2, n_features) * (rng.random(n_features) < 0.8)
    radius = rng.uniform(0.3, 2.5)
    if cut == "none":
        return SphereSlab(center, radius)
    lower, upper = np.sort(rng.uniform(-0.95, 0.95, 2)) * radius
    if rng.random() < 0.5:
        upper = max(abs(lower), abs(upper))
        lower = -upper
    if cut == "above" or rng.random() < 0.1:
        lower = -np.inf
    return SphereSlab(center, radius, rng.normal(size=n_features), lower, upper)


def is_inside(rows, base):
    """Sphere and slab, written anew."""
    moved = np.asarray(rows) - base.center
    inside = (moved**2).sum(axis=1) <= base.radius**2
    if base.direction is not None:
        along = (moved * base.direction).sum(axis=1)
        inside &= (base.lower <= along) & (along <= base.upper)
    return inside


def whole_rows(n_features, most):
    return np.array(list(itertools.product(range(most + 1), repeat=n_features)), float)


def linear_function(rng, base):
    """Of any scale, sometimes sparse, zero or along the slab."""
    a = rng.normal(size=len(base.center)) * (rng.random(len(base.center)) < 0.8)
    if base.direction is not None and rng.random() < 0.15:
        a = base.direction * rng.choice([-1.0, 1.0])
    return a * 10 ** rng.uniform(-13, 4)


def check(base, domain, rows, rng):
    """Hold the oracle against all rows of a set; return the share of the gap."""
    rows = rows[is_inside(rows, base)]
    if not len(rows):
        with pytest.raises(ValueError, match="feasible set is empty"):
            RestrictedSet(base, domain)
        return None
    feasible = RestrictedSet(base, domain)
    a = linear_function(rng, base)
    best = (rows @ a).max()
    value, point = feasible.support(a)
    assert value >= best
    assert (rows == point).all(axis=1).any()
    solution = feasible.solve(a, gap_tol=1e-9)
    assert solution.value >= best
    assert a @ solution.point == pytest.approx(best, rel=1e-9, abs=1e-12 * abs(a).sum())
    assert solution.value == pytest.approx(best, rel=1e-8, abs=1e-9 * abs(a).sum())
    return feasible


@settings(max_examples=60, deadline=None)
@given(seed=seeds, kind=st.sampled_from(["count", "binary"]))
def test_whole_numbers(seed, kind):
    rng = np.random.default_rng(seed)
    n_features = int(rng.integers(1, 6))
    base = random_base(rng, n_features, cut=rng.choice([None, "none", "above"]))
    check(base, kind, whole_rows(n_features, 1 if kind == "binary" else 5), rng)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_bounded_counts(seed):
    rng = np.random.default_rng(seed)
    lower, upper = rng.integers(0, 2, 4), rng.integers(2, 4, 4)
    rows = whole_rows(4, 4)
    rows = rows[((rows >= lower) & (rows <= upper)).all(axis=1)]
    base = random_base(rng, 4)
    check(base, Domain("count", lower=lower, upper=upper), rows, rng)


def test_six_counts():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        base = random_base(rng, 6)
        check(base, "count", whole_rows(6, 4), rng)


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_groups_and_counts(seed):
    rng = np.random.default_rng(seed)
    rows = whole_rows(6, 4)
    one_hot = (rows[:, :2].sum(axis=1) == 1) & (rows[:, [3, 5]].sum(axis=1) == 1)
    base = random_base(rng, 6)
    check(base, Domain("count", groups=[[0, 1], [5, 3]]), rows[one_hot], rng)


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
@example(seed=708)  # here the sphere reaches the slab's edge alone
@example(seed=1360)  # and here that of a slab with one end
def test_counts_and_real_numbers(seed):
    """For each row of counts the rest is a ball cut by a slab in two dimensions."""
    rng = np.random.default_rng(seed)
    base = random_base(rng, 4)
    a = linear_function(rng, base)
    best, some_row = -np.inf, None
    for counts in whole_rows(2, 4):
        rest = given_counts(base, counts)
        if rest is not None:
            value, point = rest.support(a[2:])
            some_row = np.append(counts, point) if some_row is None else some_row
            best = max(best, a[:2] @ counts + value)
    domain = Domain(["count", "count", "real", "real"])
    if some_row is None:
        with pytest.raises(ValueError, match="is empty"):
            RestrictedSet(base, domain)
        return
    feasible = RestrictedSet(base, domain)
    for solution in (feasible.solve(a), feasible.solve(a, gap_tol=1e-6)):
        assert solution.value >= best - 1e-12 * abs(a).sum()
        assert feasible.contains([solution.point]).all()
        assert a @ solution.point <= best + 1e-9 * abs(a).sum()


def given_counts(base, counts):
    """What sphere and slab leave for the last two features, None for nothing."""
    moved = counts - base.center[:2]
    square = base.radius**2 - moved @ moved
    if square < 0:
        return None
    offset = base.direction[:2] @ moved
    rest = base.direction[2:]
    norm = np.linalg.norm(rest)
    lower, upper = (base.lower - offset) / norm, (base.upper - offset) / norm
    if lower > np.sqrt(square) or upper < -np.sqrt(square):
        return None
    return SphereSlab(base.center[2:], np.sqrt(square), rest, lower, upper)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_projection_ends_in_the_set_near_the_row(seed):
    rng = np.random.default_rng(seed)
    base = random_base(rng, 3)
    rows = whole_rows(3, 5)
    rows = rows[is_inside(rows, base)]
    if not len(rows):
        return
    x = rng.normal(size=(1, 3)) * 3
    near = RestrictedSet(base, "count").project(x)[0]
    assert (rows == near).all(axis=1).any()
    least = np.linalg.norm(rows - x, axis=1).min()
    assert np.linalg.norm(near - x[0]) <= 1.6 * least + 1e-9


def test_rows_of_the_set_stay_where_they_are():
    base = SphereSlab([0.3, 0.2, 1.4], 2.0, [1, 1, 0], -1.5, 1.5)
    for kind, row in [("count", [1.0, 0.0, 2.0]), ("nonnegative", [0.5, 0.1, 2.0])]:
        feasible = RestrictedSet(base, kind)
        np.testing.assert_allclose(feasible.project([row])[0], row, atol=1e-8)
        assert feasible.project(np.array([row, row])).shape == (2, 3)


def test_a_radius_of_zero():
    value, point = RestrictedSet(SphereSlab([1.0, 2.0], 0.0), "count").support([3, 4])
    assert value == pytest.approx(11.0, abs=1e-9) and value >= 11.0
    assert point.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="is empty"):
        RestrictedSet(SphereSlab([1.0, 2.5], 0.0), "count")


def test_rows_on_the_sphere_itself():
    feasible = RestrictedSet(SphereSlab([0.0, 0.0], 2.0), "count")
    value, point = feasible.support([1.0, 0.0])
    assert value >= 2.0
    assert feasible.contains([point, [2.0, 0.0]]).all()


def test_empty_sets_say_so():
    with pytest.raises(ValueError, match="no value of column 0"):
        RestrictedSet(SphereSlab([0.5, 1.0], 0.3), "count")
    with pytest.raises(ValueError, match="no row of the domain is in the slab"):
        RestrictedSet(SphereSlab([0.5, 0.5], 0.6), "count")
    narrow = SphereSlab([0.5, 0.5], 0.8, [1.0, 0.0], -0.1, 0.1)
    with pytest.raises(ValueError, match="feasible set is empty"):
        RestrictedSet(narrow, "count")


def test_an_empty_set_without_a_sphere_says_so():
    narrow = SphereSlab([0.5, 0.5], direction=[1, 0], lower=-0.3, upper=0.3)
    with pytest.raises(ValueError, match="feasible set is empty"):
        RestrictedSet(narrow, "binary")


def test_a_fallback_must_be_in_the_set():
    base = SphereSlab([0.0, 0.0], 1.5)
    assert RestrictedSet(base, "count", fallback=[1.0, 0.0]).support([1, 1])[0] >= 2


def test_no_sphere_but_a_bounded_domain():
    base = SphereSlab([0.5, 0.5, 0.5], direction=[1, 1, 1], lower=-0.6, upper=0.6)
    feasible = RestrictedSet(base, "binary")
    rows = whole_rows(3, 1)
    rows = rows[is_inside(rows, base)]
    for a in np.random.default_rng(0).normal(size=(20, 3)):
        solution = feasible.solve(a, gap_tol=1e-9)
        assert solution.value == pytest.approx((rows @ a).max(), abs=1e-9)
        assert (rows == solution.point).all(axis=1).any()


def test_unbounded_sets_have_no_maximum():
    base = SphereSlab([0.0, 0.0], direction=[1, 0], lower=-1, upper=1)
    feasible = RestrictedSet(base, "count")
    assert not feasible.is_bounded
    with pytest.raises(ValueError, match="unbounded"):
        feasible.support([1.0, 1.0])


def test_zero_has_the_maximum_zero():
    feasible = RestrictedSet(SphereSlab([0.4, 0.3], 1.0), "count")
    value, point = feasible.support([0.0, 0.0])
    assert value == 0.0
    assert feasible.contains([point]).all()


def test_restricted_sets_of_all_classes():
    sets = FeasibleSet([-1, 1], [SphereSlab([0.2] * 2, 2.0), SphereSlab([1.0] * 2, 2)])
    restricted = restrict(sets, Domain({"b": "binary"}), feature_names=["a", "b"])
    assert restricted.is_bounded
    rows = [[0.5, 1.0], [0.5, 0.5], [0.5, 1.0], [0.5, 0.5]]
    inside = restricted.contains(rows, [-1, -1, 1, 1])
    assert inside.tolist() == [True, False, True, False]
    with pytest.raises(ValueError, match="domain has 3 features, but the set has 2"):
        RestrictedSet(SphereSlab([0.0, 0.0], 1.0), Domain().resolve(3))
