"""Losses of classifiers, row by row, and their derivatives.

``decisions`` are what a classifier's ``decision_function`` returns: of shape
(n_samples,) for two classes, (n_samples, n_classes) for more. ``codes[i]`` is the
position of the label of row ``i`` among the classifier's classes.
"""

import numpy as np
from scipy.special import expit, softmax

NAMES = ("hinge", "log_loss", "squared")
SMALLEST = np.finfo(np.float64).tiny


def loss_name(loss, estimator):
    """Resolve "auto": log loss for those that know probabilities, else hinge loss."""
    if loss != "auto":
        return loss
    return "log_loss" if hasattr(estimator, "predict_proba") else "hinge"


def row_losses(estimator, X, codes, loss):
    """Loss of each row.

    Parameters
    ----------
    estimator : classifier
        Fitted; with ``predict_proba`` for the log loss, ``decision_function`` else.
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows.
    codes : ndarray of shape (n_samples,)
        The class of each row.
    loss : {"hinge", "log_loss", "squared"} or callable
        Which loss; ``loss(estimator, X, codes)`` returns that of each row.

    Returns
    -------
    losses : ndarray of shape (n_samples,)
        Losses, float64.

    Raises
    ------
    ValueError
        If losses have the wrong shape or are not finite.
    """
    if callable(loss):
        losses = loss(estimator, X, codes)
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            losses = _known_losses(estimator, X, codes, loss)
        if not np.all(np.isfinite(losses)):
            raise ValueError(
                f"The loss {loss!r} is not finite under {estimator!r}: X holds values "
                "that are too large for it; rescale the data."
            )
    losses = np.asarray(losses, dtype=np.float64)
    if losses.shape != codes.shape or not np.all(np.isfinite(losses)):
        raise ValueError(
            f"The loss {loss!r} must be one finite number for each row; got an array "
            f"of shape {losses.shape} for {len(codes)} rows."
        )
    return losses


def _known_losses(estimator, X, codes, loss):
    if loss == "log_loss":
        chances = estimator.predict_proba(X)[np.arange(len(codes)), codes]
        return -np.log(np.maximum(chances, SMALLEST, dtype=np.float64))
    return _LOSSES[loss](estimator.decision_function(X), codes)


def derivatives(decisions, codes, loss):
    """Derivatives of the loss of each row with respect to its decisions.

    Parameters
    ----------
    decisions : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Decisions.
    codes : ndarray of shape (n_samples,)
        The class of each row.
    loss : {"hinge", "log_loss", "squared"}
        Which loss; of several subgradients of the hinge, the one of the flat side.

    Returns
    -------
    derivatives : ndarray of shape (n_samples, 1) or (n_samples, n_classes)
        Derivatives, float64.

    Examples
    --------
    >>> import numpy as np
    >>> derivatives(np.array([0.5, 2.0]), np.array([1, 1]), "hinge")
    array([[-1.],
           [ 0.]])
    """
    decisions = np.asarray(decisions, dtype=np.float64)
    if decisions.ndim == 2:
        return _DERIVATIVES_OF_MANY[loss](decisions, codes)
    signs = 2.0 * codes - 1.0
    return (signs * _DERIVATIVES_OF_MARGINS[loss](signs * decisions))[:, None]


def _margins(decisions, codes):
    """How much higher the decision of the row's class is than that of any other."""
    if decisions.ndim == 1:
        return (2 * codes - 1) * decisions
    rows = np.arange(len(codes))
    others = decisions.copy()
    others[rows, codes] = -np.inf
    return decisions[rows, codes] - others.max(axis=1)


def _targets(decisions, codes):
    return 2.0 * (np.arange(decisions.shape[1]) == codes[:, None]) - 1.0


def _hinge(decisions, codes):
    return np.maximum(0.0, 1.0 - _margins(decisions, codes))


def _squared(decisions, codes):
    if decisions.ndim == 1:
        return (1.0 - _margins(decisions, codes)) ** 2
    return ((decisions - _targets(decisions, codes)) ** 2).sum(axis=1)


def _hinge_of_many(decisions, codes):
    rows = np.arange(len(codes))
    others = decisions.copy()
    others[rows, codes] = -np.inf
    rival = others.argmax(axis=1)
    violating = decisions[rows, codes] - others[rows, rival] < 1
    out = np.zeros_like(decisions)
    out[rows, codes] = -1.0 * violating
    out[rows, rival] = 1.0 * violating
    return out


def _log_loss_of_many(decisions, codes):
    out = softmax(decisions, axis=1)
    out[np.arange(len(codes)), codes] -= 1.0
    return out


_LOSSES = {"hinge": _hinge, "squared": _squared}
_DERIVATIVES_OF_MARGINS = {
    "hinge": lambda margins: np.where(margins < 1, -1.0, 0.0),
    "log_loss": lambda margins: -expit(-margins),
    "squared": lambda margins: 2.0 * (margins - 1.0),
}
_DERIVATIVES_OF_MANY = {
    "hinge": _hinge_of_many,
    "log_loss": _log_loss_of_many,
    "squared": lambda decisions, codes: 2 * (decisions - _targets(decisions, codes)),
}
