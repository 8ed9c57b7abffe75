"""The bound's saddle point, with a certified duality gap.

Newton's method starts on a sample of rows, goes on with a growing working set of the
rows nearest to the margin, and evaluates both bounds on all rows after each solve.
See docs/mathematics.md, section "The working set".
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from skpoison.losses import Hinge
from skpoison.solvers._adversary import Adversary, PoisonPoints
from skpoison.solvers._proximal_newton import (
    Gaps,
    Iterate,
    Subproblem,
    adapt_prox,
    minimize_smooth,
)
from skpoison.solvers._regularizers import Regularizer
from skpoison.solvers._signed_design import Rows

# Rows of the sample that Newton's method starts on, or this share of all if that is
# more; sparse ones are cheap.
FIRST_ROWS, FIRST_SHARE, FIRST_SPARSE = 1000, 1 / 200, 1500
# Least number of rows of the first working set, and share of all: after a sample, and
# after another problem, whose solution says less of which rows will lie at the margin.
AFTER_SAMPLE, AFTER_OTHER = (1000, 1 / 13), (2000, 1 / 7)
FIRST_TOL = 0.1
MAX_ROUNDS = 40
MAX_CHECKS = 60
# Scores in single precision may be wrong by this share of the gap that is wanted.
SINGLE = 0.5
# Losses below this share of the loss of theta = 0 count as zero for the tolerance.
LOSS_FLOOR = 1e-3


# Takes an entry of the history: steps and bounds at one check.
Monitor = Callable[[dict[str, Any]], None]


class Problem(NamedTuple):
    """A learner, its weighted training rows and an attacker.

    Parameters
    ----------
    rows : Rows
        Signed training rows.
    weights : ndarray of shape (n_rows,)
        Weight of each row's hinge loss.
    poison : Adversary
        The attacker.
    learner : NormBall or Penalty
        The learner.
    """

    rows: Rows
    weights: np.ndarray
    poison: Adversary
    learner: Regularizer

    def margins(self, iterate: Iterate) -> np.ndarray:
        """Return ``1 - score`` of every row, computed unless the iterate holds it."""
        if iterate.margins is not None:
            return iterate.margins
        return 1.0 - self.rows.scores(iterate.theta)

    def target(self, upper: float, tol: float) -> float:
        """Return the absolute duality gap that a relative tolerance asks for."""
        return tol * max(upper, LOSS_FLOOR * float(self.weights.sum()))


@dataclass
class Solution:
    """Parameters with an upper bound, a dual point with a lower bound.

    Parameters
    ----------
    best_primal : Iterate
        The iterate whose parameters give the least upper bound.
    upper : float
        The bound's value there: valid whatever the gap.
    best_dual : Iterate
        The iterate whose duals and points give the largest lower bound.
    lower : float
        Their dual value.
    iterate : Iterate
        The last iterate, to start from again.
    n_iter : int
        Newton steps.
    converged : bool
        Whether the gap is within the tolerance.
    history : list of dict
        Upper and lower bound, steps and working-set size at each check on all rows.
    term : Adversary or None
        The attacker whose points `best_dual` weighs, where it is not the problem's.
    """

    best_primal: Iterate | None = None
    upper: float = np.inf
    best_dual: Iterate | None = None
    lower: float = -np.inf
    iterate: Iterate | None = None
    n_iter: int = 0
    converged: bool = False
    history: list = field(default_factory=list)
    term: Adversary | None = None

    @property
    def gap(self) -> float:
        """The certified duality gap."""
        return max(self.upper - self.lower, 0.0)

    def improved(
        self,
        problem: "Problem",
        tol: float,
        *,
        primal: tuple[Iterate, float] | None = None,
        dual: tuple[Iterate, float, Adversary | None] | None = None,
        **changes: Any,
    ) -> "Solution":
        """Return the record with the better of each bound, checked against `tol`.

        `primal` is an iterate and its upper bound; `dual` an iterate, its lower bound
        and the attacker whose points it weighs (None for the problem's).
        """
        if primal is not None and (self.best_primal is None or primal[1] < self.upper):
            changes |= zip(("best_primal", "upper"), primal, strict=True)
        if dual is not None and (self.best_dual is None or dual[1] > self.lower):
            changes |= zip(("best_dual", "lower", "term"), dual, strict=True)
        found = replace(self, **changes)
        within = found.gap <= problem.target(found.upper, tol)
        found.converged = bool(np.isfinite(found.upper) and within)
        return found


def solve(
    problem: Problem,
    *,
    tol: float,
    max_iter: int,
    rng: np.random.RandomState,
    start: Iterate | None = None,
    monitor: Monitor | None = None,
) -> Solution:
    """Minimize the bound over the learner's parameters to a relative duality gap.

    A start brings duals for all rows; the monitor gets each entry of the history.
    """
    iterate, n_iter = (
        (start, 0) if start else _first_iterate(problem, tol, max_iter, rng)
    )
    iterate = replace(iterate, margins=problem.margins(iterate))
    best = None
    if start is not None:
        best = _check(problem, iterate, None, n_iter, 0, tol, monitor)
    n_working = _first_size(problem, AFTER_SAMPLE if start is None else AFTER_OTHER)
    while best is None or not (best.converged or n_iter >= max_iter):
        previous, theta, margins = best, iterate.theta, problem.margins(iterate)
        working_set = _nearest_to_margin(margins, n_working)
        steps_left = max(max_iter - n_iter, 1)
        refined, n_steps = _refine(problem, iterate, working_set, tol, steps_left)
        n_iter += n_steps
        refined, lower = _with_lower(problem, refined)
        lower = lower if previous is None else max(lower, previous.lower)
        iterate = _settle(problem, refined, theta, margins, lower, tol)
        best = _check(
            problem, iterate, previous, n_iter, len(working_set), tol, monitor
        )
        if n_steps == 0 or len(best.history) >= MAX_CHECKS:
            break
        n_working = min(2 * n_working, len(problem.rows))
    return best


def _first_size(problem: Problem, least: tuple[int, float]) -> int:
    """Return how many rows to look at first: all, where rows are cheap."""
    n_rows = len(problem.rows)
    if problem.rows.is_sparse:
        return n_rows
    number, share = least
    return min(n_rows, max(number, int(share * n_rows)))


def _first_iterate(
    problem: Problem, tol: float, max_iter: int, rng: np.random.RandomState
) -> tuple[Iterate, int]:
    """Solve for a few random rows, loosely."""
    n_rows, dim = len(problem.rows), problem.rows.dim
    poison = problem.poison.start(dim - 1)
    # With more features than rows most rows end at the margin: smooth them more.
    row_prox = 0.2 if dim > n_rows else 0.1
    iterate = Iterate(
        np.zeros(dim), np.ones(n_rows), poison, row_prox, margins=np.ones(n_rows)
    )
    n_first = max(FIRST_ROWS, int(FIRST_SHARE * n_rows))
    if problem.rows.is_sparse:
        n_first = FIRST_SPARSE
    if n_rows <= 2 * n_first:
        return iterate, 0
    chosen = np.sort(rng.choice(n_rows, n_first, replace=False))
    weights = problem.weights[chosen]
    weights = weights * (problem.weights.sum() / weights.sum())
    few = problem._replace(rows=problem.rows.sample(chosen), weights=weights)
    ones, everything = np.ones(n_first), np.arange(n_first)
    iterate = replace(iterate, duals=ones, margins=ones)
    iterate, n_iter = _refine(few, iterate, everything, FIRST_TOL, max_iter)
    margins = problem.margins(iterate)
    duals = Hinge().project(margins / iterate.row_prox)
    return replace(iterate, margins=margins, duals=duals, row_sum=None), n_iter


def _nearest_to_margin(margins: np.ndarray, size: int) -> np.ndarray:
    """Return the sorted indices of the rows nearest to the kink of their loss."""
    if size >= len(margins):
        return np.arange(len(margins))
    return np.sort(np.argpartition(np.abs(margins), size)[:size])


def _refine(
    problem: Problem,
    iterate: Iterate,
    working_set: np.ndarray,
    tol: float,
    max_steps: int,
) -> tuple[Iterate, int]:
    """Solve for a working set; the other rows' losses are linear or zero.

    The result has the sum of all rows, weighted by their duals.
    """
    margins = problem.margins(iterate)
    rows = _rows_of(problem, iterate.theta, margins, working_set, tol)
    subproblem = _subproblem(problem, margins, working_set, rows)
    duals = np.where(margins > 0.0, 1.0, 0.0)
    own = {"duals": iterate.duals[working_set], "margins": margins[working_set]}
    inner = replace(iterate, row_sum=None, **own)
    previous = Gaps(np.inf, np.inf, np.inf, 1.0)
    total, target = 0, np.inf
    for _ in range(MAX_ROUNDS):
        goal = problem.target(previous.upper, tol)
        inner, gaps, steps = minimize_smooth(
            subproblem, inner, goal, max_steps - total, margins=inner.margins
        )
        total += steps
        target = problem.target(gaps.upper, tol)
        if gaps.total <= 0.5 * target or total >= max_steps:
            break
        inner = adapt_prox(inner, gaps, previous, target)
        previous = gaps
    duals[working_set] = inner.duals
    own = np.zeros(len(margins))
    own[working_set] = subproblem.weights * inner.duals
    row_sum = subproblem.linear + problem.rows.combine(own)
    return replace(inner, duals=duals, margins=None, row_sum=row_sum), total


def _rows_of(
    problem: Problem,
    theta: np.ndarray,
    margins: np.ndarray,
    working_set: np.ndarray,
    tol: float,
) -> Rows:
    """Return the rows of a working set, in single precision if that is enough.

    It is where their losses differ by less than the gap that is wanted.
    """
    if len(working_set) == len(margins):
        return problem.rows
    loss = float(problem.weights @ Hinge().of_shortfalls(margins))
    allowed = SINGLE * problem.target(loss, tol)
    if allowed > np.finfo(np.float32).eps:
        rows = problem.rows.sample(working_set)
        off = np.abs(1.0 - rows.scores(theta) - margins[working_set])
        if off.max() <= allowed:
            return rows
    return problem.rows.take(working_set)


def _with_lower(
    problem: Problem, iterate: Iterate, term: Adversary | None = None
) -> tuple[Iterate, float]:
    """Evaluate the dual at an iterate, which then holds the sum of the rows."""
    row_sum = iterate.row_sum
    if row_sum is None:
        row_sum = problem.rows.combine(problem.weights * iterate.duals)
        iterate = replace(iterate, row_sum=row_sum)
    z = row_sum + (term or problem.poison).dual_sum(iterate.poison)
    return iterate, float(dual_value(problem, iterate.duals, iterate.poison, z))


def _settle(
    problem: Problem,
    iterate: Iterate,
    old: np.ndarray,
    old_margins: np.ndarray,
    lower: float,
    tol: float,
) -> Iterate:
    """Go as far from the old to the new parameters as the loss on all rows allows.

    A working set that is too small overfits: the best point then lies in between. The
    new parameters are as good where the lower bound shows them to be within tolerance.
    """
    margins = 1.0 - problem.rows.scores(iterate.theta)
    step, change = iterate.theta - old, margins - old_margins
    clean_loss = _loss_between(problem.weights, old_margins, margins)

    def upper(t):
        theta = old + t * step
        worst = problem.poison.epsilon * problem.poison.largest_loss(theta)
        return clean_loss(t) + worst + problem.learner.value(theta)

    there = upper(1.0)
    is_enough = there - lower <= problem.target(there, tol)
    if is_enough or there <= upper(1.0 - 1e-3):
        return replace(iterate, margins=margins, is_interpolated=False)
    t = minimize_scalar(upper, bounds=(0.0, 1.0), method="bounded").x
    theta, margins = old + t * step, old_margins + t * change
    return replace(iterate, theta=theta, margins=margins, is_interpolated=True)


def _loss_between(
    weights: np.ndarray, old: np.ndarray, new: np.ndarray
) -> Callable[[float], float]:
    """Return the hinge loss at points between two, of which the margins are known.

    The losses of most rows are zero or linear all the way: these are summed once.
    """
    was, stays = old > 0.0, (old > 0.0) & (new > 0.0)
    loss = float(weights @ np.where(stays, old, 0.0))
    slope = float(weights @ np.where(stays, new, 0.0)) - loss
    turning = np.flatnonzero(was != (new > 0.0))
    few, start = weights[turning], old[turning]
    change = new[turning] - start

    def at(t):
        turned = Hinge().of_shortfalls(start + t * change)
        return loss + t * slope + float(few @ turned)

    return at


def _subproblem(
    problem: Problem, margins: np.ndarray, working_set: np.ndarray, rows: Rows
) -> Subproblem:
    if len(working_set) == len(margins):
        zero = np.zeros(problem.rows.dim)
        return Subproblem(
            problem.rows, problem.weights, zero, 0.0, problem.poison, problem.learner
        )
    beyond = np.where(margins > 0.0, problem.weights, 0.0)
    beyond[working_set] = 0.0
    return Subproblem(
        rows,
        problem.weights[working_set],
        problem.rows.combine(beyond),
        float(beyond.sum()),
        problem.poison,
        problem.learner,
    )


def _check(
    problem: Problem,
    iterate: Iterate,
    best: Solution | None,
    n_iter: int,
    n_working: int,
    tol: float,
    monitor: Monitor | None,
) -> Solution:
    """Evaluate an iterate on all rows, and keep the best primal and the best dual."""
    upper = upper_value(problem, iterate.theta, problem.margins(iterate))
    return record(problem, best, iterate, upper, n_iter, n_working, tol, monitor)


def record(
    problem: Problem,
    best: Solution | None,
    iterate: Iterate,
    upper: float,
    n_iter: int,
    n_rows: int,
    tol: float,
    monitor: Monitor | None,
    term: Adversary | None = None,
) -> Solution:
    """Evaluate the dual at an iterate, and keep the best primal and the best dual."""
    iterate, lower = _with_lower(problem, iterate, term)
    entry = {
        "n_iter": n_iter,
        "upper_bound": float(upper),
        "lower_bound": lower,
        "n_rows": n_rows,
    }
    if monitor is not None:
        monitor(entry)
    best = best or Solution()
    return best.improved(
        problem,
        tol,
        primal=(iterate, upper),
        dual=(iterate, lower, term),
        iterate=iterate,
        n_iter=n_iter,
        history=[*best.history, entry],
    )


def upper_value(
    problem: Problem, theta: np.ndarray, margins: np.ndarray, worst: float | None = None
) -> float:
    """Return the bound at parameters: valid if the learner allows them.

    The margins are ``1 - score`` of every row, `worst` the attacker's largest loss.
    """
    if worst is None:
        worst = problem.poison.largest_loss(theta)
    return (
        float(problem.weights @ Hinge().of_shortfalls(margins))
        + problem.poison.epsilon * worst
        + problem.learner.value(theta)
    )


def dual_value(
    problem: Problem, duals: np.ndarray, poison: PoisonPoints, z: np.ndarray
) -> float:
    """Return ``sum(alpha) + epsilon sum(beta) - conjugate(z)``: a valid lower bound.

    The duals are shares of the rows' weights; z is their signed sum with the poison.
    """
    mass = float(problem.weights @ duals)
    poisoned = float(np.sum(problem.poison.constants * poison.beta))
    mass += problem.poison.epsilon * poisoned
    return mass - problem.learner.conjugate(z)
