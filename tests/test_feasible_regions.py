"""Regions of one's own: in bounds, attacks, intersections, and under the check."""

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.datasets import make_classification

from skpoison import CertifiedBound, SlabFilter, SphereFilter, bound_curve
from skpoison.attacks import GradientAttack, KKTAttack, MinMaxAttack
from skpoison.base import BaseFilter
from skpoison.feasible import (
    Domain,
    FeasibleRegion,
    FeasibleSet,
    RestrictedSet,
    SphereSlab,
)
from skpoison.testing import check_feasible_set


class Ellipsoid(FeasibleRegion):
    """The rows with ``(x - center) @ inv(shape) @ (x - center) <= 1``."""

    def __init__(self, center, shape):
        squares, axes = np.linalg.eigh(shape)
        super().__init__(center, np.sqrt(squares[-1]))
        self.shape, self.axes, self.halves = shape, axes, np.sqrt(squares)

    def support(self, a):
        length = np.sqrt(a @ self.shape @ a)
        step = self.shape @ a / length if length > 0 else 0.0
        return a @ self.center + length, self.center + step

    def contains(self, X, tol=0.0):
        along = (np.asarray(X) - self.center) @ self.axes
        return np.linalg.norm(along / (self.halves + tol), axis=1) <= 1.0


class ProjectedEllipsoid(Ellipsoid):
    """With a formula for nearest points as well."""

    def project(self, X):
        return np.array([self._nearest_to(row) for row in np.asarray(X)])

    def _nearest_to(self, x):
        along, squares = (x - self.center) @ self.axes, self.halves**2

        def excess(multiplier):
            return np.linalg.norm(self.halves * along / (squares + multiplier)) - 1.0

        if excess(0.0) <= 0.0:
            return x
        most = 2.0 * self.radius * np.linalg.norm(along)
        multiplier = brentq(excess, 0.0, most, xtol=1e-15, rtol=1e-14)
        return self.center + self.axes @ (along * squares / (squares + multiplier))


class EllipsoidFilter(BaseFilter):
    """Keep the rows of each class within an ellipsoid."""

    def __init__(self, kind=Ellipsoid, *, random_state=None):
        super().__init__(random_state=random_state)
        self.kind = kind

    def _fit(self, X, codes):
        self.regions_ = [self._region(X[codes == k]) for k in range(2)]
        return self._score(X, codes), self._decide(X, codes)

    def _region(self, X):
        shape = np.cov(X.T) + 1e-3 * np.eye(X.shape[1])
        away = X - X.mean(axis=0)
        squares = (away * np.linalg.solve(shape, away.T).T).sum(axis=1)
        return self.kind(X.mean(axis=0), np.percentile(squares, 70) * shape)

    def _decide(self, X, codes):
        decisions = np.empty(len(codes))
        for code, region in enumerate(self.regions_):
            along = (X[codes == code] - region.center) @ region.axes / region.halves
            decisions[codes == code] = 1.0 - np.linalg.norm(along, axis=1)
        return decisions

    _score = _decide

    def feasible_set(self):
        return FeasibleSet(self.classes_, self.regions_)


def ellipsoid(seed, kind=Ellipsoid, n_features=4):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(n_features, n_features))
    shape = factor @ factor.T / n_features + 0.05 * np.eye(n_features)
    return kind(0.2 * rng.normal(size=n_features), shape), rng


def data(n_samples=150, n_features=5):
    return make_classification(
        n_samples, n_features, n_informative=3, n_redundant=0, random_state=1
    )


def constraints(region, x):
    """Write a region down for a solver of cone programs."""
    if isinstance(region, Ellipsoid):
        factor = np.linalg.cholesky(np.linalg.inv(region.shape))
        return [cp.norm(factor.T @ (x - region.center)) <= 1.0]
    within = []
    if region.is_bounded:
        within.append(cp.norm(x - region.center) <= region.radius)
    if region.direction is not None:
        offset = region.direction @ (x - region.center)
        within += [offset >= region.lower, offset <= region.upper]
    return within


def solved(objective, within):
    problem = cp.Problem(objective, within)
    return problem.solve(solver=cp.CLARABEL)


