"""Weights of classes and rows in the learner's loss."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import _check_sample_weight


class LossWeights(NamedTuple):
    """What each row's loss is multiplied by."""

    of_rows: np.ndarray  # (n_samples,): class weight times sample weight
    of_poison: np.ndarray  # (n_classes,), or (1,) in regression: the most for a row
    # How many rows weigh what an entry of `of_rows` says, where not each has its own.
    counts: np.ndarray | None = None


def class_weights(
    given: dict | str | None, classes: np.ndarray, codes: np.ndarray
) -> np.ndarray | None:
    """Return a weight for each class; None where all weigh the same."""
    if given is None:
        return None
    weights = compute_class_weight(given, classes=classes, y=classes[codes])
    weights = np.asarray(weights, dtype=np.float64)
    if not np.all(np.isfinite(weights) & (weights >= 0.0)) or not weights.any():
        raise ValueError(
            "class_weight must have numbers that are not negative, and not all zero; "
            f"got {given!r}."
        )
    return weights


def sample_weights(given: ArrayLike | None, X: np.ndarray) -> np.ndarray:
    """Return a weight for each row, 1 where none are given."""
    if given is None:
        return np.ones(X.shape[0])
    weights = _check_sample_weight(given, X, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("sample_weight is zero for every row.")
    return weights
