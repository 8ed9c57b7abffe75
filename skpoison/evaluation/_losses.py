"""Losses of fitted classifiers on held-out rows."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.metrics import log_loss
from sklearn.utils import check_array, column_or_1d

from skpoison._column_types import RowsLike
from skpoison._labels import find_labels, kinds_hint, shown_labels
from skpoison.losses import Hinge, decision_margins


def held_out_loss(classifier: ClassifierMixin, X: RowsLike, y: ArrayLike) -> float:
    """Return the mean loss of a fitted classifier.

    The hinge loss if the classifier has a ``decision_function`` (for more than two
    classes, that of Crammer and Singer), otherwise the log loss of its probabilities.
    Poison often increases the loss well before it increases the error.

    Parameters
    ----------
    classifier : classifier
        The fitted classifier.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows that it has not seen.
    y : array-like of shape (n_samples,)
        Their labels.

    Returns
    -------
    loss : float
        The mean loss.

    Raises
    ------
    ValueError
        If the classifier has neither ``decision_function`` nor ``predict_proba``, if
        its decisions do not have a column for each of more than two classes, or if y
        contains labels that it was not fitted on.

    References
    ----------
    .. [1] J. Steinhardt, P. W. Koh and P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NeurIPS 2017, figure 2 (test hinge loss).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skpoison.evaluation import held_out_loss
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(X[::2], y[::2])
    >>> held_out_loss(model, X[1::2], y[1::2]) < 0.5
    True
    """
    labels = np.asarray(classifier.classes_)
    check_known(y, labels, "y")
    if hasattr(classifier, "decision_function"):
        return Hinge().mean(_margins(classifier, X, y, labels))
    if hasattr(classifier, "predict_proba"):
        return float(log_loss(y, classifier.predict_proba(X), labels=labels))
    raise ValueError(
        f"{classifier!r} has neither decision_function nor predict_proba, so its "
        "loss cannot be computed."
    )


def _margins(classifier, X, y, labels):
    decisions = check_array(classifier.decision_function(X), ensure_2d=False)
    if len(labels) <= 2:
        decisions = column_or_1d(decisions)
    elif decisions.shape[1:] != labels.shape:
        raise ValueError(
            f"The decisions of {classifier!r} must have a column for each of its "
            f"{len(labels)} classes; their shape is {decisions.shape}."
        )
    return decision_margins(decisions, find_labels(column_or_1d(y), labels))


def check_known(y: ArrayLike, labels: ArrayLike, name: str) -> None:
    """Raise unless all labels of y are among the training labels."""
    y, labels = np.asarray(y), np.asarray(labels)
    unknown = find_labels(y, labels) < 0
    if np.any(unknown):
        raise ValueError(
            f"{name} contains the labels {shown_labels(y[unknown])}, which are not "
            f"among the training labels {labels.tolist()}{kinds_hint(y, labels)}."
        )


def neg_loss_scorer(classifier: ClassifierMixin, X: RowsLike, y: ArrayLike) -> float:
    """Negative :func:`held_out_loss`, as a scorer for searches and cross-validation.

    Parameters
    ----------
    classifier : classifier
        The fitted classifier.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows that it has not seen.
    y : array-like of shape (n_samples,)
        Their labels.

    Returns
    -------
    score : float
        Negative mean loss; higher is better.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.model_selection import cross_val_score
    >>> from skpoison import FilteredClassifier
    >>> from skpoison.evaluation import neg_loss_scorer
    >>> X, y = make_blobs(200, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> scores = cross_val_score(FilteredClassifier(), X, y, scoring=neg_loss_scorer)
    >>> bool(scores.mean() > -0.2)
    True
    """
    return -held_out_loss(classifier, X, y)
