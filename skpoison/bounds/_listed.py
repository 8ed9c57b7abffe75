"""The bound for attackers whose rows, or their kinds, are few enough to be listed.

The attacker's hull is that of a list of points, or of balls where some features are
free; the largest loss is that of the worst of them, so that upper and lower bound meet:
no relaxation lies between.
"""

from dataclasses import replace

import numpy as np
from scipy import sparse

from skpoison.feasible.discrete._slices import INWARDS
from skpoison.solvers._adversary import PointPoison, PoisonPoints, PoisonTerm
from skpoison.solvers._working_set import Solution, dual_value, solve, upper_value

# Slices that are added for each class and round, and the most rounds.
WORST, MAX_ROUNDS = 2, 30
# Each round is solved to this share of the tolerance.
SHARE_OF_TOL = 0.3


def are_listed(sets):
    """Whether all rows of all sets are known."""
    return all(getattr(rows, "rows", None) is not None for rows in sets)


def solve_listed(problem, *, tol, max_iter, rng, start=None, monitor=None):
    """Minimize the bound over the learner's parameters, for rows in a list.

    `start` is a solution for an attacker with other rows or another share of them.
    """
    poison = problem.poison
    rows = [one.rows for one in poison.sets]
    signs = np.repeat(poison.signs, [len(one) for one in rows])
    term = PointPoison(poison.epsilon, signs, np.vstack(rows))
    iterate = None
    if start is not None:
        iterate = replace(start.iterate, poison=term.start(problem.rows.dim - 1))
    listed = problem._replace(poison=term)
    options = {"tol": tol, "max_iter": max_iter, "rng": rng, "monitor": monitor}
    return _with_used_rows(problem, solve(listed, start=iterate, **options), tol)


def _with_used_rows(problem, found, tol):
    """Return the solution with the rows that carry weight, as its attacker's."""
    beta = found.best_dual.poison.beta
    used = np.flatnonzero(beta > 0.0)
    points = sparse.csr_array(found.best_dual.poison.points[used])
    signs = _signs_of(problem.poison)[used]
    best_dual = replace(found.best_dual, poison=PoisonPoints(beta[used], points))
    term = PointPoison(problem.poison.epsilon, signs, points)
    # Rows that rounding alone could let through count for the upper bound.
    best = found.best_primal
    upper = float(upper_value(problem, best.theta, best.margins))
    fields = vars(found) | {"best_dual": best_dual, "term": term, "upper": upper}
    return Solution(**fields).improved(problem, tol)


def _signs_of(poison):
    return np.repeat(poison.signs, [len(one.rows) for one in poison.sets])


def are_sliced(sets):
    """Whether all sets are unions of slices that are known."""
    return all(getattr(rows, "slices", None) is not None for rows in sets)


def solve_slices(problem, *, tol, max_iter, rng, start, monitor=None):
    """Minimize the bound over the learner's parameters, for unions of slices.

    The attacker first has the worst slices at the parameters of `start`, and then those
    too that turn out to be worse.
    """
    active = _Active(problem.poison)
    active.add_worst(start.best_primal.theta)
    iterate = replace(start.iterate, poison=active.poison())
    options = {"tol": SHARE_OF_TOL * tol, "rng": rng}
    best, left = None, max_iter
    for _ in range(MAX_ROUNDS):
        few = problem._replace(poison=active.term())
        found = solve(few, start=iterate, max_iter=left, **options)
        assert found.best_primal is not None and found.iterate is not None
        best = _better(problem, best, found, few.poison, tol, monitor)
        left = max_iter - best.n_iter
        if best.converged or left <= 0:
            break
        if not active.add_worst(found.best_primal.theta):
            break
        iterate = replace(found.iterate, poison=active.poison(found.iterate.poison))
    return best


class _Active:
    """The slices that the attacker has so far."""

    def __init__(self, poison):
        self.full, self.chosen, self.regions = poison, [], []

    def add_worst(self, theta):
        """Add the worst slices of each class at parameters; say whether any is new."""
        before = len(self.chosen)
        for i, (sign, rows) in enumerate(
            zip(self.full.signs, self.full.sets, strict=True)
        ):
            values = rows.slices.largest(-sign * theta[:-1])
            worst = np.argsort(-values, kind="stable")[:WORST]
            for k in worst[values[worst] >= values.max() - 1.0]:
                if (i, k) not in self.chosen:
                    self.chosen.append((i, k))
                    self.regions.append(rows.slices.region(k))
        return len(self.chosen) > before

    def term(self):
        """Return the attacker's term."""
        signs = self.full.signs[[i for i, _ in self.chosen]]
        return PoisonTerm(self.full.epsilon, signs, self.regions)

    def poison(self, known=None):
        """Return weighted points to start from: those known, and none of the others."""
        points = np.array([region.center for region in self.regions])
        beta = np.zeros(len(points))
        if known is not None:
            beta[: len(known.beta)], points[: len(known.beta)] = known
        return PoisonPoints(beta, points)


def _better(problem, best, found, term, tol, monitor):
    """Return the better of both bounds, the upper one for all slices."""
    primal, dual = found.best_primal, found.best_dual
    upper = float(upper_value(problem, primal.theta, primal.margins))
    used = np.flatnonzero(dual.poison.beta > 0.0)
    shrunk = [term.sets[j].shrink(dual.poison.points[j], INWARDS) for j in used]
    points = sparse.csr_array(np.array(shrunk).reshape(-1, problem.rows.dim - 1))
    poison = PoisonPoints(dual.poison.beta[used], points)
    own = PointPoison(problem.poison.epsilon, term.signs[used], points)
    z = dual.row_sum + own.dual_sum(poison)
    lower = float(dual_value(problem, dual.duals, poison, z))
    before = best or Solution()
    n_iter = before.n_iter + found.n_iter
    entry = {
        "n_iter": n_iter,
        "upper_bound": upper,
        "lower_bound": lower,
        "n_rows": len(problem.rows),
    }
    if monitor is not None:
        monitor(entry)
    return before.improved(
        problem,
        tol,
        primal=(primal, upper),
        dual=(replace(dual, poison=poison), lower, own),
        iterate=found.iterate,
        n_iter=n_iter,
        history=[*before.history, entry],
    )
