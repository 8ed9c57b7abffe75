"""The bound for learners of several classes: a game of learner and poison rows.

The learner minimizes against a pool of poison rows, to which the attacker adds the
worst rows for the parameters found. See docs/mathematics.md, section "Several classes".
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from skpoison.solvers._class_cells import bound_loss
from skpoison.solvers._class_images import images
from skpoison.solvers._class_lbfgs import (
    Center,
    Smoothed,
    learner_gap,
    minimize,
)
from skpoison.solvers._class_pool import Pool
from skpoison.solvers._class_problem import ClassProblem, dual_value
from skpoison.solvers._worst_class_rows import ascend, starts

FEW_ROWS, FIRST_TOL = 6000, 0.02
MAX_STEPS, MAX_ROUNDS, MAX_CERTIFIED = 200, 200, 10
# Rows that lose less than the pool's worst by this many times the smoothing stay out.
NEAR_WORST = 4.0
LEAST_EPSILON, LEAST_SHARE = 1e-3, 1e-12
# No more rows than these for each class stay in the pool.
MOST_ROWS = 20
NARROWING = 0.5
# Of the gap that is allowed, branch and bound may leave the rest.
SHARE_OF_GAME, SPARE = 0.5, 0.95

Monitor = Callable[[dict[str, Any]], None]


class Gaps(NamedTuple):
    """The parts of the duality gap; none is negative but for rounding."""

    rows: float  # clean rows whose slopes are not yet those of their losses
    pool: float  # shares and rows of the poison that are not yet the worst of the pool
    search: float  # rows that lose more than the pool's
    learner: float  # what is left of the gradient

    @property
    def of_attacker(self) -> float:
        """What more steps of the learner would not change."""
        return self.rows + self.pool + self.search


@dataclass
class Found:
    """Where the solver ended.

    Parameters
    ----------
    theta : ndarray of shape (n_classes, n_features + 1)
        The best parameters.
    upper : float
        Their bound: clean loss, epsilon times `worst`, and the penalty.
    lower : float
        The best dual value.
    poison : Pool
        The rows that it belongs to.
    slopes : ndarray of shape (n_rows, n_classes)
        The slopes of the clean rows that it belongs to.
    worst : float
        The bound of the largest loss at the parameters.
    reached : float
        The bound with the largest loss of the rows that were found instead.
    center : Center
        Where another minimization can start.
    """

    theta: np.ndarray
    upper: float
    lower: float
    poison: Pool
    slopes: np.ndarray
    worst: float
    reached: float
    center: Center
    n_iter: int = 0
    converged: bool = False
    history: list = field(default_factory=list)

    @property
    def gap(self) -> float:
        """The duality gap."""
        return max(self.upper - self.lower, 0.0)


def solve(
    problem: ClassProblem,
    *,
    tol: float,
    max_iter: int,
    rng: np.random.RandomState,
    start: Center | None = None,
    monitor: Monitor | None = None,
) -> Found:
    """Minimize the bound over the learner's parameters to a relative duality gap."""
    center, n_iter = (start, 0) if start else _first(problem, tol, max_iter, rng)
    game = _Game(problem, tol, monitor, n_iter)
    while True:
        center = game.play(center, max_iter)
        if center is None:
            return game.found


