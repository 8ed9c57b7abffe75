"""Whether targets are right without rows, by fits."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _num_samples

from skpoison.tracing._goal import Goal, RangeGoal
from skpoison.tracing._odds import margins
from skpoison.tracing._targets import predicted_by
from skpoison.tracing._training import Training

_ITEM = np.dtype(np.intp).itemsize  # bytes of the number of a row


class Verifier:
    """Fits without sets of rows, each fitted once, and what they say of targets."""

    def __init__(
        self,
        training: Training,
        X_target: Any,
        goal: Goal,
        model: BaseEstimator | None = None,
    ):
        self.training, self.X_target, self.goal = training, X_target, goal
        # None where no model could be fitted, or it cannot read the targets.
        self._predictions: dict[bytes, np.ndarray | None] = {}
        self._margins: dict[bytes, float] = {}
        self._last: tuple[bytes, BaseEstimator | None] | None = None
        if model is not None:  # the one on all rows
            self._ask(b"", model)

    def works(self, rows: np.ndarray) -> bool:
        """Say whether all targets are predicted right without these rows."""
        return bool(self.is_right(rows).all())

    def is_right(self, rows: np.ndarray) -> np.ndarray:
        """Return which targets are predicted right without these rows."""
        found = self.predicted(rows)
        if found is None:
            return np.zeros(_num_samples(self.X_target), dtype=bool)
        return self.goal.met(found)

    def predicted(self, rows: np.ndarray) -> np.ndarray | None:
        """Return what is predicted for the targets without these rows, if possible."""
        key = np.sort(rows).tobytes()
        if key not in self._predictions:
            self._ask(key, self.model_without(rows))
        return self._predictions[key]

    def _ask(self, key, model):
        """Remember what a model says of the targets."""
        found = None if model is None else predicted_by(model, self.X_target)
        self._predictions[key], off = found, None
        if found is not None:
            off = margins(model, self.X_target, self.goal)
        self._margins[key] = np.nan if off is None else float(off.max())

    def margin(self, rows: np.ndarray) -> float:
        """Return by how much the worst target is wrong without rows; NaN if unknown."""
        self.predicted(rows)
        return self._margins[np.sort(rows).tobytes()]

    def most_right(self, most_rows: int) -> int:
        """Return how many targets are right without the best set that was tried."""
        found = [
            int(self.goal.met(predicted).sum())
            for key, predicted in self._predictions.items()
            if predicted is not None and len(key) <= most_rows * _ITEM
        ]
        return max(found, default=0)

    def nearest(self, goal: RangeGoal, most_rows: int) -> tuple[int, float]:
        """Return how many rows the best set had, and the number predicted without."""
        found = [
            (float(goal.off(said).max()), len(key) // _ITEM, float(said[0]))
            for key, said in self._predictions.items()
            if said is not None and len(key) <= most_rows * _ITEM
        ]
        return min(found)[1:]

    def model_without(self, rows: np.ndarray) -> BaseEstimator | None:
        """Return a model fitted without these rows, the last one from memory.

        None if there is none.
        """
        key = np.sort(rows).tobytes()
        if self._last is None or self._last[0] != key:
            self._last = key, self.training.fit_if_possible(rows)
        return self._last[1]
