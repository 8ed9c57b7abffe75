"""The bound for rows that are not in memory, which are looked at in passes.

After each pass, rows that were drawn stand in for all. A linear term makes the gradient
of their bound that of all rows at the parameters of the pass, so that only the change
of the gradient is estimated; Newton's method then minimizes it in memory, and the next
pass looks at the parameters found. Both bounds are values over all rows. See
docs/mathematics.md, section "Rows in blocks".
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from skpoison.losses import Loss
from skpoison.solvers import _loss_newton
from skpoison.solvers._adversary import PoisonPoints
from skpoison.solvers._block_sums import Few, Look, Seen, Smoothed, Sums, sums_at
from skpoison.solvers._loss_newton import LossIterate, Monitor, start_at
from skpoison.solvers._loss_problem import LOSS_FLOOR, Beyond, LossProblem
from skpoison.solvers._working_set import Solution
from skpoison.solvers._worst_rows import WorstRows

# So many rows stand in for all: no more cells than these, but rows for each parameter.
MOST_ROWS, MOST_CELLS, ROWS_OF_PARAMETER = 200_000, 8_000_000, 40
MAX_PASSES = 24
# Of the gap that may be left, what the problem in memory and the smoothing may leave.
INNER, SMOOTHING = 0.1, 0.25
# The first width of what is smoothed, in units of the loss at zero, at which all rows
# curve; it shrinks to a multiple of FINER, by LEAP at most at once. As long as it does,
# problems are solved to LOOSE. Rows are drawn from so many times the width.
FIRST_STEP, FINER, LEAP, LOOSE, WIDER = 4.0, 0.5, 0.1, 0.01, 4.0
FINEST = 1e-9
# Half of the rows are drawn where the losses bend, the others anywhere.
BENT = 0.5
# Penalties that stand in for a ball's: the least, relative to the weights of the rows,
# what they grow or shrink by where nothing is known, and how many are tried.
LEAST_KAPPA, LONGER, MAX_TRIALS = 1e-6, 8.0, 60
LEAST_NORM = 1e-9
# The rows in memory never become more than so many times what they are at first.
MOST_GROWTH = 4


def most_rows(dim: int, cells_of_row: float) -> int:
    """Return how many rows may be in memory, for so many parameters and cells a row."""
    enough = max(MOST_CELLS // max(cells_of_row, 1.0), ROWS_OF_PARAMETER * dim)
    return int(min(MOST_ROWS, enough))


class Source(Protocol):
    """Rows in blocks, wherever these are."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""

    def look(self, look: Look) -> Seen:
        """Return what a look has found in all blocks: one pass over the rows."""