@pytest.mark.parametrize(
    "region",
    [
        SphereSlab([0.3, -1.0, 2.0], 1.5),
        SphereSlab([0.3, -1.0, 2.0], 0.0),
        SphereSlab([0.3, -1.0, 2.0], 1.5, [1.0, 1.0, 0.0], -0.2, 0.6),
        SphereSlab([0.3, -1.0, 2.0], 1.5, [1.0, 1.0, 0.0], 0.4, 0.6),
        SphereSlab([0.3, -1.0, 2.0], direction=[1.0, 1.0, 0.0], lower=-1, upper=2),
        RestrictedSet(SphereSlab([0.3, 0.4, 1.0], 1.5), "nonnegative"),
        RestrictedSet(SphereSlab([0.3, 0.4, 1.0], 1.9, [1, 1, 0], -1, 1), "count"),
        RestrictedSet(SphereSlab([0.3, 0.4, 0.5], 1.9), "tfidf"),
        RestrictedSet(SphereSlab([0.3, 0.4, 1.0], 1.9), Domain(groups=[[0, 1]])),
        RestrictedSet(SphereSlab([0.3, 0.4, 1.0], 1.9), "count").hull(),
        RestrictedSet(
            SphereSlab([0.3, 0.4, 1.0], 1.9, [1, 1, 0], -1, 1), "binary"
        ).hull(),
        ellipsoid(0)[0],
        ellipsoid(0)[0].widened(0.1, 0.2),
        ellipsoid(0, ProjectedEllipsoid)[0].intersect(SphereSlab(np.zeros(4), 0.8)),
        ellipsoid(0, ProjectedEllipsoid)[0].intersect(
            SphereSlab(np.zeros(4), np.inf, np.eye(4)[0], -1, 0.2)
        ),
        ellipsoid(0, ProjectedEllipsoid)[0].intersect(
            ellipsoid(1, ProjectedEllipsoid)[0]
        ),
    ],
    ids=lambda one: type(one).__name__,
)
def test_own_regions_keep_the_contract(region):
    check_feasible_set(region)


class Low(Ellipsoid):
    def support(self, a):
        value, point = super().support(a)
        return value - 0.1, point


class Outside(ProjectedEllipsoid):
    def support(self, a):
        value, point = super().support(a)
        return value, 2.0 * point - self.center


class Wide(Ellipsoid):
    def contains(self, X, tol=0.0):
        return super().contains(X, tol + 0.3)


class NotNearest(Ellipsoid):
    def project(self, X):
        return np.where(self.contains(X)[:, np.newaxis], X, self.center)


class Near(Ellipsoid):
    def __init__(self, center, shape):
        super().__init__(center, shape)
        self.radius *= 0.5


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Low, "support is below"),
        (Outside, "support is below its own point's"),
        (Wide, "contains holds more"),
        (NotNearest, "project does not find the nearest"),
        (Near, "farther from the center"),
    ],
)
def test_the_check_catches(kind, says):
    sound, _ = ellipsoid(3)
    broken = kind(sound.center, sound.shape)
    with pytest.raises(AssertionError, match=says):
        check_feasible_set(FeasibleSet([0, 1], [sound, broken]))


def test_the_check_and_sets_want_regions():
    with pytest.raises(AssertionError, match="must inherit from FeasibleRegion"):
        check_feasible_set(object())
    with pytest.raises(TypeError, match="FeasibleRegion for each class; got 'ball'"):
        FeasibleSet([0, 1], ["ball", "ball"])


@pytest.mark.parametrize("seed", range(6))
def test_general_projections_are_those_of_a_cone_program(seed):
    region, rng = ellipsoid(seed)
    row = region.center + 2.0 * rng.normal(size=4)
    x = cp.Variable(4)
    square = solved(cp.Minimize(cp.sum_squares(x - row)), constraints(region, x))
    nearest = region.project([row])[0]
    assert np.linalg.norm(nearest - row) == pytest.approx(np.sqrt(square), abs=1e-5)
    inside = region.center + 0.1 * (nearest - region.center)
    np.testing.assert_array_equal(region.project([inside])[0], inside)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["ball", "slab", "ellipsoid", "both"])
