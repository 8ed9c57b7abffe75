"""What the predictions of the targets should be, and which rows speak against it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array
from sklearn.utils.validation import column_or_1d

from skpoison._labels import encode_labels, find_labels

TYPICAL = 1.4826  # of the median size of errors: one standard deviation, if normal
FAR = 3.0  # typical errors: a row that is so far off contradicts the model


class LabelGoal(NamedTuple):
    """Each target should get a label, or any label but the one that it has."""

    classes: np.ndarray
    wrong: np.ndarray  # (n_targets,) positions among the classes
    right: np.ndarray | None

    def met(self, predictions: np.ndarray) -> np.ndarray:
        """Return which targets are predicted right."""
        found = find_labels(np.ravel(predictions), self.classes)
        return found == self.right if self.right is not None else found != self.wrong

    def pushes(self, y: np.ndarray) -> np.ndarray:
        """Return 1 for rows of the wrong label of a target, -1 for those of the right.

        The result has a row for each training row, and a column for each target.
        """
        codes = find_labels(y, self.classes)[:, np.newaxis]
        wrong = (codes == self.wrong).astype(np.float64)
        if self.right is None:
            return 2.0 * wrong - 1.0
        return wrong - (codes == self.right)

    @property
    def wanted(self) -> np.ndarray | None:
        """The labels that are right; None where any other is."""
        return None if self.right is None else self.classes[self.right]

    @property
    def is_open(self) -> bool:
        """Whether any other label is right."""
        return self.right is None

    def take(self, chosen: np.ndarray) -> "LabelGoal":
        """Return the goal of some of the targets."""
        right = None if self.right is None else self.right[chosen]
        return LabelGoal(self.classes, self.wrong[chosen], right)


class RangeGoal(NamedTuple):
    """Each target should get a number within a range."""

    low: np.ndarray
    high: np.ndarray
    predicted: np.ndarray
    far: float  # size of errors that are unusual
    tolerance: float | None = None  # none where ranges were given

    def met(self, predictions: np.ndarray) -> np.ndarray:
        """Return which targets are predicted right."""
        found = np.ravel(predictions)
        return (found >= self.low) & (found <= self.high)

    def off(self, predictions: np.ndarray) -> np.ndarray:
        """Return how far predictions are from the ranges; below zero within them."""
        found = np.ravel(predictions)
        return np.maximum(found - self.high, self.low - found)

    def pushes(self, y: np.ndarray) -> np.ndarray:
        """Return how far the values of rows are from the range, in its wrong direction.

        The result has a row for each training row, and a column for each target.
        """
        too_high = self.predicted > self.high
        edge = np.where(too_high, self.high, self.low)
        return np.where(too_high, 1.0, -1.0) * (y[:, np.newaxis] - edge)

    @property
    def wanted(self) -> np.ndarray:
        """The ranges, of shape (n_targets, 2)."""
        return np.column_stack([self.low, self.high])

    @property
    def is_open(self) -> bool:
        """Whether any other number is right: no."""
        return False

    def take(self, chosen: np.ndarray) -> "RangeGoal":
        """Return the goal of some of the targets."""
        low, high, predicted = (
            values[chosen] for values in (self.low, self.high, self.predicted)
        )
        return self._replace(low=low, high=high, predicted=predicted)


Goal = LabelGoal | RangeGoal


def label_goal(classes: np.ndarray, predicted: Any, y_target: Any) -> LabelGoal:
    """Return the goal of targets of a classifier, of which none may be right yet."""
    if len(classes) < 2:
        raise ValueError(
            f"y must have at least two labels; got {classes.tolist()} only, so that no "
            "other one can be predicted."
        )
    wrong = encode_labels(np.ravel(predicted), classes, "predictions", "estimator")
    if y_target is None:
        return LabelGoal(classes, wrong, None)
    given = column_or_1d(np.atleast_1d(y_target))
    given = _one_each(given, len(wrong))
    right = encode_labels(given, classes, "y_target", "estimator")
    goal = LabelGoal(classes, wrong, right)
    _check_wrong(right == wrong, f"label {given.tolist()}")
    return goal


def range_goal(errors: ArrayLike, predicted: Any, y_target: Any) -> RangeGoal:
    """Return the goal of targets of a regressor, of which none may be right yet.

    A number is right within the usual size of `errors`.
    """
    if y_target is None:
        raise ValueError(
            "y_target must be given for a regressor: the numbers that would be right, "
            "or an array of shape (n_targets, 2) with the lowest and the highest; got "
            "None."
        )
    predicted = np.ravel(predicted).astype(np.float64)
    given = np.atleast_1d(y_target)
    if given.dtype.kind not in "biufO":
        raise ValueError(f"y_target must be numbers; got {given.tolist()}.")
    given = check_array(given, ensure_2d=False, dtype=np.float64, input_name="y_target")
    usual = usual_size(errors)
    tolerance = None if given.ndim == 2 and given.shape[1] == 2 else usual
    if tolerance is None:
        low, high = _one_each(given, len(predicted)).T
        if np.any(low > high):
            raise ValueError(
                "y_target must not have a lowest number above the highest; got "
                f"{given[low > high][0].tolist()}."
            )
    else:
        middle = _one_each(column_or_1d(given), len(predicted))
        low, high = middle - usual, middle + usual
    goal = RangeGoal(low, high, predicted, FAR * usual, tolerance)
    shown = np.column_stack([low, high]).round(6).tolist()
    _check_wrong(goal.met(predicted), f"numbers within {shown}")
    return goal


def usual_size(errors: ArrayLike) -> float:
    """Return the usual size of errors, of which some may be large."""
    return TYPICAL * float(np.median(np.abs(errors)))


def _one_each(given, n_targets):
    """Return one entry for each target; one alone is for all."""
    if len(given) == 1:
        return np.repeat(given, n_targets, axis=0)
    if len(given) != n_targets:
        raise ValueError(
            f"y_target must have one entry for each of the {n_targets} rows of "
            f"X_target, or one for all; got {len(given)}."
        )
    return given


def _check_wrong(is_right, what):
    if not is_right.any():
        return
    raise ValueError(
        f"y_target: the rows {np.flatnonzero(is_right).tolist()} of X_target are "
        f"predicted right already ({what}); there is nothing to trace. Leave them out."
    )
