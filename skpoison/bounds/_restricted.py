"""The bound where attackers can only send some rows.

First the rows are replaced by the hull that Lagrangian duality sees, which Newton's
method solves as it does for real rows. Where the rows are not convex, the dual's
points are then taken apart into rows that can be sent, so that the lower bound speaks
of these; and where the rows, few as they are, fall short of their hull, cutting planes
and branching bring the bounds together.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from skpoison.feasible._hull import Hull
from skpoison.feasible._mixtures import can_mix
from skpoison.feasible._spread import Spread

from ._attack import Attack, n_poison_rows, whole_copies
from ._cuts import solve_cuts
from ._poison import PointPoison, PoisonPoints, PoisonTerm
from ._relaxed import HullPoison, solve_relaxed
from ._smooth import State
from ._solver import Solution, dual_value, upper_value

# The hull is solved to this share of the tolerance where rows must be found as well.
HULL_SHARE = 0.3
# Rows that stand for a dual point: at first, and at most.
FIRST_ROWS, MOST_ROWS = 128, 4096
# Rounds of cutting planes, which are only for problems with few features.
MAX_ROUNDS, FEW_FEATURES = 200, 2000
# Branching brings the oracle's value this near, relative to it.
ORACLE_SHARE = 0.25
SHRINKS = (0.0, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6)


class OraclePoison(PoisonTerm):
    """Poison from sets that are known through their oracle.

    Parameters
    ----------
    epsilon : float
        Total weight of the poison, relative to the clean rows.
    signs : sequence of float
        Sign of each set's label.
    sets : sequence of RestrictedSet
        The feasible sets, in the order of `signs`.
    gap_tol : float
        Relative gap between an oracle's value and its row at which it stops.
    """

    def __init__(self, epsilon, signs, sets, gap_tol):
        super().__init__(epsilon, signs, sets)
        self.gap_tol = gap_tol

    def _worst_row(self, i, a):
        return self.sets[i].solve(a, gap_tol=self.gap_tol)[:2]


@dataclass
class RestrictedSolution(Solution):
    """A solution, and what was found for the hulls.

    Parameters
    ----------
    hull : PoisonPoints or None
        The dual's poison in the hulls, where rows were spread around it.
    relaxed : State or None
        The last iterate for the hulls, to start from again.
    """

    hull: PoisonPoints | None = None
    relaxed: State | None = None


def restricted_poison(epsilon, signs, sets, tol):
    """Return the attacker's term for restricted sets, as precise as a tolerance asks.

    Parameters
    ----------
    epsilon : float
        Total weight of the poison.
    signs : sequence of float
        Sign of each set's label.
    sets : sequence of RestrictedSet
        The feasible sets.
    tol : float
        Relative duality gap that is wanted of the bound.

    Returns
    -------
    poison : OraclePoison
        The term.
    """
    return OraclePoison(epsilon, signs, sets, ORACLE_SHARE * tol)


def solve_restricted(problem, *, tol, max_iter, rng, start=None, monitor=None):
    """Minimise the bound over the learner's parameters, for restricted rows.

    Parameters
    ----------
    problem : Problem
        Rows, attacker and learner; the attacker's sets are restricted.
    tol : float
        Relative duality gap that is wanted.
    max_iter : int
        Most steps: Newton's, then rounds of cutting planes.
    rng : numpy.random.RandomState
        Draws where the rounding of rows begins.
    start : Solution, default=None
        A solution for another share of poison, to start from.
    monitor : callable, default=None
        Called with each entry of the history.

    Returns
    -------
    solution : Solution
        The best parameters and the best dual point found.
    """
    options = {"tol": tol, "monitor": monitor}
    if not all(can_mix(rows._parts) for rows in problem.poison.sets):
        return solve_cuts(problem, start=start, max_iter=max_iter, **options)
    hulls = [Hull(rows) for rows in problem.poison.sets]
    is_convex = all(rows.is_convex for rows in problem.poison.sets)
    poison = HullPoison(problem.poison.epsilon, problem.poison.signs, hulls)
    found = solve_relaxed(
        problem._replace(poison=poison),
        tol=tol if is_convex else HULL_SHARE * tol,
        max_iter=max_iter,
        rng=rng,
        start=None if start is None else start.relaxed,
        monitor=monitor,
    )
    if is_convex:
        return _inside(problem, found, tol)
    found = _spread(problem, found, tol, rng, monitor)
    if found.converged or problem.rows.dim > FEW_FEATURES:
        return found
    return _cut_further(problem, found, min(max_iter, MAX_ROUNDS), options)


def _inside(problem, found, tol):
    """Move the dual's points inwards until their sets contain them."""
    points = found.below.poison.points.copy()
    for point, rows in zip(points, problem.poison.sets, strict=True):
        for margin in SHRINKS:
            moved = rows.shrink(point, margin)
            if rows.contains([moved])[0]:
                break
        point[:] = moved
    poison = found.below.poison._replace(points=points)
    return _with_rows(problem, found, poison, None, tol)