class _Game:
    """The rounds of the game, and the best that was found."""

    def __init__(self, problem, tol, monitor, n_iter):
        self.problem, self.tol = problem, tol
        self.monitor, self.n_iter = monitor, n_iter
        self.history, self.n_rounds, self.n_certified = [], 0, 0
        self.reached, self.lower = np.inf, -np.inf
        self.gaps = None

    def play(self, center, max_iter):
        """Play a round; return where the next one starts, or None at the end."""
        problem, self.n_rounds = self.problem, self.n_rounds + 1
        limit = min(MAX_STEPS, max_iter - self.n_iter)
        at, gradient, n_steps = minimize(problem, center, self._enough(), limit)
        self.n_iter += n_steps
        near, slack = NEAR_WORST * center.share_prox, self._slack()
        new, worst = find_worst(problem, at, near, slack)
        before, self.gaps = self.gaps, _gaps(problem, at, gradient, worst)
        self._record(at, worst)
        target = problem.target(self.reached, self.tol)
        is_last = self.n_iter >= max_iter or self.n_rounds >= MAX_ROUNDS
        self.converged = self.reached - self.lower <= SHARE_OF_GAME * target
        center = _moved(problem, center, at, self._allowance())
        if self.converged or is_last:
            self.n_certified += 1
            is_last = is_last or self.n_certified >= MAX_CERTIFIED
            better = self._certify(center, target, is_last)
            self.converged = self.reached - self.lower <= target
            if self.converged and len(better.codes) and not is_last:
                # The bound may have been left rough for a row that is near enough.
                self._certify(center, target, True)
                self.converged = self.reached - self.lower <= target
            self.found.converged = self.converged
            if self.converged or is_last:
                return None
            new = new.joined(better)
        center = _narrowed(center, self.gaps, before, target)
        return replace(center, poison=center.poison.joined(new))

    def _enough(self):
        """Return the gap that the gradient may account for at the end of a round."""
        if self.gaps is None:
            return FIRST_TOL * self.problem.at_zero()
        target = self.problem.target(self.reached, self.tol)
        return max(0.1 * target, 0.2 * self.gaps.of_attacker)

    def _slack(self):
        """Return what a row may lose beyond what its aim says."""
        reached = min(self.reached, self.problem.at_zero())
        allowed = self.problem.target(reached, self.tol)
        return 0.1 * allowed / max(self.problem.epsilon, LEAST_EPSILON)

    def _allowance(self):
        """Return by how much old aims must fall short to be kept beside new."""
        gap = max(self.reached - self.lower, 0.0)
        return 0.1 * gap / max(self.problem.epsilon, LEAST_EPSILON)

    def _record(self, at, worst):
        """Evaluate both bounds, and keep the better of each."""
        problem = self.problem
        base = problem.clean_loss(at.scores) + problem.penalty(at.theta)
        reached = base + problem.epsilon * worst
        if reached < self.reached:
            self.reached, self.best, self.worst = reached, at, worst
        poison = at.poison.rows(problem.epsilon)
        parts = [(problem.rows, at.slopes), (poison, at.poison.aims)]
        lower = max(dual_value(problem, parts), 0.0)
        if lower > self.lower:
            self.lower, self.poison, self.slopes = lower, at.poison, at.slopes
        entry = {
            "n_iter": self.n_iter,
            "upper_bound": float(self.reached),
            "lower_bound": float(self.lower),
            "n_rows": len(problem.rows.codes),
        }
        self.history.append(entry)
        if self.monitor is not None:
            self.monitor(entry)

    def _certify(self, center, target, is_last):
        """Bound the worst rows of the best parameters; return rows worse than found."""
        problem, at, epsilon = self.problem, self.best, self.problem.epsilon
        spare = SPARE * max(target - (self.reached - self.lower), 0.1 * target)
        bound, better = 0.0, _no_rows(problem)
        if problem.has_attacker:
            enough = self.worst + spare / epsilon
            limits = self.worst, enough
            bound, better, worst = certify(problem, at.theta, *limits, whole=is_last)
            self.reached += epsilon * (worst - self.worst)
            self.worst = worst
        worst = max(bound, self.worst)
        upper = self.reached + epsilon * (worst - self.worst)
        limits = upper, self.lower, self.poison, self.slopes, worst, self.reached
        progress = center, self.n_iter, self.converged, self.history
        self.found = Found(at.theta, *limits, *progress)
        return better


