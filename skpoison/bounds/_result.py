"""The result of a bound, and its value with margins for rounding."""

from typing import NamedTuple

import numpy as np

from skpoison.bounds._rounding import margins
from skpoison.losses import Hinge
from skpoison.solvers._loss_problem import LossProblem
from skpoison.solvers._proximal_newton import Iterate
from skpoison.solvers._train import PoisonCopies
from skpoison.solvers._working_set import Problem, Solution


class CertifiedValues(NamedTuple):
    """A bound at certified parameters, moved outwards by its margins for rounding."""

    theta: np.ndarray  # (n_features + 1,)
    clean_loss: float
    poison_loss: float
    upper: float
    lower: float


class Result(NamedTuple):
    """All that a bound found, of which :class:`CertifiedBound` makes its attributes."""

    found: Solution  # where the solver ended, from which another fit can start
    problem: Problem | LossProblem
    certificate: CertifiedValues
    attack: PoisonCopies
    trained: Solution  # the learner trained on the clean rows and the attack
    more: dict  # further entries of ``attack_``


def certificate(
    problem: Problem,
    iterate: Iterate,
    poison_loss: float,
    lower: float,
    reach: float | None = None,
) -> CertifiedValues:
    """Return the bound at an iterate; no poison row is farther out than `reach`."""
    theta = iterate.theta
    rounding = margins(problem, theta, lower, reach)
    # Margins that were followed along steps have gathered rounding errors.
    shortfalls = 1.0 - problem.rows.scores(theta)
    clean_loss = float(problem.weights @ Hinge().of_shortfalls(shortfalls))
    upper = clean_loss + problem.poison.epsilon * poison_loss
    upper = float(upper + problem.learner.value(theta) + rounding.upper)
    lower = max(float(lower) - rounding.lower, 0.0)
    return CertifiedValues(theta, clean_loss, poison_loss, upper, lower)
