"""Sets whose rows are few enough to be listed: the list, and the bound over it."""

import itertools

import cvxpy as cp
import numpy as np
import pytest
from oracles import worst_loss
from scipy import sparse

from skpoison import CertifiedBound, SlabFilter, SphereFilter, verify
from skpoison.attacks import MinMaxAttack
from skpoison.feasible import Domain, RestrictedSet, SphereSlab
from skpoison.feasible.discrete import _set
from skpoison.feasible.discrete._listing import MOST_ROWS

DOMAINS = {
    "binary": Domain("binary"),
    "count": Domain("count"),
    "bounded": Domain("count", lower=[0, 1, 0, 2], upper=[2, 1, np.inf, 4]),
    "one-hot": Domain("count", groups=[[1, 3]]),
    "groups": Domain("binary", groups=[[0, 2], [3, 1]]),
}


def everything(columns, most):
    """All rows of a domain with entries up to a number, one by one."""
    rows = np.array(list(itertools.product(range(most + 1), repeat=4)), dtype=float)
    return rows[columns.contains(rows)]


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("seed", range(8))
def test_lists_every_row_and_no_other(name, seed):
    rng = np.random.default_rng(seed)
    center, radius = rng.uniform(0, 2.5, 4), rng.uniform(1.2, 2.5)
    lower, upper = np.sort(rng.uniform(-0.9, 0.9, 2)) * radius if seed % 2 else (-9, 9)
    base = SphereSlab(center, radius, rng.normal(size=4), lower, upper)
    columns = DOMAINS[name].resolve(4)
    every = everything(columns, most=5)
    moved = every - center
    along = moved @ base.direction
    inside = (moved**2).sum(axis=1) <= radius**2
    inside &= (along >= base.lower) & (along <= base.upper)
    if not inside.any():
        with pytest.raises(ValueError, match="feasible set is empty"):
            RestrictedSet(base, DOMAINS[name])
        return
    rows = RestrictedSet(base, DOMAINS[name]).rows
    assert len(rows) == inside.sum()
    assert set(map(tuple, rows)) == set(map(tuple, every[inside]))


def test_a_domain_without_a_sphere_is_listed_too():
    slab = SphereSlab([0.5] * 3, direction=[1, 1, 1], lower=-0.6, upper=0.6)
    rows = RestrictedSet(slab, "binary").rows
    assert sorted(rows.sum(axis=1)) == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("n_features", "domain"),
    [(40, "binary"), (3000, "count"), (2, "nonnegative"), (3, "tfidf")],
)
def test_too_many_rows_are_not_listed(n_features, domain):
    rows = RestrictedSet(SphereSlab(np.full(n_features, 0.4), 5.0 + n_features), domain)
    assert rows.rows is None


def test_the_number_of_rows_decides_at_its_limit():
    # So many whole numbers lie on a line of two features, one of which is fixed.
    def on_a_line(n_rows):
        base = SphereSlab([0.0, 0.5 * (n_rows - 1)], 0.5 * n_rows)
        return RestrictedSet(base, Domain("count", upper=[0, np.inf]))

    assert len(on_a_line(MOST_ROWS).rows) == MOST_ROWS
    assert on_a_line(MOST_ROWS + 2).rows is None


def rows_of(kind, seed, n_rows=60):
    rng = np.random.default_rng(seed)
    y = np.arange(n_rows) % 2
    rates = np.where(y[:, np.newaxis] == 1, [2, 1, 0.5, 0.2], [1, 2, 0.2, 0.5])
    X = rng.poisson(rates).astype(float)
    return (np.minimum(X, 1.0) if kind == "binary" else X), y


def fit(X, y, domain, **options):
    both = SphereFilter(percentile=80) & SlabFilter(percentile=80)
    return CertifiedBound(both, domain=domain, random_state=0, **options).fit(X, y)


def optimum(bound, X, y, domain, *, epsilon, C=None, rho=None, form=np.asarray):
    """The least bound over the kept rows of the domain, by a conic solver."""
    every = everything(Domain(domain).resolve(4), most=9 if domain == "count" else 1)
    theta = cp.Variable(5)
    signs = 2.0 * y - 1.0

    def hinge(rows, signs):
        return cp.pos(1 - cp.multiply(signs, rows @ theta[:4] + theta[4]))

    worst = []
    for label in (0, 1):
        labels = np.full(len(every), label)
        kept = every[bound.filter_.predict(form(every), labels) == 1]
        worst.append(cp.max(hinge(kept, np.full(len(kept), 2.0 * label - 1.0))))
    objective = cp.sum(hinge(X, signs)) / len(y) + epsilon * cp.maximum(*worst)
    limits = []
    if C is not None:
        objective += cp.sum_squares(theta) / (2 * C * len(y))
    else:
        limits = [cp.norm(theta) <= rho]
    problem = cp.Problem(cp.Minimize(objective), limits)
    return problem.solve(solver=cp.CLARABEL)


