"""The one rule by which a defense is recommended.

Of the defenses that an attack was told of, and that cost no more without an attack than
is acceptable, the one with the lowest metric under its worst attack; of equal ones the
one that costs less. Whatever the report says of a recommendation (headline, cards,
charts, tables, sentences) reads it from here.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .metrics import Answers, Metric
from .types import Interval, Status

N_DRAWS = 200
# Of a share of all draws; half of it is beyond each end of an interval.
CONFIDENCE = 0.95
# Differences of numbers that are equal but for rounding.
EQUAL = 1e-9


class Candidate(NamedTuple):
    """What was measured of a defense; draws are of resampled held-out rows."""

    name: str
    clean: float  # the metric without an attack
    worst: float  # under the worst attack
    is_known: bool  # whether an attack knew it
    clean_draws: np.ndarray  # (n_draws,), the same draws for all candidates
    worst_draws: np.ndarray


class Choice(NamedTuple):
    """What was decided."""

    name: str | None  # the defense; None if nothing could be judged
    statuses: dict[str, Status]  # of each candidate


class Resampling(NamedTuple):
    """Draws of held-out rows with replacement, the same for all models."""

    weights: list[np.ndarray]  # of each fold, (n_draws, n_rows)

    @classmethod
    def of(cls, sizes: Sequence[int], seed: int) -> "Resampling":
        """Draw rows of folds of these sizes."""
        rng = np.random.default_rng(seed)
        return cls(
            [
                rng.multinomial(n, np.full(n, 1 / n), N_DRAWS).astype(float)
                for n in sizes
            ]
        )

    def draws(self, metric: Metric, answers: list[Answers]) -> np.ndarray:
        """The mean of the metric over the folds for every draw."""
        folds = [
            metric.of(one, weights)
            for one, weights in zip(answers, self.weights, strict=True)
        ]
        return np.mean(folds, axis=0)


def interval(value: float, draws: np.ndarray) -> Interval:
    """A value with the interval that holds most draws."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return {
        "value": float(value),
        # Few draws of few rows can lie on one side of what was measured.
        "low": float(min(low, value)),
        "high": float(max(high, value)),
    }


def beats(value, draws, other, other_draws) -> bool:
    """Tell whether a value is lower than another one, beyond noise."""
    if not value < other - EQUAL:
        return False
    return interval(other - value, other_draws - draws)["low"] > 0


def decide(
    candidates: Sequence[Candidate],
    undefended: Candidate,
    constant: Candidate,
    max_cost: float,
) -> Choice:
    """Choose among candidates, of which having no defense may be one."""
    statuses: dict[str, Status] = {}
    open_ = []
    for one in candidates:
        if not one.is_known:
            statuses[one.name] = "not judged"
        elif not one.clean < constant.clean - EQUAL:
            statuses[one.name] = "no better than a constant"
        elif one.clean - undefended.clean > max_cost + EQUAL:
            statuses[one.name] = "too costly"
        else:
            open_.append(one)
    if not open_:
        return Choice(None, statuses)
    lowest = min(one.worst for one in open_)
    first = [one for one in open_ if one.worst <= lowest + EQUAL]
    best = min(first, key=lambda one: one.clean)
    for one in open_:
        is_worse = beats(best.worst, best.worst_draws, one.worst, one.worst_draws)
        statuses[one.name] = "worse" if is_worse else "equal within noise"
    statuses[best.name] = "recommended"
    return Choice(best.name, statuses)
