"""Minimize the bound over the learner's parameters by cutting planes.

Each round bounds the attacker's loss at the current parameters over all splits, adds
the worst attack found to the learner's problem, and solves that problem. Its dual value
is a lower bound on every certificate; the gap between the two determines when to stop.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from skpoison.bounds.moving._adversary import DiscPoison, disc_of
from skpoison.bounds.moving._branch_and_bound import cover_splits
from skpoison.bounds.moving._reduction import reduce_to_plane
from skpoison.solvers._adversary import PoisonPoints
from skpoison.solvers._working_set import Problem, Solution, solve, upper_value

MAX_ROUNDS, MAX_STEPS = 100, 1000
# Programs after which a cover is taken as it is.
MAX_PROGRAMS = 1000
# How exact a cover is: these shares of the gap at its parameters and of the target.
GAP_SHARE, TARGET_SHARE = 0.2, 0.3
# The learner's problem is solved to this share of the tolerance.
SOLVER_SHARE = 0.2


@dataclass
class Training(Solution):
    """The best parameters and dual value so far, and the attacks that led there."""

    lower: float = 0.0  # losses are not negative
    problem: Problem | None = None  # the learner's; its poison are the attacks found
    poison_loss: float = np.inf  # certified over all splits, at the best parameters
    solution: Solution | None = None  # the last one of the problem
    attacks: list = field(default_factory=list)  # in the order of the problem's poison
    tree: list = field(default_factory=list)  # the cells that prove poison_loss
    n_programs: int = 0  # conic programs solved

    @property
    def splits(self):
        """The splits of the attacks with positive weight in the last solution."""
        dual = None if self.solution is None else self.solution.best_dual
        if dual is None:
            return []
        beta = dual.poison.beta
        return [self.attacks[i].split for i in np.flatnonzero(beta > 0)]


def train(problem, defense, *, tol, max_iter, rng, start=None, monitor=None):
    """Minimize the bound against an attacker who moves the centroids.

    The bound is valid however the rounds end.
    """
    poison = DiscPoison(problem.poison.epsilon)
    found = Training(problem=problem._replace(poison=poison))
    # The problem without poison is what the first attack is added to.
    found = _solve(found, tol, rng)
    iterate, splits = _begin(found, start)
    while found.n_iter < max_iter:
        plane, frame = reduce_to_plane(iterate.theta, defense, problem.poison.epsilon)
        cover = _cover(found, iterate, plane, tol, splits)
        found = _record(found, iterate, cover, tol)
        if monitor is not None:
            monitor(found.history[-1])
        if found.converged or cover.attack is None or _is_settled(found, cover, tol):
            break
        found = _add(found, cover.attack, disc_of(cover.attack, plane, frame, defense))
        found = _solve(found, tol, rng)
        iterate, splits = found.solution.best_primal, found.splits
    return found


def _begin(found, start):
    """Start without poison, or from a previous solution."""
    iterate = found.solution.best_primal
    if start is None:
        return iterate, []
    theta = start.best_primal.theta
    margins = 1.0 - found.problem.rows.scores(theta)
    return replace(iterate, theta=theta, margins=margins), start.splits


def _solve(found, tol, rng):
    """Solve the learner's problem for the attacks so far."""
    previous = found.solution
    start = None if previous is None else _with_limits(found, previous.iterate)
    solution = solve(
        found.problem,
        tol=SOLVER_SHARE * tol,
        max_iter=MAX_STEPS,
        rng=rng,
        start=start,
    )
    dual = (solution.best_dual, max(solution.lower, 0.0), found.problem.poison)
    return found.improved(found.problem, tol, dual=dual, solution=solution)


def _with_limits(found, iterate):
    """Give a state a point for the attack that was added."""
    center = found.problem.poison.sets[-1].center
    beta, points = iterate.poison
    points = np.vstack([points.reshape(-1, len(center)), center])
    return replace(iterate, poison=PoisonPoints(np.append(beta, 0.0), points))


def _clean_value(found, iterate):
    """The bound's value without poison."""
    return upper_value(found.problem, iterate.theta, iterate.margins, worst=0.0)


def _cover(found, iterate, plane, tol, splits):
    """Bound the attacker's loss, to a precision that suits the current gap."""
    clean, epsilon = _clean_value(found, iterate), found.problem.poison.epsilon
    weight = max(epsilon, np.finfo(float).tiny)

    def goal(lower):
        gap = max(clean + epsilon * lower - found.lower, 0.0)
        target = found.problem.target(min(clean + epsilon * lower, found.upper), tol)
        return lower + max(GAP_SHARE * gap, TARGET_SHARE * target) / weight

    n_features = found.problem.rows.dim - 1
    return cover_splits(
        plane, n_features, goal=goal, max_programs=MAX_PROGRAMS, splits=splits
    )


def _record(found, iterate, cover, tol):
    """Keep the better parameters, and report the round's result."""
    upper = _clean_value(found, iterate) + found.problem.poison.epsilon * cover.upper
    entry = {
        "n_iter": found.n_iter + 1,
        "upper_bound": float(upper),
        "lower_bound": float(found.lower),
        "n_rows": len(found.problem.rows),
        "n_programs": cover.n_programs,
        "poison_loss": float(cover.upper),
        "poison_loss_found": float(cover.lower),
    }
    return found.improved(
        found.problem,
        tol,
        primal=(iterate, upper),
        poison_loss=cover.upper if upper < found.upper else found.poison_loss,
        tree=cover.tree if upper < found.upper else found.tree,
        n_iter=found.n_iter + 1,
        n_programs=found.n_programs + cover.n_programs,
        history=[*found.history, entry],
    )


def _is_settled(found, cover, tol):
    """Whether the remaining gap is that of the cover, which ran out of programs."""
    left = found.problem.poison.epsilon * (cover.upper - cover.lower)
    exact = found.gap - left <= TARGET_SHARE * found.problem.target(found.upper, tol)
    return exact and cover.n_programs >= MAX_PROGRAMS


def _add(found, attack, term):
    poison = found.problem.poison.add(*term)
    problem = found.problem._replace(poison=poison)
    return replace(found, problem=problem, attacks=[*found.attacks, attack])