def certify(
    problem: ClassProblem,
    theta: np.ndarray,
    worst: float,
    enough: float,
    *,
    whole: bool = True,
) -> tuple[float, Pool, float]:
    """Bound the largest loss of a feasible row, by branch and bound.

    Where that is not above `enough`, `enough` may be the bound; where it is, and the
    bound need not be the `whole` one, it may be much larger. Returned with it are rows
    that lose more than `worst`, if there are any, and the largest loss of a row.
    """
    bound, better, largest = 0.0, _no_rows(problem), worst
    inner = images(problem.sets, theta)
    for code, image in enumerate(images(problem.outer, theta)):
        weight = float(problem.poison_weights[code])
        if weight == 0.0:
            continue
        met = bound_loss(
            problem.loss, image, code, enough / weight, stops_at_row=not whole
        )
        bound = max(bound, weight * met.bound)
        if weight * met.loss <= worst:
            continue
        function = met.function[np.newaxis]
        found = ascend(problem.loss, inner[code], code, function)
        if weight * found.losses[0] > worst:
            largest = max(largest, weight * float(found.losses[0]))
            row = inner[code].row(found.functions[0])
            better = better.joined(_aimed(problem, theta, [row], [code]))
    return bound, better, largest


def find_worst(
    problem: ClassProblem, at: Smoothed, near: float, slack: float
) -> tuple[Pool, float]:
    """Search each class's rows for the worst; return those that the pool lacks.

    Also returned is the largest loss, of a row of the pool or one that was found.
    """
    pool, theta = at.poison, at.theta
    if not problem.has_attacker:
        return pool, 0.0
    scores = pool.rows(1.0).scores(theta)
    losses = pool.weights * problem.loss.value(scores, pool.codes)
    worst = float(losses.max(initial=0.0))
    least = float(pool.values(theta).max()) - near
    new = _no_rows(problem)
    for code, image in enumerate(images(problem.sets, theta)):
        known = pool.take(np.flatnonzero(pool.codes == code))
        first = np.vstack([starts(problem.loss, code, problem.n_classes), known.aims])
        found = ascend(problem.loss, image, code, first)
        losses = problem.poison_weights[code] * found.losses
        worst = max(worst, float(losses[0]))
        for function in found.functions[losses >= least]:
            row = _aimed(problem, theta, [image.row(function)], [code])
            by_aims = known.aims @ row.rows(1.0).scores(theta)[0] - known.costs
            by_aims = known.weights * by_aims
            if by_aims.max(initial=-np.inf) < row.values(theta)[0] - slack:
                known, new = known.joined(row), new.joined(row)
    return new, worst


def _aimed(problem, theta, rows, codes):
    """Return rows, aimed at what they lose at parameters, with shares of zero."""
    rows, codes = np.array(rows), np.array(codes)
    aims = problem.loss.slopes(rows @ theta[:, :-1].T + theta[:, -1], codes)
    costs = problem.loss.conjugate(aims, codes)
    weights = problem.poison_weights[codes]
    return Pool(codes, aims, costs, rows, np.zeros(len(codes)), weights)


def _no_rows(problem):
    n_features = len(problem.stiffness) - 1
    nothing = np.zeros((0, problem.n_classes)), np.zeros(0), np.zeros((0, n_features))
    return Pool(np.zeros(0, dtype=int), *nothing, np.zeros(0), np.zeros(0))


def _gaps(problem, at, gradient, worst):
    """Split the duality gap at a point, up to what balancing slopes costs."""
    rows, pool, loss = problem.rows, at.poison, problem.loss
    reached = np.vecdot(at.slopes, at.scores) - loss.conjugate(at.slopes, rows.codes)
    lost = float(rows.weights @ (loss.value(at.scores, rows.codes) - reached))
    values = pool.values(at.theta)
    of_pool = float(values.max(initial=0.0))
    return Gaps(
        max(lost, 0.0),
        problem.epsilon * max(of_pool - float(pool.shares @ values), 0.0),
        problem.epsilon * max(worst - of_pool, 0.0),
        learner_gap(problem, gradient, at.theta),
    )