def test_intersections_are_those_of_a_cone_program(seed, kind):
    region, rng = ellipsoid(seed, ProjectedEllipsoid)
    ball = SphereSlab(0.2 * rng.normal(size=4), 0.7)
    slab = SphereSlab(0.1 * rng.normal(size=4), np.inf, rng.normal(size=4), -0.3, 0.2)
    others = {"ball": [ball], "slab": [slab]}
    others["ellipsoid"] = [ellipsoid(seed + 50, ProjectedEllipsoid)[0]]
    parts = [region, *others.get(kind, [ball, slab])]
    both = region
    for part in parts[1:]:
        both = both.intersect(part) if seed % 2 else part.intersect(both)
    x = cp.Variable(4)
    within = [limit for part in parts for limit in constraints(part, x)]
    a, row = rng.normal(size=4), 2.0 * rng.normal(size=4)
    value, point = both.support(a)
    assert value == pytest.approx(solved(cp.Maximize(a @ x), within), abs=1e-6)
    assert all(part.contains([point])[0] for part in parts)
    nearest = both.project([row])[0]
    square = solved(cp.Minimize(cp.sum_squares(x - row)), within)
    assert np.linalg.norm(nearest - row) == pytest.approx(np.sqrt(square), abs=1e-5)


def test_convex_domains_intersect_with_regions_of_ones_own():
    region, rng = ellipsoid(0, ProjectedEllipsoid)
    both = RestrictedSet(SphereSlab(np.zeros(4), 0.8), "nonnegative").intersect(region)
    a, x = rng.normal(size=4), cp.Variable(4, nonneg=True)
    within = [*constraints(region, x), cp.norm(x) <= 0.8]
    value, point = both.support(a)
    assert value == pytest.approx(solved(cp.Maximize(a @ x), within), abs=1e-6)
    assert (point >= 0).all() and region.contains([point])[0]


def test_intersections_that_cannot_be_are_refused():
    region, _ = ellipsoid(0)
    with pytest.raises(ValueError, match=r"interior of .* Ellipsoid and Sphere"):
        region.intersect(SphereSlab(np.full(4, 9.0), 1.0))
    counts = RestrictedSet(SphereSlab(np.zeros(4), 2.0), "count")
    with pytest.raises(ValueError, match="RestrictedSet is not convex"):
        region.intersect(counts)
    free = Ellipsoid(region.center, region.shape)
    free.radius = np.inf
    with pytest.raises(ValueError, match="Ellipsoid is unbounded"):
        free.intersect(region)
    with pytest.raises(ValueError, match="unbounded and does not define project"):
        free.project([np.full(4, 9.0)])


def test_restricted_sets_intersect_with_spheres_in_closed_form():
    ball, small = SphereSlab([0.4, 0.3], 2.5), SphereSlab([0.4, 0.3], 1.0)
    both = RestrictedSet(ball, "count").intersect(small)
    assert isinstance(both, RestrictedSet)
    expected = RestrictedSet(small, "count").support([1.0, 0.5])
    for found in (both, small.intersect(RestrictedSet(ball, "count"))):
        value, point = found.support([1.0, 0.5])
        assert value == expected[0]
        np.testing.assert_array_equal(point, expected[1])


