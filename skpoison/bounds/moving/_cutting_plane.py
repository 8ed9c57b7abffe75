"""The least bound over the learner's parameters, by the worst attacks so far.

Each round bounds the attacker's loss at the present parameters over all splits, adds
the worst attack found to the learner's problem, and solves that problem. Its dual
value bounds every certificate from below, so that both together say when to stop.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from skpoison.bounds.moving._adversary import DiscPoison, disc_of
from skpoison.bounds.moving._branch_and_bound import cover_splits
from skpoison.bounds.moving._reduction import reduce_to_plane
from skpoison.solvers._adversary import PoisonPoints
from skpoison.solvers._working_set import solve, upper_value

MAX_ROUNDS, MAX_STEPS = 100, 1000
# Programs after which a cover is taken as it is.
MAX_PROGRAMS = 1000
# How exact a cover is: these shares of the gap at its parameters and of the target.
GAP_SHARE, TARGET_SHARE = 0.2, 0.3
# The learner's problem is solved to this share of the tolerance.
SOLVER_SHARE = 0.2


@dataclass
class Training:
    """What training has found so far.

    Parameters
    ----------
    problem : Problem
        The learner's problem; its poison are the attacks found.
    best_primal : State or None
        The parameters with the least bound.
    upper : float
        That bound, certified over all splits.
    poison_loss : float
        The part of it that is the attacker's: the largest mean loss of poison rows.
    solution : Solution or None
        The last solution of the problem.
    lower : float
        No parameters make the bound smaller.
    attacks : list of Displacements
        The attacks found, in the order of the problem's poison.
    n_iter : int
        Rounds.
    n_programs : int
        Conic programs solved.
    converged : bool
        Whether the bounds are as near as was asked.
    history : list of dict
        One entry for each round.
    """

    problem: object
    best_primal: object = None
    upper: float = np.inf
    poison_loss: float = np.inf
    solution: object = None
    lower: float = 0.0
    attacks: list = field(default_factory=list)
    n_iter: int = 0
    n_programs: int = 0
    converged: bool = False
    history: list = field(default_factory=list)

    @property
    def gap(self):
        """The certified distance of the bound from the least one."""
        return max(self.upper - self.lower, 0.0)

    @property
    def splits(self):
        """The splits of the attacks that carry weight in the last solution."""
        beta = self.solution.best_dual.poison.beta
        return [self.attacks[i].split for i in np.flatnonzero(beta > 0)]


def train(problem, defense, *, tol, max_iter, rng, start=None, monitor=None):
    """Minimize the bound against an attacker who moves the centroids.

    Parameters
    ----------
    problem : Problem
        Rows and learner; its poison says epsilon only.
    defense : Defense
        The defense.
    tol : float
        Relative gap that is wanted.
    max_iter : int
        Most rounds.
    rng : numpy.random.RandomState
        Draws the first rows.
    start : Training, default=None
        What was found for another epsilon.
    monitor : callable, default=None
        Called with each entry of the history.

    Returns
    -------
    found : Training
        The best parameters; their bound is valid whatever ended the rounds.
    """
    found = Training(problem._replace(poison=DiscPoison(problem.poison.epsilon)))
    iterate, splits = _begin(found, start, tol, rng)
    while found.n_iter < max_iter:
        plane, frame = reduce_to_plane(iterate.theta, defense, problem.poison.epsilon)
        cover = _cover(found, iterate, plane, tol, splits)
        _record(found, iterate, cover, tol)
        if monitor is not None:
            monitor(found.history[-1])
        if found.converged or cover.attack is None or _is_settled(found, cover, tol):
            break
        _add(found, cover.attack, disc_of(cover.attack, plane, frame, defense))
        iterate = _solve(found, tol, rng)
        splits = found.splits
    return found


def _begin(found, start, tol, rng):
    """Start without poison, or where a former training ended."""
    # The problem without poison is what the first attack is added to.
    iterate = _solve(found, tol, rng)
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
    found.solution = solution
    found.lower = max(found.lower, solution.lower)
    return solution.best_primal


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
    """Bound the attacker's loss as exactly as the state of affairs deserves."""
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
    """Keep the best parameters."""
    upper = _clean_value(found, iterate) + found.problem.poison.epsilon * cover.upper
    if upper < found.upper:
        found.best_primal, found.upper, found.poison_loss = iterate, upper, cover.upper
    found.n_iter += 1
    found.n_programs += cover.n_programs
    found.converged = found.gap <= found.problem.target(found.upper, tol)
    entry = {
        "n_iter": found.n_iter,
        "upper_bound": float(upper),
        "lower_bound": float(found.lower),
        "n_rows": len(found.problem.rows),
        "n_programs": cover.n_programs,
        "poison_loss": float(cover.upper),
        "poison_loss_found": float(cover.lower),
    }
    found.history.append(entry)


def _is_settled(found, cover, tol):
    """Whether what separates the bounds is the cover, which ran out of programs."""
    left = found.problem.poison.epsilon * (cover.upper - cover.lower)
    exact = found.gap - left <= TARGET_SHARE * found.problem.target(found.upper, tol)
    return exact and cover.n_programs >= MAX_PROGRAMS


def _add(found, attack, term):
    poison = found.problem.poison.add(*term)
    found.problem = found.problem._replace(poison=poison)
    found.attacks.append(attack)
