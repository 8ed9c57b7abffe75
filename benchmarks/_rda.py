"""The published algorithm for the bound: adaptive regularized dual averaging.

The reference that the package's solver is compared with. Each step takes one
subgradient on all rows and one on the worst feasible row, which cvxpy finds: as the
paper (NIPS 2017, algorithm 1) does it, and thousands of times slower.
"""

import cvxpy as cp
import numpy as np

from skpoison import CertifiedBound
from skpoison.solvers._adversary import PoisonPoints
from skpoison.solvers._proximal_newton import Iterate
from skpoison.solvers._regularizers import NormBall
from skpoison.solvers._working_set import Solution, dual_value, upper_value

N_STEPS = 8000

# Step size eta of the first step: lambda starts at 1 / eta.
FIRST_STEP = 0.1
# Steps between two evaluations of the duality gap.
CHECK_EVERY = 100


class PublishedBound(CertifiedBound):
    """The bound by the published algorithm: fixed filters, rows of any numbers."""

    def __init__(
        self, filter=None, epsilon=0.03, *, rho=None, C=None, tol=1e-3, max_iter=N_STEPS
    ):
        super().__init__(filter, epsilon, rho=rho, C=C, tol=tol, max_iter=max_iter)

    def _solve(self, problem, start=None, monitor=None):
        return solve_rda(problem, tol=self.tol, max_iter=self.max_iter, monitor=monitor)


class WorstRow:
    """The inner problem: the feasible row of largest loss, solved by cvxpy.

    Parametrized once, solved at every step. In coordinates along the slab's
    direction and along the rest of the linear function, every set is a disc cut by a
    strip, whatever the number of features.
    """

    def __init__(self):
        self._x = cp.Variable(2)
        self._a = cp.Parameter(2)
        self._radius = cp.Parameter(nonneg=True)
        self._lower, self._upper = cp.Parameter(), cp.Parameter()
        within = [
            cp.norm(self._x, 2) <= self._radius,
            self._x[0] >= self._lower,
            self._x[0] <= self._upper,
        ]
        self._problem = cp.Problem(cp.Maximize(self._a @ self._x), within)

    def __call__(self, rows, a):
        """Return a row of the set that maximizes ``a @ x`` up to solver tolerance."""
        direction = np.zeros_like(a) if rows.direction is None else rows.direction
        along = float(direction @ a)
        across = a - along * direction
        height = float(np.linalg.norm(across))
        scale = max(np.hypot(along, height), np.finfo(float).tiny)
        self._a.value = np.array([along, height]) / scale
        self._radius.value = rows.radius
        self._lower.value = max(rows.lower, -rows.radius)
        self._upper.value = min(rows.upper, rows.radius)
        self._problem.solve(solver=cp.CLARABEL)
        t, s = self._x.value
        point = rows.center + t * direction
        if height > 0.0:
            point = point + (s / height) * across
        return rows.projection(point).point


def solve_rda(problem, *, tol, max_iter, monitor=None):
    """Run the published algorithm until the tolerance or the last step.

    Parameters
    ----------
    problem : Problem
        Rows, attacker and learner.
    tol : float
        Relative duality gap at which to stop.
    max_iter : int
        Most steps.
    monitor : callable, default=None
        Called with each entry of the history.

    Returns
    -------
    solution : Solution
        The parameters of the least bound; the dual point is the mean of the steps'.
    """
    term, worst_row = problem.poison, WorstRow()
    z = np.zeros(problem.rows.dim)
    theta, duals = z.copy(), np.zeros(len(problem.rows))
    counts = np.zeros(len(term.sets))
    sums = np.zeros((len(term.sets), problem.rows.dim - 1))
    best, history, scale = None, [], 1.0 / FIRST_STEP
    for step in range(1, max_iter + 1):
        margins = 1.0 - problem.rows.scores(theta)
        upper = upper_value(problem, theta, margins)
        if best is None or upper < best[0]:
            best = upper, theta, margins
        active = (margins > 0.0).astype(np.float64)
        duals += active
        pull = problem.rows.combine(problem.weights * active)
        pull += _poison_pull(term, theta, worst_row, counts, sums)
        z = z + pull
        scale = _next_scale(problem.learner, z, scale, step)
        theta = z / scale
        if step % CHECK_EVERY == 0 or step == max_iter:
            found = _solution(problem, best, duals, counts, sums, z, step, history, tol)
            if monitor is not None:
                monitor(found.history[-1])
            history = found.history
            if found.converged:
                break
    return found


def _poison_pull(term, theta, worst_row, counts, sums):
    """Add the worst row of the worst class to the sums; return minus its gradient."""
    if not term.sets:
        return 0.0
    points = np.array(
        [
            worst_row(rows, -sign * theta[:-1])
            for sign, rows in zip(term.signs, term.sets, strict=True)
        ]
    )
    losses = term.losses_at(theta, points)
    worst = int(np.argmax(losses))
    if losses[worst] <= 0.0:
        return 0.0
    counts[worst] += 1
    sums[worst] += points[worst]
    return -term.epsilon * term.gradients(points)[worst]


def _next_scale(learner, z, scale, step):
    if isinstance(learner, NormBall):
        return max(scale, float(np.linalg.norm(z)) / learner.rho)
    return 1.0 / FIRST_STEP + learner.kappa * step


def _solution(problem, best, duals, counts, sums, z, step, history, tol):
    term = problem.poison
    centers = np.array([rows.center for rows in term.sets]).reshape(sums.shape)
    seen = np.maximum(counts, 1.0)[:, np.newaxis]
    points = np.where(counts[:, np.newaxis] > 0, sums / seen, centers)
    poison = PoisonPoints(counts / step, points)
    upper, theta, margins = best
    row_sum = z / step - term.dual_sum(poison)
    lower = dual_value(problem, duals / step, poison, z / step)
    entry = {
        "n_iter": step,
        "upper_bound": upper,
        "lower_bound": lower,
        "n_rows": len(problem.rows),
    }
    iterate = Iterate(theta, duals / step, poison, margins=margins, row_sum=row_sum)
    found = Solution(
        best_primal=iterate,
        upper=upper,
        best_dual=iterate,
        lower=lower,
        iterate=iterate,
        n_iter=step,
        converged=False,
        history=[*history, entry],
    )
    found.converged = found.gap <= problem.target(upper, tol)
    return found
