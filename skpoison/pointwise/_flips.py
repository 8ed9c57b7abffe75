"""Label flips against predictions that are linear in the training labels."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length

from skpoison._labels import check_labels

CELLS = 8_000_000  # of the largest array at a time
ROUNDING = 1e-10  # of the sum of a row's weights, for weights that are not integers


def flip_radius(weights: ArrayLike, y_train: ArrayLike) -> np.ndarray:
    """Return how many flipped labels a weighted vote of the training labels survives.

    For any method that predicts the class with the largest sum of weights,
    ``argmax_c sum_i weights[x, i] * (y_train[i] == c)``, with weights that do not
    depend on the labels: kernel smoothers, least squares with fixed features, label
    propagation. With two labels -1 and 1 this is the sign of ``weights @ y_train``.
    Weights may be negative. Ties go to the smaller label.

    Parameters
    ----------
    weights : array-like of shape (n_samples, n_train)
        The weight of each training row in each prediction.
    y_train : array-like of shape (n_train,)
        Labels of the training rows. Labels are flipped to labels that occur here.

    Returns
    -------
    radius : ndarray of shape (n_samples,), int
        The largest number of labels that can be changed, in any way, without changing
        the prediction; one more can change it. It is `n_train` if no flips change it.
        Weights that are not integers are taken as accurate to ten digits, so that a
        radius may be too small by one at a near tie.

    Raises
    ------
    ValueError
        If shapes are inconsistent or weights are not finite.

    See Also
    --------
    certified_radius : Computes the weights for several scikit-learn estimators.

    Notes
    -----
    Against one rival class, a flip narrows the gap by twice the weight of a row of the
    winning class, by minus twice the weight of a row of the rival, or by the absolute
    weight of a row of another class. The radius against this rival is the largest
    number of these, in decreasing order, whose sum does not close the gap; the radius
    is the minimum over all rivals [1]_.

    References
    ----------
    .. [1] E. Rosenfeld, E. Winston, P. Ravikumar and J. Z. Kolter, "Certified
       Robustness to Label-Flipping Attacks via Randomized Smoothing", ICML 2020
       (which bounds what is computed exactly here).

    Examples
    --------
    >>> from skpoison.pointwise import flip_radius
    >>> flip_radius([[3, 1, 1, 1], [1, 1, 1, -1]], [1, 1, 1, -1])
    array([0, 1])
    """
    weights = check_array(weights, dtype=np.float64, input_name="weights")
    classes, codes = np.unique(check_labels(y_train), return_inverse=True)
    check_consistent_length(weights.T, codes)
    return radius_in_blocks(lambda rows: weights[rows], len(weights), codes, classes)


def radius_in_blocks(
    weights_of: Callable[[slice], np.ndarray],
    n_rows: int,
    codes: np.ndarray,
    classes: np.ndarray,
) -> np.ndarray:
    """Return flip radii; `weights_of` gives the weights of some of the rows."""
    block = max(CELLS // max(len(codes), 1), 1)
    starts = range(0, n_rows, block)
    found = [
        _flip_radius(weights_of(slice(start, start + block)), codes, len(classes))
        for start in starts
    ]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.intp)


def _flip_radius(weights, codes, n_classes):
    sums = np.stack([weights[:, codes == c].sum(axis=1) for c in range(n_classes)], 1)
    is_exact = np.all(weights == np.rint(weights))
    slack = np.abs(weights).sum(axis=1) * (0.0 if is_exact else ROUNDING)
    winner = sums.argmax(axis=1)
    radius = np.full(len(weights), len(codes))
    for c in range(n_classes):
        rows = np.flatnonzero(winner == c)
        for rival in set(range(n_classes)) - {c}:
            losses = _losses(weights[rows], codes, c, rival)
            budget = sums[rows, c] - sums[rows, rival] - slack[rows]
            fits = _how_many_fit(losses, budget[:, None], ties_hold=c < rival)
            radius[rows] = np.minimum(radius[rows], fits)
    return radius


def _losses(weights, codes, winner, rival):
    """Return how much the worst change of each row's label narrows the gap."""
    losses = np.abs(weights)
    losses[:, codes == winner] = 2.0 * np.maximum(weights[:, codes == winner], 0.0)
    losses[:, codes == rival] = 2.0 * np.maximum(-weights[:, codes == rival], 0.0)
    return losses


def _how_many_fit(losses, budget, ties_hold):
    losses.sort(axis=1)
    sums = np.cumsum(losses[:, ::-1], axis=1)
    return (sums <= budget if ties_hold else sums < budget).sum(axis=1)