@pytest.mark.parametrize("learner", [{"C": 1.0}, {"rho": 1.0}])
@pytest.mark.parametrize("domain", ["binary", "count"])
@pytest.mark.parametrize("epsilon", [0.03, 0.3])
def test_the_bound_is_exact(learner, domain, epsilon):
    X, y = rows_of(domain, seed=1)
    bound = fit(X, y, domain, epsilon=epsilon, tol=1e-5, **learner)
    exact = optimum(bound, X, y, domain, epsilon=epsilon, **learner)
    assert bound.lower_bound_ <= exact * (1 + 1e-7)
    assert exact * (1 - 1e-7) <= bound.upper_bound_ <= exact * (1 + 1.1e-5)
    real = fit(X, y, None, epsilon=epsilon, tol=1e-5, **learner)
    assert bound.upper_bound_ <= real.upper_bound_
    attack = bound.attack_
    assert (bound.filter_.predict(attack.X, attack.y) == 1).all()
    assert Domain(domain).contains(attack.X).all()
    assert bound.attack_loss_ <= bound.upper_bound_


def test_certificates_prove_exact_bounds(tmp_path):
    X, y = rows_of("count", seed=2)
    X += np.random.default_rng(0).poisson(0.7, X.shape)  # more rows, more branches
    bound = fit(X, y, "count", epsilon=0.2, C=1.0)
    bound.to_certificate(tmp_path / "bound.npz")
    report = verify.check(tmp_path / "bound.npz", X, y)
    claims = {claim.name: claim for claim in report.claims}
    assert all(claim.holds for claim in report.claims)
    assert claims["upper_bound"].proven == pytest.approx(bound.upper_bound_, rel=1e-6)


MIXED = {
    "binary": Domain(["binary", "binary", "real", "real"]),
    "one left": Domain(["count", "binary", "count", "real"]),
    "groups": Domain(groups=[[0, 1]]),
}


def mixed_rows(name, seed):
    X, y = rows_of("binary", seed)
    rng = np.random.default_rng(seed)
    if name == "groups":
        X[:, 1] = 1.0 - X[:, 0]
    X[:, 3] = rng.normal(size=len(y)) + y
    if name != "one left":
        X[:, 2] = rng.normal(size=len(y))
    return X, y


def slices_one_by_one(base, columns):
    """Every choice of the whole features, with ball and slab of what is left."""
    whole = np.flatnonzero(columns.whole | columns.one_hot)
    free = np.setdiff1d(np.arange(4), whole)
    for values in itertools.product(range(5), repeat=len(whole)):
        row = base.center.copy()
        row[whole] = values
        if not columns.contains([row])[0]:
            continue
        step = row - base.center
        square = base.radius**2 - step @ step
        along, across = base.direction @ step, base.direction[free]
        slope = np.linalg.norm(across)
        ends = (base.lower - along) / slope, (base.upper - along) / slope
        if square < 0 or ends[0] > np.sqrt(square) or ends[1] < -np.sqrt(square):
            continue
        yield row, free, SphereSlab(row[free], np.sqrt(square), across, *ends)


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("learner", [{"C": 1.0}, {"rho": 1.0}])
def test_the_bound_for_unions_of_slices_is_exact(name, learner):
    X, y = mixed_rows(name, seed=3)
    bound = fit(X, y, MIXED[name], epsilon=0.2, tol=1e-4, **learner)
    theta = cp.Variable(5)
    signs, columns = 2.0 * y - 1.0, MIXED[name].resolve(4)
    worst = []
    for sign, (_, base) in zip((-1.0, 1.0), bound.filter_.feasible_set(), strict=True):
        for row, free, inner in slices_one_by_one(base, columns):
            fixed = np.delete(np.arange(4), free)
            level = theta[4] + row[fixed] @ theta[fixed]
            worst.append(worst_loss(sign, inner, theta[free], level))
    scores = X @ theta[:4] + theta[4]
    loss = cp.sum(cp.pos(1 - cp.multiply(signs, scores))) / len(y)
    loss += 0.2 * cp.maximum(*worst)
    limits = [cp.norm(theta) <= learner["rho"]] if "rho" in learner else []
    if not limits:
        loss += cp.sum_squares(theta) / (2 * learner["C"] * len(y))
    exact = cp.Problem(cp.Minimize(loss), limits).solve(solver=cp.CLARABEL)
    assert bound.lower_bound_ <= exact * (1 + 1e-6)
    assert exact * (1 - 1e-6) <= bound.upper_bound_ <= exact * (1 + 1.1e-4)
    attack = bound.attack_
    assert len(attack.X)
    assert (bound.filter_.predict(attack.X, attack.y) == 1).all()
    assert MIXED[name].contains(attack.X).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_attacks_from_slices_pass_in_the_precision_of_the_rows(dtype):
    X, y = mixed_rows("binary", seed=4)
    bound = fit(X.astype(dtype), y, MIXED["binary"], epsilon=0.3, C=1.0)
    attack = bound.attack_
    assert attack.X.dtype == dtype
    assert attack.n_copies.sum() == 18
    assert (bound.filter_.predict(attack.X, attack.y) == 1).all()
    assert bound.attack_loss_ == pytest.approx(bound.lower_bound_, rel=0.02)