@pytest.mark.parametrize("limit", [{"rho": 1.0}, {"C": 0.5}])
def test_the_bound_is_that_of_a_cone_program(limit):
    X, y = data()
    bound = CertifiedBound(EllipsoidFilter(), 0.1, tol=1e-5, **limit).fit(X, y)
    w, b = cp.Variable(5), cp.Variable()
    signs = 2.0 * y - 1.0
    loss = cp.sum(cp.pos(1.0 - cp.multiply(signs, X @ w + b))) / len(X)
    worst = [
        1.0
        - sign * (w @ region.center + b)
        + cp.norm(np.linalg.cholesky(region.shape).T @ w)
        for sign, region in zip((-1, 1), bound.filter_.regions_, strict=True)
    ]
    loss += 0.1 * cp.maximum(0.0, *worst)
    within = []
    if "rho" in limit:
        within = [cp.norm(cp.hstack([w, b])) <= 1.0]
    else:
        loss += cp.sum_squares(cp.hstack([w, b])) / (2.0 * 0.5 * len(X))
    best = solved(cp.Minimize(loss), within)
    assert bound.lower_bound_ <= best + 1e-7
    assert best <= bound.upper_bound_ + 1e-7
    assert bound.dual_gap_ <= 2e-5 * bound.upper_bound_
    assert bound.lower_bound_ - bound.attack_.rounding_slack <= bound.attack_loss_
    assert bound.attack_loss_ <= bound.upper_bound_
    kept = bound.filter_.predict(bound.attack_.X, bound.attack_.y)
    assert len(kept) <= 2 and (kept == 1).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_bound_covers_rows_that_rounding_lets_through(dtype):
    X, y = data()
    bound = CertifiedBound(EllipsoidFilter(), 0.1, rho=1.0).fit(X.astype(dtype), y)
    theta = np.append(bound.coef_, bound.intercept_)
    exact = [
        1.0 - sign * theta[-1] + region.support(-sign * theta[:-1])[0]
        for sign, region in zip((-1, 1), bound.filter_.regions_, strict=True)
    ]
    spare = bound.poison_loss_ - max(exact)
    assert 0.0 < spare < (1e-13 if dtype == np.float64 else 1e-4)


def test_the_curve_and_no_poison_work_by_the_support_alone():
    X, y = data()
    curve = bound_curve(
        CertifiedBound(EllipsoidFilter(), rho=1.0), X, y, [0.0, 0.1, 0.2]
    )
    uppers = curve.upper_bound
    assert (np.diff(uppers) > 0).all()
    single = CertifiedBound(EllipsoidFilter(), 0.2, rho=1.0).fit(X, y)
    assert uppers[-1] == pytest.approx(single.upper_bound_, rel=2e-3)


@pytest.mark.parametrize("other", [SphereFilter(60), SlabFilter(60)])
def test_filters_of_ones_own_intersect_with_ours(other):
    X, y = data()
    both = EllipsoidFilter(ProjectedEllipsoid) & other
    bound = CertifiedBound(both, 0.1, rho=1.0, tol=0.01).fit(X, y)
    alone = CertifiedBound(EllipsoidFilter(), 0.1, rho=1.0).fit(X, y)
    assert bound.lower_bound_ < alone.upper_bound_
    kept = bound.filter_.predict(bound.attack_.X, bound.attack_.y)
    assert len(kept) and (kept == 1).all()
    assert bound.dual_gap_ <= 0.01 * bound.upper_bound_


@pytest.mark.parametrize(
    "attack", [MinMaxAttack(), GradientAttack(max_iter=8), KKTAttack()]
)
def test_attacks_find_their_rows_in_regions_of_ones_own(attack):
    X, y = data()
    attack.set_params(epsilon=0.1, filter=EllipsoidFilter(), random_state=0)
    rows, labels = attack.poison(X, y)
    assert len(rows) == 15
    assert (attack.filter_.predict(rows, labels) == 1).all()
    assert attack.filter_.feasible_set().contains(rows, labels).all()
    assert max(attack.objective_) > attack.objective_[0]


@pytest.mark.parametrize(
    "made",
    [
        CertifiedBound(EllipsoidFilter(), domain="nonnegative"),
        MinMaxAttack(filter=EllipsoidFilter(), domain="nonnegative"),
        GradientAttack(filter=EllipsoidFilter(), domain="nonnegative"),
        KKTAttack(filter=EllipsoidFilter(), domain="nonnegative"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_domains_of_other_regions_are_refused(made):
    X, y = data()
    with pytest.raises(ValueError, match=r"SphereSlab.* region has the type Ellipsoid"):
        made.fit(abs(X), y)


def test_moving_centroids_of_other_filters_are_refused():
    X, y = data()
    bound = CertifiedBound(EllipsoidFilter(), defense="moving_centroids")
    with pytest.raises(ValueError, match="supports only SphereFilter, SlabFilter"):
        bound.fit(X, y)