def _with_rows(problem, found, poison, term, tol):
    """Return the solution with poison that can be sent, and its dual value."""
    below = replace(found.below, poison=poison)
    z = below.row_pull + (term or problem.poison).pull(poison)
    upper = upper_value(problem, found.above.theta, found.above.margins)
    lower = dual_value(problem, below.duals, poison, z)
    entry = {**found.history[-1], "upper_bound": upper, "lower_bound": float(lower)}
    fields = vars(found) | {
        "below": below,
        "upper": float(upper),
        "lower": float(lower),
        "term": term,
        "history": [*found.history, entry],
        "relaxed": found.state,
    }
    found = RestrictedSolution(**fields)
    found.converged = found.gap <= problem.target(found.upper, tol)
    return found


def _spread(problem, found, tol, rng, monitor):
    """Replace the dual's points by rows around them, as many as the gap asks for."""
    hull, theta = found.below.poison, found.above.theta
    spreads = spreads_of(problem.poison, hull, theta, rng)
    bundle, n_rows = [[] for _ in spreads], FIRST_ROWS
    while True:
        for i, (spread, share) in enumerate(zip(spreads, hull.beta, strict=True)):
            wanted = int(np.ceil(n_rows * share)) if share > 0 else 0
            have = sum(rows.shape[0] for rows in bundle[i])
            bundle[i].append(spread.take(wanted - have))
        poison, term = _bundled(problem.poison, bundle, hull.beta)
        trial = _with_rows(problem, found, poison, term, tol)
        if monitor is not None:
            monitor(trial.history[-1])
        trial.hull = hull
        if trial.converged or n_rows >= MOST_ROWS:
            return trial
        n_rows = _enough(problem, found, trial, n_rows, tol)


def _enough(problem, found, trial, n_rows, tol):
    """Return for how many rows the gap should be small enough: misfits halve."""
    allowed = problem.target(trial.upper, tol) - (trial.upper - found.lower)
    misfit = found.lower - trial.lower
    factor = 1.1 * misfit / allowed if allowed > 0 else np.inf
    return int(min(np.ceil(n_rows * max(factor, 1.3)), MOST_ROWS))


def spreads_of(poison, hull, theta, rng):
    """Return the sequences of rows around the points of the hulls.

    Parameters
    ----------
    poison : PoisonTerm
        The attacker.
    hull : PoisonPoints
        One point of each hull.
    theta : ndarray of shape (dim,)
        Parameters at which the rows' losses should be large.
    rng : numpy.random.RandomState
        Draws where the rounding begins.

    Returns
    -------
    spreads : list of Spread
        One for each class.
    """
    return [
        Spread(rows, point, -sign * theta[:-1], rng)
        for sign, rows, point in zip(
            poison.signs, poison.sets, hull.points, strict=True
        )
    ]


def _bundled(poison, bundle, shares):
    """Stack rows of the classes, which share their class's weight equally."""
    stacks = [sparse.csr_array(sparse.vstack(parts)) for parts in bundle]
    sizes = np.array([len(rows.indptr) - 1 for rows in stacks])
    beta = np.repeat(shares / np.maximum(sizes, 1), sizes)
    signs = np.repeat(poison.signs, sizes)
    points = sparse.csr_array(sparse.vstack(stacks))
    term = PointPoison(poison.epsilon, signs, points)
    return PoisonPoints(beta, points), term


def _cut_further(problem, found, max_iter, options):
    """Bring the bounds nearer by cutting planes, where rows fall short of the hull."""
    merged = _merged(found)
    more = solve_cuts(problem, start=merged, max_iter=max_iter, **options)
    if more.gap >= found.gap:
        return found
    fields = vars(more) | {
        "n_iter": found.n_iter + more.n_iter,
        "history": [*found.history, *more.history],
        "relaxed": found.relaxed,
    }
    return RestrictedSolution(**fields)


def _merged(found):
    """Merge equal rows of the dual's poison."""
    term, beta = found.term, found.below.poison.beta
    labelled = np.column_stack([term.signs, term.points.toarray()])
    rows, place = np.unique(labelled, axis=0, return_inverse=True)
    points = sparse.csr_array(rows[:, 1:])
    term = PointPoison(term.epsilon, rows[:, 0], points)
    beta = np.bincount(place.ravel(), beta, minlength=len(rows))
    below = replace(found.below, poison=PoisonPoints(beta, points))
    return replace(found, below=below, term=term)


def spread_attack(problem, found, n_rows, keeps, rng):
    """Send rows around the dual's points of the hulls, one copy of each.

    Parameters
    ----------
    problem : Problem
        The problem solved.
    found : RestrictedSolution
        Its solution, with points of the hulls.
    n_rows : int
        Number of clean rows.
    keeps : callable
        Says which rows, given with the signs of their labels, the filter keeps.
    rng : numpy.random.RandomState
        Draws where the rounding begins.

    Returns
    -------
    attack : Attack
        The attack, its points a CSR array.
    """
    poison, hull = problem.poison, found.hull
    total = n_poison_rows(poison.epsilon, n_rows)
    copies = whole_copies(poison.epsilon * hull.beta * n_rows, total)
    spreads = spreads_of(poison, hull, found.above.theta, rng)
    parts = [spread.take(n) for spread, n in zip(spreads, copies, strict=True)]
    points = sparse.csr_array(sparse.vstack(parts))
    signs = np.repeat(poison.signs, copies)
    kept = keeps(points, signs)
    return Attack(points[kept], signs[kept], np.ones(int(kept.sum()), dtype=int))
