import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import approx_fprime

from skpoison.feasible import FeasibleSet, SphereSlab, shrink_until_kept


def random_set(seed, kind):
    rng = np.random.default_rng(seed)
    center, direction = rng.normal(size=(2, 4))
    radius = rng.uniform(0.5, 2)
    if kind == "ball":
        return SphereSlab(center, radius)
    lower, upper = np.sort(rng.uniform(-0.99, 0.99, 2) * radius)
    if kind == "slab around the centre":
        upper = abs(upper)
        lower = -upper
    return SphereSlab(center, radius, direction, lower, upper)


KINDS = ["ball", "slab around the centre", "slab anywhere"]
some_set = st.builds(random_set, st.integers(0, 10_000), st.sampled_from(KINDS))
vectors = st.integers(0, 10_000).map(lambda s: np.random.default_rng(s).normal(size=4))


def solve_over(rows, objective):
    x = cp.Variable(len(rows.center))
    within = [cp.norm(x - rows.center) <= rows.radius]
    if rows.direction is not None:
        offset = rows.direction @ (x - rows.center)
        within += [offset >= rows.lower, offset <= rows.upper]
    problem = cp.Problem(objective(x), within)
    return problem.solve(solver=cp.CLARABEL), x.value


@settings(max_examples=40, deadline=None)
@given(rows=some_set, a=vectors)
def test_support_is_the_maximum_over_the_set(rows, a):
    value, point = rows.support(a)
    assert value == pytest.approx(a @ point, abs=1e-9)
    assert rows.contains([point], tol=1e-9).all()
    best, _ = solve_over(rows, lambda x: cp.Maximize(a @ x))
    assert value == pytest.approx(best, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(rows=some_set, x=vectors, scale=st.floats(0.1, 5))
def test_projection_is_the_nearest_point(rows, x, scale):
    x = scale * x
    point = rows.project([x])[0]
    assert rows.contains([point], tol=1e-9).all()
    # The projection is characterised by: no point of the set lies beyond the tangent.
    value, _ = rows.support(x - point)
    assert value <= (x - point) @ point + 1e-8


@settings(max_examples=30, deadline=None)
@given(rows=some_set, x=vectors, scale=st.floats(0.1, 5))
def test_jacobian_of_the_projection_agrees_with_finite_differences(rows, x, scale):
    x = scale * x
    found = rows.projection(x)
    normals = np.array(found.normals).reshape(-1, 4)
    jacobian = found.scale * (np.eye(4) - normals.T @ normals)
    numeric = approx_fprime(x, lambda z: rows.projection(z).point, 1e-7)
    nearby = [rows.projection(x + 1e-6 * step) for step in np.eye(4)]
    if all(len(near.normals) == len(found.normals) for near in nearby):
        np.testing.assert_allclose(jacobian, numeric, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(rows=some_set, a=vectors)
def test_shrinking_moves_boundary_points_inside(rows, a):
    _, point = rows.support(a)
    assert rows.contains([rows.shrink(point, 1e-9)]).all()


def test_support_in_the_direction_of_the_slab_stays_on_its_face():
    rows = SphereSlab([0.0, 0.0, 0.0], 2.0, [0.0, 3.0, 0.0], -0.5, 1.0)
    value, point = rows.support([0.0, 4.0, 0.0])
    assert value == pytest.approx(4.0)
    assert point[1] == pytest.approx(1.0)
    assert rows.support(np.zeros(3))[0] == 0.0


def test_a_slab_alone_is_unbounded():
    rows = SphereSlab([0.0, 0.0], direction=[1.0, 0.0], lower=-1, upper=1)
    assert not rows.is_bounded
    assert rows.support([1.0, 0.0])[0] == 1.0
    assert rows.support([0.0, 1.0])[0] == np.inf


def test_intersection_with_a_slab_measured_from_elsewhere():
    ball = SphereSlab([0.0, 0.0], 2.0)
    slab = SphereSlab([1.0, 5.0], direction=[1.0, 0.0], lower=-1, upper=0.5)
    both = slab.intersect(ball)
    rng = np.random.default_rng(0)
    X = rng.uniform(-3, 3, (500, 2))
    wanted = ball.contains(X) & slab.contains(X)
    assert 0 < wanted.sum() < 500
    np.testing.assert_array_equal(both.contains(X), wanted)


def test_intersections_that_stay_in_the_family():
    small, large = SphereSlab([1.0, 0.0], 1.0), SphereSlab([1.0, 0.0], 2.0)
    assert large.intersect(small).radius == 1.0
    one = SphereSlab([1.0, 0.0], 2.0, [1.0, 0.0], -1, 0.5)
    two = SphereSlab([1.0, 0.0], direction=[-1.0, 0.0], lower=-0.2, upper=0.7)
    both = one.intersect(two)
    assert (both.lower, both.upper) == (pytest.approx(-0.7), pytest.approx(0.2))


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (SphereSlab([0.0], 1.0), SphereSlab([1.0], 1.0), "different centers"),
        (
            SphereSlab([0.0, 0.0], 1, [1.0, 0.0], -1, 1),
            SphereSlab([0.0, 0.0], direction=[1.0, 1.0], lower=-1, upper=1),
            "different directions",
        ),
    ],
)
def test_intersections_without_a_closed_form_are_refused(first, second, says):
    with pytest.raises(ValueError, match=says):
        first.intersect(second)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(radius=-1.0), "radius must be 0 or more"),
        (dict(radius=np.nan), "radius must be 0 or more"),
        (dict(radius=1.0, direction=[0.0, 0.0]), "direction must be a nonzero vector"),
        (dict(radius=1.0, direction=[1.0, 0.0], lower=1.0, upper=-1.0), "empty"),
        (dict(radius=1.0, direction=[1.0, 0.0], lower=2.0, upper=3.0), "empty"),
    ],
)
def test_empty_sets_are_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        SphereSlab([0.0, 0.0], **arguments)