class BlockProblem(NamedTuple):
    """A learner, its rows in blocks and an attacker.

    Parameters
    ----------
    source : Source
        The rows, whose weights are the problem's.
    mass : float
        The sum of their weights.
    few : Few
        Some of them, drawn at random, which weigh as much.
    extra : Few or None
        More rows, all in memory.
    poison : WorstRows
        The attacker.
    loss : Loss
        The loss.
    stiffness : ndarray of shape (n_features + 1,)
        As in `LossProblem`; not used with a ball.
    rho : float or None
        Radius of the learner's ball, in place of the penalty.
    """

    source: Source
    mass: float
    few: Few
    extra: Few | None
    poison: WorstRows
    loss: Loss
    stiffness: np.ndarray
    rho: float | None = None

    @property
    def rows(self):
        """Rows of this problem's form, which parameters are those of."""
        return self.few.rows

    @property
    def total(self) -> float:
        """The sum of all weights."""
        more = 0.0 if self.extra is None else float(self.extra.weights.sum())
        return self.mass + more

    def in_memory(self, few: Few, beyond: Beyond | None = None) -> LossProblem:
        """Return the problem of rows that stand in for those in the blocks."""
        rows = few if self.extra is None else Few.joined([few, self.extra])
        loss, stiffness = self.loss, self.stiffness
        parts = rows.rows, rows.weights, self.poison, loss, stiffness
        return LossProblem(*parts, rows.targets, beyond)

    @property
    def _alone(self):
        few = self.few
        parts = few.rows, few.weights, self.poison, self.loss, self.stiffness
        return LossProblem(*parts, few.targets)

    def target(self, upper: float, tol: float) -> float:
        """Return the absolute duality gap that a relative tolerance asks for."""
        least = self._alone.target(0.0, 1.0) * self.total / self.mass
        return tol * max(upper, least)

    @property
    def at_zero(self) -> float:
        """About the mean loss of the best constant score."""
        return self.target(0.0, 1.0) / (LOSS_FLOOR * self.total)

    def inside(self, theta: np.ndarray) -> np.ndarray:
        """Return parameters that the learner allows, the nearest ones."""
        length = float(np.linalg.norm(theta))
        if self.rho is None or length <= self.rho:
            return theta
        return theta * (self.rho / length)

    def penalty(self, theta: np.ndarray) -> float:
        """Return the penalty of parameters."""
        if self.rho is not None:
            return 0.0
        return self._alone.penalty(theta)

    def conjugate(self, z: np.ndarray) -> float:
        """Return the penalty's conjugate, or the ball's."""
        if self.rho is not None:
            return self.rho * float(np.linalg.norm(z))
        return self._alone.conjugate(z)

    def upper(self, theta: np.ndarray, sums: Sums) -> float:
        """Return the bound at parameters, given the sums over all rows: it is valid."""
        poison = self.poison.epsilon * self.poison.largest_loss(theta)
        return sums.value + poison + self.penalty(theta)

    def balanced(
        self, sums: Sums, poison: PoisonPoints, slopes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Return shares of both groups' slopes, and the poison's slopes.

        With these, z has no intercept, where that is free; None: cannot be.
        """
        shares = np.ones(2)
        if self.rho is not None or self.stiffness[-1] > 0.0:
            return shares, slopes
        excess = float(sums.z[:, -1].sum())
        if self.poison:
            excess += self.poison.excess(poison, slopes)
        heavier = 0 if excess > 0.0 else 1
        there = abs(float(sums.z[heavier, -1]))
        shares[heavier] = max(1.0 - abs(excess) / there, 0.0) if there > 0.0 else 0.0
        left = np.copysign(max(abs(excess) - there, 0.0), excess)
        if left == 0.0:
            return shares, slopes
        lighter = self.poison.lightened(poison, left, slopes)
        return None if lighter is None else (shares, lighter)

    def lower(self, sums: Sums, poison: PoisonPoints, slopes: np.ndarray) -> float:
        """Return the dual value: no parameters have a smaller bound.

        A share of slopes has at most that share of their conjugates, since losses are
        0 at least: the conjugate of no slope is 0.
        """
        even = self.balanced(sums, poison, slopes)
        if even is None:
            return 0.0
        shares, slopes = even
        value = float(shares @ (sums.targets - sums.conjugates))
        value += self.poison.dual_mass(poison, slopes)
        z = shares @ sums.z
        if self.poison:
            z = z + self.poison.dual_sum(poison, slopes)
        return max(value - self.conjugate(z), 0.0)


@dataclass
class Anchor:
    """Where all rows were looked at last.

    Parameters
    ----------
    iterate : LossIterate
        Parameters and poison.
    smooth : Loss
        The loss whose slopes were taken.
    few : Few
        The rows that were drawn.
    beyond : Beyond or None
        What they lack.
    """

    iterate: LossIterate
    smooth: Loss
    few: Few
    beyond: Beyond | None


@dataclass
class BlockSolution(Solution):
    """A solution, and the sums over all rows behind its bounds.

    Parameters
    ----------
    primal_sums, dual_sums : Sums
        At `best_primal` and `best_dual`.
    clean_sums : Sums
        At `best_primal`, over the rows in blocks alone.
    anchor : Anchor
        Where another fit can start.
    """

    primal_sums: Any = None
    dual_sums: Any = None
    clean_sums: Any = None
    anchor: Any = None


def solve(
    problem: BlockProblem,
    *,
    tol: float,
    max_iter: int,
    rng: np.random.RandomState,
    start: BlockSolution | None = None,
    monitor: Monitor | None = None,
) -> BlockSolution:
    """Minimize the bound over the learner's parameters to a relative duality gap.

    A start is the solution of a problem with the same rows, whose attacker and `extra`
    rows may be others.
    """
    found, n_iter = BlockSolution(), 0
    anchor = _first_anchor(problem)
    if start is not None:
        anchor = start.anchor
        found = _evaluated(problem, found, start, tol, monitor)
    size = most = most_rows(problem.rows.dim, _cells_of_row(problem.few))
    for _ in range(0 if found.converged else MAX_PASSES):
        options = {"tol": tol, "max_iter": max_iter - n_iter, "rng": rng}
        iterate, smooth, steps = _minimize(problem, anchor, **options)
        n_iter += steps
        before = found.upper
        look = _look_from(problem, anchor, iterate, smooth, size, rng)
        given = iterate, look, n_iter, tol, monitor
        found, anchor = _look_at_all(problem, found, anchor, *given)
        if found.converged or n_iter >= max_iter:
            break
        if found.upper >= before:  # too few rows to tell where the bound is least
            size = min(2 * size, MOST_GROWTH * most)
    return found


def _look_at_all(problem, found, anchor, iterate, look, n_iter, tol, monitor):
    """Look at all rows; return what is known then, and where they were looked at."""
    seen = problem.source.look(look)
    given = iterate, look, seen.sums, n_iter, anchor.few.n_rows
    found = _record(problem, found, *given, tol, monitor)
    found.anchor = _anchor(problem, iterate, look, seen, anchor)
    return found, found.anchor


def _first_anchor(problem):
    smooth = _smoothed(problem.loss, FIRST_STEP * problem.at_zero)
    start = start_at(_in_memory(problem, smooth), np.zeros(problem.rows.dim))
    return Anchor(start, smooth, problem.few, None)


def _smoothed(loss, step):
    return Smoothed.of(loss, step) if loss.is_piecewise_linear else loss


def _in_memory(problem, smooth, few=None, beyond=None):
    few = problem.few if few is None else few
    return problem.in_memory(few, beyond)._replace(loss=smooth)


def _cells_of_row(few):
    X = few.rows.X
    return X.nnz / max(X.shape[0], 1) if few.rows.is_sparse else X.shape[1]


def _minimize(problem, anchor, *, tol, max_iter, rng):
    """Minimize what stands in for the bound; return an iterate, the loss, the steps."""
    iterate, smooth, n_iter = anchor.iterate, anchor.smooth, 0
    is_settled = anchor.beyond is not None
    more = {} if problem.rho is None else {"rho": problem.rho}
    solver = _loss_newton.solve if problem.rho is None else _solve_in_ball
    while True:
        inner = _in_memory(problem, smooth, anchor.few, anchor.beyond)
        start = replace(start_at(inner, iterate.theta), **_of_poison(iterate))
        enough = INNER * tol if is_settled else max(INNER * tol, LOOSE)
        options = {"tol": enough, "max_iter": max_iter - n_iter, "rng": rng}
        found = solver(inner, start=start, **options, **more)
        n_iter += found.n_iter
        iterate = _last(found)
        finer = _finer(problem, inner, iterate, tol)
        if n_iter >= max_iter or (finer is None and is_settled):
            return iterate, smooth, n_iter
        is_settled, smooth = finer is None, finer or smooth


def _last(found: Solution) -> LossIterate:
    """Return where a solver ended."""
    assert isinstance(found.iterate, LossIterate)
    return found.iterate


def _of_poison(iterate):
    """The part of an iterate that goes on where rows are others."""
    names = ("poison", "poison_slopes", "share_prox", "point_prox")
    return {name: getattr(iterate, name) for name in names}


def _finer(problem, inner, iterate, tol):
    """Return a loss that is smoothed less, if smoothing leaves too much of the gap."""
    if not isinstance(inner.loss, Smoothed):
        return None
    margins = inner.margins(iterate.theta)
    target = SMOOTHING * problem.target(inner.upper(iterate.theta, margins), tol)
    step, least = inner.loss.step, max(FINEST * problem.at_zero, LEAP * inner.loss.step)
    while step > least and _smoothing_gap(problem, inner, margins, step) > target:
        step *= FINER
    return None if step == inner.loss.step else Smoothed.of(problem.loss, step)


def _smoothing_gap(problem, inner, margins, step):
    """Return by how much the slopes of smoothed losses miss the losses."""
    slopes = -Smoothed.of(problem.loss, step).derivative(margins)
    reached = -slopes * margins - problem.loss.conjugate(slopes)
    return float(inner.weights @ (problem.loss.value(margins) - reached))


def _look_from(problem, anchor, iterate, smooth, size, rng):
    """Return what the next pass looks for: sums at an iterate, and so many rows."""
    theta, few = problem.inside(iterate.theta), anchor.few
    wide = smooth
    if isinstance(smooth, Smoothed):
        wide = replace(smooth, step=WIDER * smooth.step)
    at = few.rows.scores(theta)
    at = at if few.targets is None else at - few.targets
    bends = float(few.weights @ wide.curvature(at))
    n_bent = BENT * size if bends > 0.0 else 0.0
    seed = int(rng.randint(np.iinfo(np.int32).max))
    base = (size - n_bent) / problem.source.n_rows
    bent = n_bent / bends if bends > 0.0 else 0.0
    return Look(theta, problem.loss, smooth, wide, base, bent, seed)


def _record(problem, found, iterate, look, sums, n_iter, n_rows, tol, monitor):
    """Evaluate both bounds from the sums of a pass, and keep the better of each."""
    clean = sums
    if problem.extra is not None:
        sums = sums.plus(sums_at(problem.extra, look))
    iterate = replace(iterate, theta=look.theta)
    upper = problem.upper(look.theta, sums)
    lower = problem.lower(sums, iterate.poison, iterate.poison_slopes)
    entry = {
        "n_iter": n_iter,
        "upper_bound": float(upper),
        "lower_bound": float(lower),
        "n_rows": n_rows,
    }
    if monitor is not None:
        monitor(entry)
    more: dict = {}
    if upper < found.upper:
        more |= {"primal_sums": sums, "clean_sums": clean}
    if lower > found.lower:
        more |= {"dual_sums": sums}
    return found.improved(
        problem,
        tol,
        primal=(iterate, upper),
        dual=(iterate, lower, None),
        iterate=iterate,
        n_iter=n_iter,
        history=[*found.history, entry],
        **more,
    )


def _evaluated(problem, found, start, tol, monitor):
    """Evaluate both bounds at another problem's solution: its sums are known."""
    theta, anchor = start.best_primal.theta, start.anchor
    iterate = start.best_primal
    if not problem.poison:
        fresh = start_at(_in_memory(problem, anchor.smooth), theta)
        iterate = replace(iterate, **_of_poison(fresh))
    look = Look(theta, problem.loss, anchor.smooth, anchor.smooth, 0.0, 0.0, 0)
    given = iterate, look, start.clean_sums, 0, anchor.few.n_rows
    found = _record(problem, found, *given, tol, monitor)
    found.anchor = replace(anchor, iterate=replace(iterate, theta=anchor.iterate.theta))
    return found


def _anchor(problem, iterate, look, seen, before):
    """Return where rows were looked at, with what the rows drawn lack."""
    few = Few.joined(seen.few) if seen.few else before.few
    own = sums_at(few, look)
    slope = own.all_z - seen.sums.all_z
    constant = seen.sums.value - own.value - float(slope @ look.theta)
    iterate = replace(iterate, theta=look.theta)
    return Anchor(iterate, look.smooth, few, Beyond(slope, constant))


def _solve_in_ball(problem, *, rho, tol, max_iter, rng, start):
    """Minimize within a ball, by the penalty under which parameters are on its limit.

    The reciprocal of their norm is nearly linear in the penalty.
    """
    kappa = _first_kappa(problem, start, rho)
    limits, history, iterate, n_iter = [0.0, np.inf], [], start, 0
    for _ in range(MAX_TRIALS):
        inner = problem._replace(stiffness=np.full(problem.rows.dim, kappa))
        options = {"tol": tol, "max_iter": max(max_iter - n_iter, 1), "rng": rng}
        found = _loss_newton.solve(inner, start=_at(inner, iterate), **options)
        n_iter, iterate = n_iter + found.n_iter, _last(found)
        length = float(np.linalg.norm(iterate.theta))
        # What is lost by a norm that is not the ball's, or by shortening.
        lost = kappa * max(length, rho) * abs(length - rho)
        if lost <= inner.target(found.upper, tol) or n_iter >= max_iter:
            break
        limits[int(length <= rho)] = kappa
        history.append((kappa, 1.0 / max(length, LEAST_NORM * rho)))
        kappa = _next_kappa(history, 1.0 / rho, *limits)
    return replace(found, n_iter=n_iter)


def _first_kappa(problem, start, rho):
    """Return the penalty that holds parameters where they are, or a guess at zero."""
    fall = problem.dual_sum(start.dual_point)
    if problem.beyond is not None:
        fall = fall - problem.beyond.slope
    square = float(start.theta @ start.theta)
    holds = float(fall @ start.theta) / square if square > 0.0 else 0.0
    size = float(problem.weights.sum()) / rho**2
    return max(holds, LEAST_KAPPA * size) if square > 0.0 else size


def _at(problem, iterate):
    """Return an iterate to go on from under another penalty."""
    return replace(start_at(problem, iterate.theta), **_of_poison(iterate))


def _next_kappa(history, goal, least, most):
    """Return where the reciprocal of the norm may be the ball's, between two limits."""
    if len(history) > 1:
        (first, a), (second, b) = history[-2:]
        guess = second + (goal - b) * (second - first) / (b - a) if b != a else 0.0
        if least < guess < most:
            return guess
    if np.isinf(most):
        return LONGER * least
    return float(np.sqrt(least * most)) if least > 0.0 else most / LONGER
