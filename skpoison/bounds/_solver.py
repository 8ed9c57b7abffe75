"""The bound's saddle point, with a certified duality gap.

Newton's method on few rows finds the neighbourhood, then on the rows near the margin;
everything that is returned has been checked on all rows.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from ._poison import PoisonPoints, PoisonTerm
from ._smooth import Gaps, Piece, State, adapt_widths, gaps_at, minimize_smooth, pull

FIRST_ROWS = 1500
FIRST_TOL = 0.1
MAX_ROUNDS = 40
# Losses below this share of the loss of theta = 0 count as zero for the tolerance.
LOSS_FLOOR = 1e-3


class Problem(NamedTuple):
    """A learner, its weighted training rows and an attacker.

    Parameters
    ----------
    rows : Rows
        Signed training rows.
    weights : ndarray of shape (n_rows,)
        Weight of each row's hinge loss.
    poison : PoisonTerm
        The attacker.
    learner : NormBall or Penalty
        The learner.
    """

    rows: object
    weights: np.ndarray
    poison: PoisonTerm
    learner: object

    def target(self, upper, tol):
        """Return the absolute duality gap that a relative tolerance asks for."""
        return tol * max(upper, LOSS_FLOOR * float(self.weights.sum()))


@dataclass
class Solution:
    """Parameters with an upper bound, a dual point with a lower bound.

    Parameters
    ----------
    theta : ndarray of shape (dim,)
        Coefficients and intercept.
    margins : ndarray of shape (n_rows,)
        ``1 - score`` of every row at `theta`.
    upper : float
        The bound's value at `theta`: valid whatever the gap.
    duals : ndarray of shape (n_rows,)
        Share of its weight with which each row pulls.
    poison : PoisonPoints
        The attacker's weighted points.
    lower : float
        The dual value of `duals` and `poison`.
    state : State
        The last iterate, to start from again.
    n_iter : int
        Newton steps.
    converged : bool
        Whether the gap is within the tolerance.
    history : list of dict
        Upper and lower bound, steps and band size at each check on all rows.
    """

    theta: np.ndarray
    margins: np.ndarray
    upper: float
    duals: np.ndarray
    poison: PoisonPoints
    lower: float
    state: State
    n_iter: int
    converged: bool
    history: list

    @property
    def gap(self):
        """The certified duality gap."""
        return max(self.upper - self.lower, 0.0)


def solve(problem, *, tol, max_iter, rng, start=None, monitor=None):
    """Minimise the bound over the learner's parameters.

    Parameters
    ----------
    problem : Problem
        Rows, attacker and learner.
    tol : float
        Relative duality gap that is wanted.
    max_iter : int
        Most Newton steps.
    rng : numpy.random.RandomState
        Draws the first rows.
    start : State, default=None
        Where to start, with duals for all rows.
    monitor : callable, default=None
        Called with each entry of the history.

    Returns
    -------
    solution : Solution
        The best parameters and the best dual point found.
    """
    n_rows = len(problem.rows)
    n_iter = 0
    band_size = _first_band(problem)
    if start is None:
        start, n_iter = _first_state(problem, tol, max_iter, rng)
    best, state = None, start
    margins = 1.0 - problem.rows.scores(state.theta)
    if state.duals is None:
        state = replace(state, duals=np.clip(margins / state.row_width, 0.0, 1.0))
        best = None
    else:
        best = _check(problem, state, margins, None, n_iter, 0, tol, monitor)
    while best is None or not best.converged:
        if best is not None and n_iter >= max_iter:
            break
        band = nearest_to_margin(margins, band_size)
        theta = state.theta
        state, steps = _refine(problem, state, margins, band, tol, max_iter - n_iter)
        n_iter += steps
        state, margins = _settle(problem, state, theta, margins)
        former = best
        best = _check(problem, state, margins, best, n_iter, len(band), tol, monitor)
        stuck = former is not None and best.gap >= former.gap
        if steps == 0 or (stuck and band_size >= n_rows and len(best.history) > 30):
            break
        band_size = min(2 * band_size, n_rows)
    return best


def _first_band(problem):
    """Return how many rows to look at first: all, where rows are cheap."""
    n_rows = len(problem.rows)
    if problem.rows.is_sparse:
        return n_rows
    return min(n_rows, max(2 * FIRST_ROWS, n_rows // 5))


def _first_state(problem, tol, max_iter, rng):
    """Solve for a few random rows, loosely."""
    n_rows, dim = len(problem.rows), problem.rows.dim
    poison = problem.poison.start(dim - 1)
    # With more features than rows most rows end at the margin: smooth them more.
    state = State(np.zeros(dim), None, poison, row_width=0.2 if dim > n_rows else 0.1)
    if n_rows <= 2 * FIRST_ROWS:
        return state, 0
    chosen = np.sort(rng.choice(n_rows, FIRST_ROWS, replace=False))
    weights = problem.weights[chosen]
    weights = weights * (problem.weights.sum() / weights.sum())
    few = problem._replace(rows=problem.rows.take(chosen), weights=weights)
    state = replace(state, duals=np.ones(FIRST_ROWS))
    everything = np.arange(FIRST_ROWS)
    margins = np.ones(FIRST_ROWS)
    state, n_iter = _refine(few, state, margins, everything, FIRST_TOL, max_iter)
    return replace(state, duals=None), n_iter


def nearest_to_margin(margins, size):
    """Return the sorted indices of the rows nearest to the kink of their loss."""
    if size >= len(margins):
        return np.arange(len(margins))
    return np.sort(np.argpartition(np.abs(margins), size)[:size])


def _refine(problem, state, margins, band, tol, max_steps):
    """Solve for the rows of a band; those outside stay linear or idle."""
    piece = _piece(problem, margins, band)
    outside = np.where(margins > 0.0, 1.0, 0.0)
    inner = replace(state, duals=state.duals[band])
    former = Gaps(np.inf, np.inf, np.inf, 1.0)
    total, target = 0, np.inf
    for _ in range(MAX_ROUNDS):
        goal = problem.target(former.upper, tol)
        inner, gaps, steps = minimize_smooth(piece, inner, goal, max_steps - total)
        total += steps
        target = problem.target(gaps.upper, tol)
        if gaps.total <= 0.5 * target or total >= max_steps:
            break
        inner = adapt_widths(inner, gaps, former, target)
        former = gaps
    outside[band] = inner.duals
    return replace(inner, duals=outside), total


def _settle(problem, state, old, old_margins):
    """Go as far from the old to the new parameters as the loss on all rows allows.

    A band that was too small overfits: then the best point lies between the two.
    """
    margins = 1.0 - problem.rows.scores(state.theta)
    step, change = state.theta - old, margins - old_margins

    def upper(t):
        hinge = np.maximum(old_margins + t * change, 0.0)
        theta = old + t * step
        return (
            float(problem.weights @ hinge)
            + problem.poison.epsilon * problem.poison.largest_loss(theta)
            + problem.learner.value(theta)
        )

    if upper(1.0) <= upper(1.0 - 1e-3):
        return state, margins
    t = minimize_scalar(upper, bounds=(0.0, 1.0), method="bounded").x
    return replace(state, theta=old + t * step), old_margins + t * change


def _piece(problem, margins, band):
    if len(band) == len(margins):
        zero = np.zeros(problem.rows.dim)
        return Piece(
            problem.rows, problem.weights, zero, 0.0, problem.poison, problem.learner
        )
    beyond = np.where(margins > 0.0, problem.weights, 0.0)
    beyond[band] = 0.0
    return Piece(
        problem.rows.take(band),
        problem.weights[band],
        problem.rows.combine(beyond),
        float(beyond.sum()),
        problem.poison,
        problem.learner,
    )


def _check(problem, state, margins, best, n_iter, n_band, tol, monitor):
    """Evaluate an iterate on all rows and keep the better of each bound."""
    whole = _piece(problem, margins, range(len(margins)))
    z = pull(whole, state.duals, state.poison)
    gaps = gaps_at(whole, state.theta, margins, state.duals, state.poison, z)
    lower = dual_value(problem, state.duals, state.poison, z)
    entry = {
        "n_iter": n_iter,
        "upper_bound": float(gaps.upper),
        "lower_bound": float(lower),
        "n_rows": n_band,
    }
    history = [*(best.history if best else []), entry]
    if monitor is not None:
        monitor(entry)
    found = Solution(
        state.theta, margins, gaps.upper, state.duals, state.poison, lower,
        state, n_iter, False, history,
    )  # fmt: skip
    if best is not None and best.upper <= found.upper:
        found = replace(found, theta=best.theta, margins=best.margins, upper=best.upper)
    if best is not None and best.lower >= found.lower:
        found = replace(found, duals=best.duals, poison=best.poison, lower=best.lower)
    return replace(found, converged=bool(found.gap <= problem.target(found.upper, tol)))


def dual_value(problem, duals, poison, z):
    """Return the lower bound of a dual point whose weighted sum of rows is z."""
    mass = float(problem.weights @ duals)
    mass += problem.poison.epsilon * float(poison.beta.sum())
    return mass - problem.learner.conjugate(z)
