"""Huber regression, whose scale is learned with the parameters.

The bound is convex in parameters and scale together, so that its least value over the
parameters is a convex function of the scale, whose derivative the slopes of the losses
tell: the scale is found where it changes sign. See docs/mathematics.md, section
"Regression".
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

from skpoison._residual_losses import ConcomitantHuber
from skpoison.solvers import _loss_newton
from skpoison.solvers._adversary import PoisonPoints
from skpoison.solvers._loss_newton import LossIterate, Monitor
from skpoison.solvers._loss_problem import LOSS_FLOOR, SMALL, DualPoint, LossProblem
from skpoison.solvers._working_set import Solution

# Problems of one scale are solved to this share of the tolerance.
INNER, MAX_SCALES = 0.02, 60
# and more closely where that takes no steps, so often at most.
TIGHTER, MOST_IDLE = 0.1, 3
# Where the bound still falls with the scale, it is looked for in steps like this.
STRIDE = 4.0
# Scales below this share of the spread of the targets count as zero.
LEAST = 1e-9
CLOSED = 1e-12
# Slopes of two scales are mixed where the larger exceeds the smaller by at most this.
NEAR = 0.01


@dataclass
class ScaledSolution(Solution):
    """A solution, and the loss with the scale of its parameters."""

    loss: ConcomitantHuber | None = None


class HuberProblem(LossProblem):
    """A problem whose loss has a scale that is learned."""

    loss: ConcomitantHuber
    targets: np.ndarray

    @property
    def spread(self) -> float:
        """The standard deviation of the targets, or a small part of their size."""
        least = SMALL * np.abs(self.targets).max()
        return float(np.maximum(np.std(self.targets), least))

    def with_loss(self, loss: ConcomitantHuber) -> "HuberProblem":
        """Return the problem at another scale."""
        poison = type(self.poison)(self.poison.epsilon, loss, self.poison.pieces)
        return self._replace(loss=loss, poison=poison)

    def at_scale(self, scale: float) -> LossProblem:
        """Return the problem of one scale, that is not learned."""
        loss = replace(self.loss, scale=scale)
        return LossProblem(*self.with_loss(loss))

    def target(self, upper: float, tol: float) -> float:
        """Return the absolute duality gap that a relative tolerance asks for."""
        # Twice the spread is the least loss of a constant, where no error is on a line.
        at_zero = 2.0 * self.spread
        return tol * max(upper, LOSS_FLOOR * at_zero * float(self.weights.sum()))

    def growth(self, point: DualPoint) -> tuple[float, float]:
        """Return the two parts of the bound's derivative by the scale, at slopes.

        It is the first less the second.
        """
        beta, weights = point.poison.beta, self.poison.pieces.weights
        mass = float(self.weights.sum())
        spent = float(self.weights @ (0.25 * point.slopes**2))
        if self.poison:
            mass += self.poison.epsilon * float(beta @ weights)
            own = 0.25 * point.poison_slopes**2 / weights
            spent += self.poison.epsilon * float(beta @ own)
        return mass, spent

    def lower(self, point: DualPoint) -> float:
        """Return the dual value: no parameters and no scale have a smaller bound.

        Slopes are made so small that the bound does not fall with the scale.
        """
        even = self.balanced(point)
        if even is None:
            return 0.0
        share, linear, bend = self.best_share(even)
        return max(share * linear - share * share * bend, 0.0)

    def best_share(self, even: DualPoint) -> tuple[float, float, float]:
        """Return the best multiple of balanced slopes, and what the value is made of.

        The value is the multiple times the second less its square times the third.
        """
        mass, spent = self.growth(even)
        linear = float((self.weights * even.slopes) @ self.targets)
        if self.poison:
            masses = even.poison_slopes * self.poison.pieces.levels
            linear += self.poison.epsilon * float(even.poison.beta @ masses)
        bend = self.conjugate(self.dual_sum(even))
        share = np.sqrt(mass / spent) if spent > mass else 1.0
        if bend > 0.0:
            share = min(share, max(0.5 * linear / bend, 0.0))
        return float(share), linear, bend


def solve(
    problem: HuberProblem,
    *,
    tol: float,
    max_iter: int,
    rng: np.random.RandomState,
    start: LossIterate | None = None,
    monitor: Monitor | None = None,
) -> ScaledSolution:
    """Minimize the bound over parameters and scale to a relative duality gap."""
    found = ScaledSolution()
    iterate: Any = start
    least = LEAST * (problem.spread or 1.0)
    scale = max(problem.loss.scale or problem.spread, least)
    bracket, inner, n_idle = Bracket(), INNER * tol, 0
    ends: dict[bool, Any] = {}
    for _ in range(MAX_SCALES):
        of_scale = problem.at_scale(scale)
        steps = max(max_iter - found.n_iter, 1)
        part = _loss_newton.solve(
            of_scale, tol=inner, max_iter=steps, rng=rng, start=iterate
        )
        iterate = part.iterate
        found = _record(problem, found, part, of_scale.loss, tol, monitor)
        dual: Any = part.best_dual
        mass, spent = problem.growth(dual.dual_point)
        if found.converged or found.n_iter >= max_iter or mass == spent:
            break
        n_idle = 0 if part.n_iter else n_idle + 1
        if 0 < n_idle <= MOST_IDLE:  # the slopes are still those of another scale
            inner *= TIGHTER
            continue
        bracket = bracket.narrowed(scale, np.log(spent / mass) if spent else -np.inf)
        ends[bool(spent > mass)] = dual
        if bracket.is_narrow:
            found = _mixed(problem, found, ends[True], ends[False], tol)
            if found.converged:
                break
        if bracket.is_closed:  # slopes that were not exact enough have closed it
            bracket, inner = Bracket(), TIGHTER * inner
            bracket = bracket.narrowed(
                scale, np.log(spent / mass) if spent else -np.inf
            )
        scale = bracket.next()
        if scale < least:
            break
    return found


class Bracket(NamedTuple):
    """Scales that are too small and too large.

    Beside each, the logarithm of how the parts of the bound's derivative compare.
    """

    inside: float = 0.0
    inside_tilt: float = np.inf
    outside: float = np.inf
    outside_tilt: float = -np.inf

    def narrowed(self, scale: float, tilt: float) -> "Bracket":
        """Return the bracket with another scale for one of its ends."""
        if tilt > 0.0:
            return self._replace(inside=scale, inside_tilt=tilt)
        return self._replace(outside=scale, outside_tilt=tilt)

    @property
    def is_narrow(self) -> bool:
        """Whether both ends are known and near each other."""
        return bool(self.outside <= self.inside * (1.0 + NEAR))

    @property
    def is_closed(self) -> bool:
        """Whether there is hardly a scale between."""
        return bool(self.outside <= self.inside * (1.0 + CLOSED))

    def next(self) -> float:
        """Return a scale to try."""
        if np.isinf(self.outside):
            return self.inside * min(max(np.exp(self.inside_tilt), 1.1), STRIDE)
        if self.inside == 0.0:
            return self.outside * min(max(np.exp(self.outside_tilt), 1 / STRIDE), 0.9)
        share = self.inside_tilt / (self.inside_tilt - self.outside_tilt)
        share = min(max(share, 0.02), 0.98) if np.isfinite(share) else 0.5
        return float(self.inside * (self.outside / self.inside) ** share)


def _mixed(problem, found, inside, outside, tol):
    """Mix slopes of a scale that is too small and of one too large, if that is better.

    Where the attacker is indifferent between rows, the bound has a kink at its best
    scale: slopes found at scales beside it fit one side each, only a mixture both.
    """

    def excess(share):
        mass, spent = problem.growth(mixture(inside, outside, share).dual_point)
        return spent - mass

    share = (
        brentq(excess, 0.0, 1.0, xtol=1e-9) if excess(0.0) > 0.0 > excess(1.0) else 0
    )
    dual = mixture(inside, outside, share)
    return found.improved(
        problem, tol, dual=(dual, problem.lower(dual.dual_point), None)
    )


def mixture(first: LossIterate, second: LossIterate, share: float) -> LossIterate:
    """Return a convex combination of the duals of two iterates.

    Rows of poison are combined as their losses' slopes weigh them.
    """
    duals = (1.0 - share) * first.duals + share * second.duals
    mixed = replace(first, duals=duals)
    if not len(first.poison_slopes):  # nobody attacks
        return mixed
    (beta, points), (other_beta, others) = first.poison, second.poison
    mass = (1.0 - share) * beta * first.poison_slopes
    other_mass = share * other_beta * second.poison_slopes
    beta = (1.0 - share) * beta + share * other_beta
    total = mass + other_mass
    part = _over(other_mass, total)
    points = points + part[:, None] * (others - points)
    poison = PoisonPoints(beta, points)
    return replace(mixed, poison=poison, poison_slopes=_over(total, beta))


def _over(numerator, denominator):
    """Divide; 0 where the denominator is."""
    zeros = np.zeros_like(numerator)
    return np.divide(numerator, denominator, out=zeros, where=denominator != 0.0)


def _record(problem, found, part, loss, tol, monitor):
    """Keep what the problem of one scale has found, if it is better."""
    lower = problem.lower(part.best_dual.dual_point)
    n_iter = found.n_iter + part.n_iter
    better = part.upper < found.upper
    entry = {
        **part.history[-1],
        "n_iter": n_iter,
        "upper_bound": float(min(part.upper, found.upper)),
        "lower_bound": lower,
    }
    if monitor is not None:
        monitor(entry)
    return found.improved(
        problem,
        tol,
        primal=(part.best_primal, part.upper),
        dual=(part.best_dual, lower, None),
        iterate=part.iterate,
        n_iter=n_iter,
        history=[*found.history, entry],
        loss=loss if better else found.loss,
    )
