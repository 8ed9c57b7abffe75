"""What rounding does to the bounds: nothing on the unsafe side."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from oracles import labelled_rows
from scipy import sparse

from skpoison import CertifiedBound, NormConstrainedSVC, SlabFilter, SphereFilter
from skpoison.attacks import MinMaxAttack

LEARNERS = [{"rho": 1.0}, {"C": 1.0}]


@pytest.fixture(autouse=True)
def many_digits():
    with localcontext() as context:
        context.prec = 80
        yield


def exact(values):
    """Floats as decimals, without rounding."""
    return [Decimal(float(value)) for value in np.ravel(values)]


def dot(first, second):
    return sum((a * b for a, b in zip(first, second, strict=True)), Decimal(0))


def hinge(sign, row, w, b):
    return max(Decimal(0), 1 - sign * (dot(exact(row), w) + b))


def exact_upper(bound, X, y):
    """The bound's value at its parameters, for a sphere around each class."""
    w, b = exact(bound.coef_), Decimal(bound.intercept_[0])
    signs = [1 if label == bound.classes_[1] else -1 for label in y]
    losses = [hinge(sign, row, w, b) for sign, row in zip(signs, X, strict=True)]
    worst = [Decimal(0)]
    for sign, rows in zip((-1, 1), bound.filter_.feasible_set().sets, strict=True):
        value = 1 - sign * (dot(exact(rows.center), w) + b)
        worst.append(value + Decimal(rows.radius) * dot(w, w).sqrt())
    total = sum(losses) / len(losses) + Decimal(bound.epsilon) * max(worst)
    if bound.rho is None:
        total += (dot(w, w) + b * b) / (2 * Decimal(bound.C) * len(losses))
    else:
        # Parameters a little beyond the ball are no parameters of the learner.
        excess = (dot(w, w) + b * b).sqrt() / Decimal(bound.rho) - 1
        total += max(excess, 0) * (1 + Decimal(bound.epsilon))
    return total


def exact_lower(bound, X, y):
    """The value of the dual point that the solver ends with."""
    problem = bound._problem(X, (y == bound.classes_[1]).astype(int))
    best_dual = bound._solve(problem).best_dual
    masses = [Decimal(dual) / len(y) for dual in exact(best_dual.duals)]
    rows = [*problem.rows.X, *best_dual.poison.points]
    signs = exact([*problem.rows.signs, *problem.poison.signs])
    masses += [Decimal(bound.epsilon) * beta for beta in exact(best_dual.poison.beta)]
    pulls = [mass * sign for mass, sign in zip(masses, signs, strict=True)]
    columns = zip(*(exact(row) for row in rows), strict=True)
    z = [dot(column, pulls) for column in columns] + [sum(pulls)]
    if bound.rho is None:
        return sum(masses) - dot(z, z) * Decimal(bound.C) * len(y) / 2
    return sum(masses) - Decimal(bound.rho) * dot(z, z).sqrt()


def rows_far_away(offset, dtype=np.float64):
    X, y = labelled_rows(1, n_rows=40, gap=0.5)
    return (X + offset).astype(dtype), y


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("learner", LEARNERS, ids=str)
@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8, 1e12])
def test_bounds_are_on_the_safe_side_of_exact_arithmetic(offset, learner):
    X, y = rows_far_away(offset)
    bound = CertifiedBound(SphereFilter(), 0.1, tol=1e-6, **learner)
    bound.fit(X, y)
    upper = exact_upper(bound, X, y)
    assert upper <= bound.upper_bound_
    assert max(exact_lower(bound, X, y), 0) >= bound.lower_bound_
    assert bound.attack_loss_ <= bound.upper_bound_


@pytest.mark.parametrize("learner", LEARNERS, ids=str)
def test_margins_are_small_where_numbers_are(learner):
    X, y = rows_far_away(0.0)
    bound = CertifiedBound(SphereFilter(), 0.1, tol=1e-6, **learner).fit(X, y)
    exactly = float(exact_upper(bound, X, y))
    assert bound.upper_bound_ <= exactly + 1e-12
    assert bound.lower_bound_ >= float(exact_lower(bound, X, y)) - 1e-12


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_attacks_pass_the_filter_in_the_form_in_which_they_are_returned(
    container, dtype
):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X, y = labelled_rows(seed, n_rows=60, n_features=20, gap=0.3)
        X = container((X * (rng.random(X.shape) < 0.4)).astype(dtype))
        both = SphereFilter() & SlabFilter()
        attack = MinMaxAttack(0.2, filter=both, rho=1.0, random_state=0)
        X_poison, y_poison = attack.poison(X, y)
        assert X_poison.dtype == dtype
        assert len(y_poison) == 12
        assert (attack.filter_.predict(X_poison, y_poison) == 1).all()
        bound = attack.bound_
        assert (attack.filter_.predict(bound.attack_.X, bound.attack_.y) == 1).all()
        assert bound.attack_loss_ <= bound.upper_bound_


@pytest.mark.parametrize("kind", ["float32", "float64", "sparse"])
def test_no_row_that_a_filter_keeps_has_a_larger_loss(kind):
    """Rows just beyond the limits that a filter keeps for its rounding count too."""
    X, y = rows_far_away(3.0, "float32" if kind == "float32" else "float64")
    as_rows = sparse.csr_matrix if kind == "sparse" else np.asarray
    bound = CertifiedBound(SphereFilter() & SlabFilter(), 0.2, rho=1.0, tol=1e-6)
    bound.fit(as_rows(X), y)
    w, b = exact(bound.coef_), Decimal(bound.intercept_[0])
    rng, n_kept = np.random.default_rng(0), 0
    for sign, (label, rows) in zip((-1, 1), bound.filter_.feasible_set(), strict=True):
        step = 1e-7 if kind == "float32" else 1e-16
        worst = rows.support(-sign * bound.coef_[0])[1]
        outwards = 1.0 + step * rng.uniform(-4, 4, (200, 1))
        near = (rows.center + outwards * (worst - rows.center)).astype(X.dtype)
        kept = bound.filter_.predict(as_rows(near), np.full(200, label)) == 1
        n_kept += kept.sum()
        for row in near[kept]:
            assert hinge(sign, row, w, b) <= bound.poison_loss_
    assert n_kept > 0


def test_weights_of_a_svc_give_its_loss_exactly_enough():
    X, y = rows_far_away(1e6)
    svc = NormConstrainedSVC(1.0, tol=1e-6).fit(X, y)
    w, b = exact(svc.coef_), Decimal(svc.intercept_[0])
    signs = 2 * y - 1
    losses = [hinge(int(s), row, w, b) for s, row in zip(signs, X, strict=True)]
    assert svc.loss_ == pytest.approx(float(sum(losses) / len(losses)), rel=1e-8)
