"""Networks that are retrained without the rows that a defense dropped."""

import copy

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils.validation import check_is_fitted
from skorch.utils import is_dataset, multi_indexing, to_numpy
from torch.utils.data import Subset

from skpoison.neural._callback import EPICCallback
from skpoison.neural._nets import FilteredNetClassifier

__all__ = ["RelearningClassifier"]


class RelearningClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Let EPIC find the rows to drop, then train without them from scratch.

    When EPIC drops poison in the middle of training, the network has already learned
    it, and may never forget it: once it fits the rows that are left, their gradients
    vanish. EPIC also drops many more clean rows than poison, which costs accuracy,
    particularly when training starts again. So this trains three times, each time from
    the start:

    1. the net as it is, with its :class:`EPICCallback`, up to the last round;
    2. a judge, without the callback, on the rows that are left. Dropped rows that it
       classifies correctly are readmitted, as they teach nothing that it has not
       learned from others. Poison with correct labels has features of another class,
       so a network that has not seen it misclassifies it;
    3. the net that predicts, on all rows that were kept or readmitted.

    This is not EPIC as published. The second step is the "exclusionary
    reclassification" of [2]_, turned to readmission.

    Parameters
    ----------
    net : FilteredNetClassifier
        Has an :class:`EPICCallback` in its callbacks. It is cloned; if its module is an
        instance, such as a pretrained one, each training starts from its parameters. If
        the callback has ``stop_after``, the first training ends with the last round.
    readmit : bool, default=True
        Whether dropped rows are readmitted. Without it there are two trainings.

    Attributes
    ----------
    filtering_net_ : FilteredNetClassifier
        The net of the first training.
    judge_ : FilteredNetClassifier or None
        The net of the second training.
    net_ : FilteredNetClassifier
        The net of the third training, which predicts.
    kept_indices_ : ndarray of shape (n_kept,)
        Sorted indices of the rows given to :meth:`fit` that ``net_`` was fitted to.
    readmitted_indices_ : ndarray of shape (n_readmitted,)
        Those among them that had been dropped.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    Raises
    ------
    TypeError
        At fit, if ``net`` is not a :class:`FilteredNetClassifier`.
    ValueError
        At fit, if it has no :class:`EPICCallback`.

    See Also
    --------
    EPICCallback : EPIC as published, within one training.

    References
    ----------
    .. [1] Y. Yang, T. Y. Liu and B. Mirzasoleiman, "Not All Poisons are Created Equal:
       Robust Training against Data Poisoning", ICML 2022, algorithm 1.
    .. [2] B. Chen et al., "Detecting Backdoor Attacks on Deep Neural Networks by
       Activation Clustering", SafeAI at AAAI 2019, section 4.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from skpoison.neural import (
    ...     EPICCallback, FilteredNetClassifier, RelearningClassifier
    ... )
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X / 16).astype("float32")
    >>> seed = torch.manual_seed(0)
    >>> net = FilteredNetClassifier(
    ...     torch.nn.Linear(64, 10),
    ...     lr=0.5,
    ...     max_epochs=15,
    ...     callbacks=[EPICCallback(0.3, warmup=5, stop_after=7)],
    ...     train_split=None,
    ...     verbose=0,
    ... )
    >>> model = RelearningClassifier(net).fit(X, y)
    >>> n_dropped = len(X) - len(model.filtering_net_.kept_indices_)
    >>> n_dropped > len(model.readmitted_indices_) > 0.5 * n_dropped
    True
    """

    def __init__(self, net, *, readmit=True):
        self.net = net
        self.readmit = readmit

    def fit(self, X, y=None, **fit_params):
        """Train up to three times.

        Parameters
        ----------
        X : {array-like, Tensor, Dataset}
            Rows, some of which may be poison, as skorch takes them.
        y : array-like of shape (n_rows,), default=None
            Their labels; None for a Dataset that has them.
        **fit_params : dict
            Passed to ``net.fit``, each time.

        Returns
        -------
        self : object
            The classifier.
        """
        self._check()
        first = clone(self.net)
        self.filtering_net_ = first.set_params(max_epochs=self._first_epochs())
        self.filtering_net_.fit(X, y, **fit_params)
        dropped_at = self.filtering_net_.dropped_at_
        kept, dropped = np.flatnonzero(dropped_at == 0), np.flatnonzero(dropped_at)
        self.judge_, self.readmitted_indices_ = None, dropped[:0]
        if self.readmit and len(dropped):
            self.judge_ = self._trained(X, y, kept, fit_params)
            right = self.judge_.predict(_rows(X, dropped)) == _labels(X, y, dropped)
            self.readmitted_indices_ = dropped[right]
        self.kept_indices_ = np.union1d(kept, self.readmitted_indices_)
        self.net_ = self._trained(X, y, self.kept_indices_, fit_params)
        self.classes_ = self.net_.classes_
        return self

    def _check(self):
        if not isinstance(self.net, FilteredNetClassifier):
            raise TypeError(
                f"net must be a FilteredNetClassifier; got {type(self.net).__name__}."
            )
        if not self._epic():
            raise ValueError("net must have an EPICCallback in its callbacks.")

    def _epic(self):
        return [c for c in map(_callback, self.net.callbacks or []) if _is_epic(c)]

    def _first_epochs(self):
        """Epochs until the last round; what is learned after it is not used."""
        ends = [getattr(epic, "stop_after", None) for epic in self._epic()]
        if None in ends:
            return self.net.max_epochs
        return min(self.net.max_epochs, max(ends) + 1)

    def _trained(self, X, y, rows, fit_params):
        callbacks = [c for c in self.net.callbacks if not _is_epic(_callback(c))]
        net = clone(self.net).set_params(callbacks=copy.deepcopy(callbacks))
        labels = None if y is None else multi_indexing(y, rows)
        return net.fit(_rows(X, rows), labels, **fit_params)

    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : {array-like, Tensor, Dataset}
            Rows.

        Returns
        -------
        y : ndarray of shape (n_rows,)
            Labels.
        """
        check_is_fitted(self)
        return self.net_.predict(X)

    def predict_proba(self, X):
        """Predict probabilities.

        Parameters
        ----------
        X : {array-like, Tensor, Dataset}
            Rows.

        Returns
        -------
        probabilities : ndarray of shape (n_rows, n_classes)
            One column for each class.
        """
        check_is_fitted(self)
        return self.net_.predict_proba(X)


def _callback(entry):
    """Return a callback without its name."""
    return entry[1] if isinstance(entry, tuple) else entry


def _is_epic(callback):
    kind = callback if isinstance(callback, type) else type(callback)
    return issubclass(kind, EPICCallback)


def _rows(X, rows):
    return Subset(X, rows.tolist()) if is_dataset(X) else multi_indexing(X, rows)


def _labels(X, y, rows):
    if y is None:
        return np.array([int(X[row][1]) for row in rows])
    return np.asarray(to_numpy(multi_indexing(y, rows)))