def _moved(problem, center, at, allowance):
    """Return the center at a point: rows without shares are left behind.

    The others take the slopes of what they lose as their aims. Aims that said much less
    stay beside them, without shares, so that the model of the losses keeps them.
    """
    pool = at.poison.take(_largest(at.poison.shares, MOST_ROWS * problem.n_classes))
    pool = pool._replace(shares=pool.shares / max(pool.shares.sum(), LEAST_SHARE))
    scores = pool.rows(1.0).scores(at.theta)
    losses = pool.weights * problem.loss.value(scores, pool.codes)
    if not problem.loss.has_kinks:  # whose pieces have aims that do not change
        far = np.flatnonzero(losses > pool.values(at.theta) + allowance)
        aims = problem.loss.slopes(scores, pool.codes)
        old, costs = pool.take(far), problem.loss.conjugate(aims, pool.codes)
        old = old._replace(shares=0.0 * old.shares)
        pool = pool._replace(aims=aims, costs=costs).joined(old)
    return replace(
        center, theta=at.theta, scores=at.scores, slopes=at.slopes, poison=pool
    )


def _largest(shares, most):
    """Return the places of positive shares, the largest if there are too many."""
    used = np.flatnonzero(shares > 0.0)
    return np.sort(used[np.argsort(-shares[used], kind="stable")[:most]])


def _narrowed(center, gaps, before, target):
    """Return a center with smaller proximal weights where a gap shrinks slowly."""
    if before is None or gaps.learner > max(gaps.of_attacker, 0.5 * target):
        return center
    rows = pool = 1.0
    if gaps.rows > max(NARROWING * before.rows, 0.1 * target):
        rows = NARROWING
    slow = gaps.pool > NARROWING * before.pool
    if slow and gaps.pool > max(0.5 * gaps.search, 0.1 * target):
        pool = NARROWING
    return replace(
        center,
        row_prox=rows * center.row_prox,
        share_prox=pool * center.share_prox,
        point_prox=pool * center.point_prox,
    )


def _first(problem, tol, max_iter, rng):
    """Solve for a few random rows, loosely, from parameters of zero."""
    n_rows = len(problem.rows.codes)
    center = _at_zero(problem)
    if n_rows <= 2 * FEW_ROWS:
        return center, 0
    chosen = np.sort(rng.choice(n_rows, FEW_ROWS, replace=False))
    few = problem._replace(rows=problem.rows.take(chosen))
    options = {"tol": max(FIRST_TOL, tol), "max_iter": max_iter, "rng": rng}
    found = solve(few, start=_at_zero(few), **options)
    last = found.center
    return start_at(problem, last.theta, last.poison), found.n_iter


def start_at(
    problem: ClassProblem, theta: np.ndarray, poison: Pool | None = None
) -> Center:
    """Return parameters to start from, and poison if there is an attacker."""
    scores = problem.rows.scores(theta)
    slopes = problem.loss.slopes(scores, problem.rows.codes)
    pool = _no_rows(problem)
    if poison is not None and problem.has_attacker:
        pool = poison
    return Center(theta, scores, slopes, pool)


def _at_zero(problem):
    """Return parameters of zero, and poison of each class aimed at each other one."""
    n_classes = problem.n_classes
    pool = _no_rows(problem)
    if problem.has_attacker:
        codes, others = np.nonzero(~np.eye(n_classes, dtype=bool))
        aims = problem.loss.aimed(codes, others, n_classes)
        costs = problem.loss.conjugate(aims, codes)
        points = np.array([problem.sets[code].center for code in codes])
        shares = np.full(len(codes), 1.0 / len(codes))
        pool = Pool(codes, aims, costs, points, shares, problem.poison_weights[codes])
    return start_at(problem, np.zeros((n_classes, len(problem.stiffness))), pool)