def test_certificates_prove_bounds_of_slices(tmp_path):
    X, y = mixed_rows("one left", seed=5)
    bound = fit(X, y, MIXED["one left"], epsilon=0.2, C=1.0)
    bound.to_certificate(tmp_path / "bound.npz")
    report = verify.check(tmp_path / "bound.npz", X, y)
    assert all(claim.holds for claim in report.claims)


def test_the_support_of_slices_is_that_of_the_best_one():
    rng = np.random.default_rng(0)
    for seed in range(10):
        base = SphereSlab(rng.uniform(0, 1, 4), 1.1, rng.normal(size=4), -0.6, 0.4)
        for domain in MIXED.values():
            rows, columns = RestrictedSet(base, domain), domain.resolve(4)
            a = np.random.default_rng(seed).normal(size=4)
            best = max(
                inner.support(a[free])[0] + np.delete(a, free) @ np.delete(row, free)
                for row, free, inner in slices_one_by_one(base, columns)
            )
            value, point = rows.support(a)
            assert best <= value <= best + 1e-9
            assert rows.contains([point])[0]
            assert a @ point >= best - 1e-6


@pytest.mark.parametrize("n_features", [2, 3])
def test_rows_of_norm_one_are_never_branched_on(n_features):
    rng = np.random.default_rng(0)
    center = rng.gamma(0.5, size=n_features)
    center *= 0.8 / np.linalg.norm(center)
    base = SphereSlab(center, 0.5, rng.normal(size=n_features), -0.2, 0.2)
    rows = RestrictedSet(base, "tfidf")
    for a in rng.normal(size=(5, n_features)):
        value, point = rows.solve(a, gap_tol=1e-12)[:2]
        assert rows.contains([point]).all()
        assert a @ point <= value <= base.support(a)[0]


def at_the_edge(X, y, row, *, outside):
    """A sphere, on the edge of which the filter keeps a row, or rejects it by a bit."""
    centroids = {label: X[y == label].mean(axis=0) for label in (0, 1)}
    wide = SphereFilter(radii=[9, 9], centroids=centroids).fit(X, y)
    distances = -wide.score_samples([row, row], [0, 1])
    radii = np.nextafter(distances, 0.0) if outside else distances
    return SphereFilter(radii=radii, centroids=centroids)


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("kind", ["binary", "count"])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_on_the_edge_the_filter_decides(outside, kind, form):
    X, y = rows_of(kind, seed=7)
    for row in ([1, 1, 0, 1], [0, 1, 1, 1]):
        given = at_the_edge(X, y, row, outside=outside)
        bound = CertifiedBound(given, domain=kind, epsilon=0.3, C=1.0, tol=1e-5)
        bound.fit(form(X), y)
        exact = optimum(bound, X, y, kind, epsilon=0.3, C=1.0, form=form)
        assert bound.is_exact_
        assert bound.lower_bound_ <= exact * (1 + 1e-7)
        assert exact * (1 - 1e-7) <= bound.upper_bound_ <= exact * (1 + 1.1e-5)
        assert bound.attack_.n_copies.sum() == 18


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize(
    ("kind", "row"), [("binary", [0, 0, 1, 0]), ("count", [1, 1, 0, 0])]
)
def test_lower_bounds_count_no_rejected_row_where_none_is_listed(
    outside, kind, row, monkeypatch
):
    monkeypatch.setattr(_set, "list_rows", lambda parts, base: None)
    X, y = rows_of(kind, seed=7)
    given = at_the_edge(X, y, row, outside=outside)
    bound = CertifiedBound(given, domain=kind, epsilon=0.3, C=1.0).fit(X, y)
    exact = optimum(bound, X, y, kind, epsilon=0.3, C=1.0)
    assert 0.2 * exact < bound.lower_bound_ <= exact * (1 + 1e-7)
    assert exact * (1 - 1e-7) <= bound.upper_bound_


@pytest.mark.filterwarnings("ignore::skpoison.exceptions.FilterWarning")
@pytest.mark.parametrize("attack", [MinMaxAttack, CertifiedBound])
@pytest.mark.parametrize("by", [0.0, 1e-9])
def test_errors_name_the_class_without_rows(attack, by):
    X, y = rows_of("binary", seed=7)
    y = np.where(y == 1, "spam", "ham")
    corner = np.array([1.0, 1.0, 0.0, 1.0])
    away = np.array([1.0, 1.0, 0.5, 1.0])
    centroids = {"ham": X.mean(axis=0), "spam": away}
    wide = SphereFilter(radii=[9, 9], centroids=centroids).fit(X, y)
    nearest = -wide.score_samples([corner], ["spam"])[0]
    radii = {"ham": 1.0, "spam": np.nextafter(nearest, 0.0) - by}
    given = SphereFilter(radii=radii, centroids=centroids)
    method = attack(filter=given, domain="binary")
    run = method.poison if hasattr(method, "poison") else method.fit
    with pytest.raises(ValueError, match="Class 'spam': The feasible set is empty"):
        run(X, y)