def test_feasible_set_holds_one_set_per_class():
    rows = FeasibleSet(["a", "b"], [SphereSlab([0.0], 1), SphereSlab([5.0], 1)])
    assert len(rows) == 2
    assert dict(iter(rows))["b"].center == 5.0
    np.testing.assert_array_equal(
        rows.contains([[0.5], [0.5], [0.5]], ["a", "b", "c"]), [True, False, False]
    )
    with pytest.raises(KeyError, match="'c' is not one of the classes"):
        rows["c"]
    other = FeasibleSet(["a", "c"], rows.sets)
    with pytest.raises(ValueError, match="different classes"):
        rows & other
    with pytest.raises(ValueError, match="2 sets were given for 1 classes"):
        FeasibleSet(["a"], rows.sets)


def test_sparse_rows_are_judged_like_dense_ones():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 6)) * (rng.random((200, 6)) < 0.5)
    y = np.arange(200) % 2
    sets = [SphereSlab(np.full(6, c), 2.0, np.eye(6)[c], -0.5, 0.7) for c in (0, 1)]
    rows = FeasibleSet([0, 1], sets)
    dense = rows.contains(X, y)
    assert 20 < dense.sum() < 180
    np.testing.assert_array_equal(rows.contains(sparse.csr_matrix(X), y), dense)
    ball = SphereSlab(np.zeros(6), 2.0)
    np.testing.assert_array_equal(ball.contains(sparse.coo_array(X)), ball.contains(X))


@pytest.mark.parametrize("n_points", [2, 40])
def test_points_move_inwards_no_farther_than_the_filter_asks(n_points):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(n_points, 6))
    points /= np.linalg.norm(points, axis=1)[:, np.newaxis]
    limits = np.resize([1.0 + 1e-12, 1.0 - 3e-9, 1.0 - 5e-6, 0.5], n_points)
    n_asked = []

    def keeps(rows, places):
        n_asked.append(len(rows))
        return np.linalg.norm(rows, axis=1) <= limits[places]

    sets = [SphereSlab(np.zeros(6), 1.0)] * n_points
    rows, kept = shrink_until_kept(sets, points, keeps, np.float64)
    np.testing.assert_array_equal(kept, limits > 0.5)
    steps = np.resize([0.0, 1e-8, 1e-5, 1e-5], n_points)
    np.testing.assert_allclose(1.0 - np.linalg.norm(rows, axis=1), steps, atol=1e-13)
    # Few points are one question; of many, each asks about those that are left.
    assert len(n_asked) == (1 if n_points == 2 else 7)
    assert n_asked[0] == (14 if n_points == 2 else 40)
    assert n_points == 2 or n_asked[1:] == [30, 30, 30, 20, 20, 20]


def test_no_points_are_no_question_too_many():
    none = np.zeros((0, 3))
    rows, kept = shrink_until_kept([], none, lambda rows, places: 1 / 0, np.float32)
    assert rows.shape == (0, 3)
    assert kept.shape == (0,)
