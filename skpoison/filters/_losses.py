"""Losses of classifiers, row by row, their derivatives, and the default classifier.

``decisions`` are what a classifier's ``decision_function`` returns: of shape
(n_samples,) for two classes, (n_samples, n_classes) for more. ``codes[i]`` is the
position of the label of row ``i`` among the classifier's classes.
"""

from functools import partial

import numpy as np
from scipy import sparse
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from skpoison.filters._copies import joined_copies
from skpoison.filters._rows import are_far, class_means
from skpoison.losses import Hinge, Logistic, Squared, decision_margins

NAMES = ("hinge", "log_loss", "squared")
SMALLEST = np.finfo(np.float64).tiny
# Rows so many times as far from the origin as from their mean are fitted around it.
FAR = 10.0

_LOSSES = {"hinge": Hinge(), "log_loss": Logistic(), "squared": Squared()}
# Filters mean the whole square, the class half of it.
_FACTORS = {"hinge": 1.0, "log_loss": 1.0, "squared": 2.0}


def loss_name(loss, estimator):
    """Resolve "auto": log loss for those that know probabilities, else hinge loss."""
    if loss != "auto":
        return loss
    return "log_loss" if hasattr(estimator, "predict_proba") else "hinge"


def row_losses(estimator, X, codes, loss):
    """Return the loss of each row, float64; it may be a callable of the same form.

    The log loss is that of ``predict_proba``, the others those of decisions.
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


def losses_of_labels(estimator, X, n_classes, loss):
    """Return the loss of each row under each label, of shape (n_samples, n_classes)."""
    if callable(loss):
        of_label = partial(loss, estimator, X)
    else:
        of_label = partial(_of_answers, _answers(estimator, X, loss), loss=loss)
    labels = [np.full(X.shape[0], code) for code in range(n_classes)]
    with np.errstate(over="ignore", invalid="ignore"):
        losses = [np.asarray(of_label(codes), dtype=np.float64) for codes in labels]
    return np.stack(losses, axis=1)


def _known_losses(estimator, X, codes, loss):
    return _of_answers(_answers(estimator, X, loss), codes, loss)


def _answers(estimator, X, loss):
    ask = estimator.predict_proba if loss == "log_loss" else estimator.decision_function
    return ask(X)


def _of_answers(answers, codes, loss):
    if loss == "log_loss":
        chances = answers[np.arange(len(codes)), codes]
        return -np.log(np.maximum(chances, SMALLEST, dtype=np.float64))
    return _of_decisions(answers, codes, loss)


def _of_decisions(decisions, codes, loss):
    if loss == "squared" and decisions.ndim == 2:  # of one-vs-rest targets
        margins = _signs(decisions, codes) * decisions
        return _FACTORS[loss] * _LOSSES[loss].value(margins).sum(axis=1)
    return _FACTORS[loss] * _LOSSES[loss].value(decision_margins(decisions, codes))


def derivatives(decisions, codes, loss):
    """Return the derivatives of each row's loss by its decisions, float64 of two axes.

    Of several subgradients of the hinge, it takes the one of the flat side.

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
    slopes = _LOSSES[loss].derivative(signs * decisions)
    return (_FACTORS[loss] * signs * slopes)[:, None]


def _signs(decisions, codes):
    """Return the targets of one-vs-rest: 1 for each row's class, -1 for the others."""
    return 2.0 * (np.arange(decisions.shape[1]) == codes[:, None]) - 1.0


def _hinge_of_many(decisions, codes):
    rows = np.arange(len(codes))
    others = decisions.copy()
    others[rows, codes] = -np.inf
    rival = others.argmax(axis=1)
    slopes = _LOSSES["hinge"].derivative(decision_margins(decisions, codes))
    out = np.zeros_like(decisions)
    out[rows, codes] = slopes
    out[rows, rival] = -slopes
    return out


def _log_loss_of_many(decisions, codes):
    out = softmax(decisions, axis=1)
    out[np.arange(len(codes)), codes] -= 1.0
    return out


def _squared_of_many(decisions, codes):
    signs = _signs(decisions, codes)
    return (
        _FACTORS["squared"] * signs * _LOSSES["squared"].derivative(signs * decisions)
    )


_DERIVATIVES_OF_MANY = {
    "hinge": _hinge_of_many,
    "log_loss": _log_loss_of_many,
    "squared": _squared_of_many,
}


def fit_logistic(X, y, sample_weight=None):
    """Fit ``LogisticRegression(max_iter=1000)``.

    Its solver stops early, without a word, where rows are far from the origin. Dense
    rows are then taken from their mean, which changes the intercept alone: that is not
    penalized. Copies of a sparse row are fitted once, with their number as a weight.
    """
    _check_size(X)
    estimator = LogisticRegression(max_iter=1000)
    if sparse.issparse(X):
        return estimator.fit(*joined_copies(X, y, sample_weight))
    one_class = np.zeros(X.shape[0], dtype=np.intp)
    center = class_means(X, one_class, 1)
    if not are_far(X, one_class, center, times=FAR):
        return estimator.fit(X, y, sample_weight)
    # A center of the rows' own dtype: no difference of near numbers is rounded.
    center = center[0].astype(X.dtype)
    estimator.fit(X - center, y, sample_weight)
    estimator.coef_ = estimator.coef_.astype(np.float64)
    shifts = estimator.coef_ @ center.astype(np.float64)
    estimator.intercept_ = estimator.intercept_ - shifts
    return estimator


def _check_size(X):
    values = X.data if sparse.issparse(X) else X
    largest = max(values.max(initial=0.0), -values.min(initial=0.0))
    most = np.sqrt(np.finfo(X.dtype).max)
    if largest > most:
        raise ValueError(
            f"X has values as large as {largest:.3g}; the default estimator, "
            f"LogisticRegression, supports at most {most:.3g} in {X.dtype}. Rescale "
            "the data, or pass another estimator."
        )
