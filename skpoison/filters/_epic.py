"""Rows with isolated gradients are dropped while a classifier is trained."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.ensemble._base import _set_random_states
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.extmath import softmax
from sklearn.utils.validation import _check_method_params

from skpoison._inner import InnerEstimatorMixin, check_classes_weigh
from skpoison._warn import warn
from skpoison._whole_rows import round_down
from skpoison.base import BaseFilter
from skpoison.coreset import (
    facility_location,
    gradient_facility_location,
    isolated_medoids,
)
from skpoison.coreset._parts import PARTITIONS
from skpoison.exceptions import FilterWarning

__all__ = ["EPICFilter"]

# Parameters of ensembles of trees, whose fits make no steps, warm_start or not.
TREES = {"n_estimators", "max_leaf_nodes"}
# The weights of linear estimators; those of naive Bayes for counts are linear, too.
WEIGHTS = ("coef_", "feature_log_prob_")


class EPICFilter(InnerEstimatorMixin, BaseFilter):
    """Drop rows whose gradients are unlike those of all other rows of their class.

    EPIC (effective poison identification, [1]_) is a defense against clean-label
    *targeted poisoning*: to be effective, such poison must have gradients unlike those
    of the rows around it. A classifier is trained for a few epochs; every row then has
    a gradient proxy, the predicted probabilities minus the one-hot label. In each
    class, greedy facility location selects medoids among the proxies, and every row is
    assigned to its nearest medoid. A medoid without other rows is isolated and is
    dropped. Training continues on the remaining rows, and so on.

    It is not a filter for label noise: many rows with flipped labels have similar
    gradients, so they are not isolated. With 20 % of the labels of 2,500 images
    flipped, 37 % of the rows that it dropped were flipped ones. Clean rows are dropped
    too, and more of them than poison: on trained networks, about 16 % of a class in one
    round with ``medoid_fraction=0.2``.

    Parameters
    ----------
    estimator : estimator, default=None
        The classifier to train incrementally. It must have ``partial_fit``, each call
        of which is an epoch, or a parameter ``warm_start``, which is set to True so
        that each call of ``fit`` is an epoch. It must also have ``predict_proba`` or
        ``decision_function``, to whose values a softmax is applied. By default,
        ``SGDClassifier(loss="log_loss")``, which requires scaled features.
    medoid_fraction : float, default=0.1
        Number of medoids of each class, as a fraction of its remaining rows. With more
        medoids, more of them are isolated, and more rows are dropped.
    n_rounds : int, default=3
        Number of rounds of dropping rows.
    every : int, default=2
        Number of epochs on the remaining rows between two rounds.
    warmup : int, default=5
        Number of epochs on all rows before the first round.
    gradient : {"logits", "parameters"}, default="logits"
        The gradient used for each row: with respect to the logits (probabilities minus
        one-hot label), as in the paper; or with respect to the weights and intercepts
        of a linear classifier (the outer product of the former with the row). The
        latter stores four bytes for each pair of rows of a class or part.
    similarity : {"exp", "linear"}, default="exp"
        Similarity as a function of the distance of gradients; see
        :func:`~skpoison.coreset.facility_location`. In ``"exp"``, distances are divided
        by the number of classes for both kinds of gradient. The two differ most in
        binary problems.
    order : {"canonical", "lazy"}, default="canonical"
        Which of several equal candidates is selected as a medoid; see
        :func:`~skpoison.coreset.facility_location`.
    max_drop_fraction : float, default=0.5
        Maximum fraction of the rows of a class to drop; at least one row is kept. If
        more rows are isolated, those selected as medoids first are dropped, and the
        others are kept, with a warning.
    backend : {"auto", "numpy", "numba"}, default="auto"
        Backend that selects the medoids, with identical results; see
        :func:`~skpoison.coreset.facility_location`. Parameter gradients always use
        numpy.
    partitions : int, "auto" or None, default="auto"
        Into how many parts each class is divided, so that time and memory do not grow
        with the square of its rows; "auto" divides classes of more than 16,384 rows.
        None selects exactly; see :func:`~skpoison.coreset.facility_location`.
    random_state : int, RandomState instance or None, default=None
        Seeds the estimator, if it has a random_state, and controls the order in which
        :meth:`fit_transform` reuses kept rows. With None, a given estimator keeps its
        own seed.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    estimator_ : estimator or None
        The estimator of the last round, before the last rows were dropped. For
        prediction, train a classifier on the kept rows instead. None with fewer than
        two classes.
    dropped_at_ : ndarray of shape (n_samples,)
        The round, from 1, in which each row was dropped; 0 for rows that are kept.
    history_ : list of :class:`~sklearn.utils.Bunch`
        One entry for each round, with arrays of shape (n_classes,): ``n_rows``, the
        number of rows at its start; ``n_medoids``; ``n_isolated``, the number of
        isolated medoids; ``n_dropped``, the number of these that were dropped.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows; higher is more normal. For kept rows,
        ``1 - 1 / size`` of their cluster in the last round. For dropped rows, negative
        numbers that are lower for earlier rounds and, within a round, for medoids
        selected earlier.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class.
    contamination_ : ndarray of shape (n_classes,)
        The share of the training rows of each class that is rejected, float64.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    Raises
    ------
    TypeError
        At fit, if the estimator cannot be trained epoch by epoch, or has neither
        ``predict_proba`` nor ``decision_function``.

    Warns
    -----
    FilterWarning
        At fit, if there are fewer than two classes: every row is kept. If
        ``max_drop_fraction`` keeps rows that are isolated.

    See Also
    --------
    skpoison.coreset.facility_location : Selects the medoids.
    skpoison.FilteredClassifier : Fits a classifier on the kept rows.

    Notes
    -----
    Scores exist for the training rows only, as in
    :class:`~sklearn.neighbors.LocalOutlierFactor`: use :meth:`fit_predict`,
    ``scores_`` and ``inlier_mask_``. Sparse rows are not densified. The same rows are
    dropped from sparse and dense data if the estimator learns the same from both. The
    default estimator does not, because :class:`~sklearn.linear_model.SGDClassifier`
    uses smaller intercept updates on sparse rows;
    ``SGDClassifier(loss="log_loss", fit_intercept=False)`` does. The result also
    depends on the order of the rows, through the estimator's steps and the choice
    between equal medoids (``order``). Convergence warnings of an estimator with
    ``warm_start`` are suppressed, because it is not trained to convergence.

    References
    ----------
    .. [1] Y. Yang, T. Y. Liu and B. Mirzasoleiman, "Not All Poisons are Created Equal:
       Robust Training against Data Poisoning", ICML 2022, algorithm 1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skpoison import EPICFilter
    >>> X, y = load_digits(return_X_y=True)
    >>> epic = EPICFilter(medoid_fraction=0.2, n_rounds=2, random_state=0)
    >>> epic = epic.fit(X / 16, y)
    >>> len(epic.history_)
    2
    >>> bool((epic.inlier_mask_ == (epic.dropped_at_ == 0)).all())
    True

    In front of a classifier:

    >>> from sklearn.linear_model import LogisticRegression
    >>> from skpoison import FilteredClassifier
    >>> model = FilteredClassifier(epic, LogisticRegression()).fit(X / 16, y)
    >>> bool(model.score(X / 16, y) > 0.95)
    True
    """

    _transductive = True

    _parameter_constraints: dict = {
        **BaseFilter._parameter_constraints,
        "estimator": [object, None],
        "medoid_fraction": [Interval(Real, 0, 1, closed="right")],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "every": [Interval(Integral, 0, None, closed="left")],
        "warmup": [Interval(Integral, 1, None, closed="left")],
        "gradient": [StrOptions({"logits", "parameters"})],
        "similarity": [StrOptions({"exp", "linear"})],
        "order": [StrOptions({"canonical", "lazy"})],
        "max_drop_fraction": [Interval(Real, 0, 1, closed="both")],
        "backend": [StrOptions({"auto", "numpy", "numba"})],
        "partitions": PARTITIONS,
    }

    def __init__(
        self,
        estimator: object | None = None,
        medoid_fraction: float = 0.1,
        *,
        n_rounds: int = 3,
        every: int = 2,
        warmup: int = 5,
        gradient: str = "logits",
        similarity: str = "exp",
        order: str = "canonical",
        max_drop_fraction: float = 0.5,
        backend: str = "auto",
        partitions: int | str | None = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(random_state=random_state)
        self.estimator = estimator
        self.medoid_fraction = medoid_fraction
        self.n_rounds = n_rounds
        self.every = every
        self.warmup = warmup
        self.gradient = gradient
        self.similarity = similarity
        self.order = order
        self.max_drop_fraction = max_drop_fraction
        self.backend = backend
        self.partitions = partitions

    def _trained_by(self):
        by_passes = self.estimator is None or hasattr(self.estimator, "partial_fit")
        return "partial_fit" if by_passes else "fit"

    def _fit(self, X, codes, **params):
        self.history_ = []
        self.dropped_at_ = np.zeros(len(codes), dtype=np.intp)
        if len(self.classes_) < 2:
            self._warn("needs labels of at least two classes; it keeps every row.")
            self.estimator_ = None
            return np.zeros(len(codes)), np.zeros(len(codes))
        self.estimator_ = self._new_estimator()
        allowed = _allowed_drops(codes, self.max_drop_fraction)
        scores = np.empty(len(codes))
        for round_ in range(1, self.n_rounds + 1):
            rows = np.flatnonzero(self.dropped_at_ == 0)
            self._train(
                X[rows],
                codes[rows],
                self.warmup if round_ == 1 else self.every,
                _check_method_params(X, params, indices=rows),
            )
            medoids = self._medoids(X[rows], codes[rows])
            drop, n_isolated = _isolated(medoids, codes[rows], allowed)
            self.dropped_at_[rows[drop]] = round_
            scores[rows] = _scores(medoids, drop, self.n_rounds - round_)
            self._record(codes[rows], medoids, n_isolated, codes[rows[drop]])
            allowed -= self.history_[-1].n_dropped
        self._warn_of_spared()
        return scores, scores

    def _warn(self, message):
        warn(f"{type(self).__name__} {message}", FilterWarning)

    def _new_estimator(self):
        estimator = self.estimator
        if estimator is None:
            estimator = SGDClassifier(loss="log_loss")
        estimator = clone(estimator)
        if self.random_state is not None:
            _set_random_states(estimator, check_random_state(self.random_state))
        if hasattr(estimator, "partial_fit"):
            return estimator
        params = estimator.get_params()
        if "warm_start" not in params or not TREES.isdisjoint(params):
            raise TypeError(
                "estimator must support training by epochs, with partial_fit or a "
                f"parameter warm_start; {type(estimator).__name__} does not."
            )
        return estimator.set_params(warm_start=True)

    def _train(self, X, codes, n_passes, params):
        if "sample_weight" in params:
            check_classes_weigh(params["sample_weight"], codes, self.classes_)
        y = self.classes_[codes]
        for _ in range(n_passes):
            if hasattr(self.estimator_, "partial_fit"):
                self.estimator_.partial_fit(X, y, classes=self.classes_, **params)
            else:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    self.estimator_.fit(X, y, **params)
        weights = [name for name in WEIGHTS if hasattr(self.estimator_, name)]
        if self.gradient == "parameters" and not weights:
            raise TypeError(
                "gradient='parameters' requires a linear estimator with "
                f"{' or '.join(WEIGHTS)}; got {type(self.estimator_).__name__}. Use "
                "gradient='logits' for other estimators."
            )

    def _medoids(self, X, codes):
        residuals = _residuals(self.estimator_, X, codes)
        options = {
            "labels": codes,
            "similarity": self.similarity,
            "order": self.order,
            "partitions": self.partitions,
        }
        fraction = float(self.medoid_fraction)
        if self.gradient == "parameters":
            return gradient_facility_location(residuals, X, fraction, **options)
        residuals = residuals.astype(np.float32)
        return facility_location(residuals, fraction, **options, backend=self.backend)

    def _record(self, codes, medoids, n_isolated, dropped_codes):
        n_classes = len(self.classes_)
        self.history_.append(
            Bunch(
                n_rows=np.bincount(codes, minlength=n_classes),
                n_medoids=np.diff(medoids.offsets),
                n_isolated=n_isolated,
                n_dropped=np.bincount(dropped_codes, minlength=n_classes),
            )
        )

    def _warn_of_spared(self):
        spared = sum(entry.n_isolated - entry.n_dropped for entry in self.history_)
        if np.any(spared):
            self._warn(
                f"kept {spared.sum()} isolated rows, of the classes "
                f"{self.classes_[spared > 0].tolist()}: no class may lose more than "
                f"max_drop_fraction={self.max_drop_fraction} of its rows, or all."
            )


def _residuals(estimator, X, codes):
    """Predicted probabilities minus one-hot labels, float64."""
    if hasattr(estimator, "predict_proba"):
        residuals = np.array(estimator.predict_proba(X), dtype=np.float64)
    elif hasattr(estimator, "decision_function"):
        logits = np.array(estimator.decision_function(X), dtype=np.float64)
        if logits.ndim == 1:
            logits = np.column_stack([np.zeros_like(logits), logits])
        residuals = softmax(logits, copy=False)
    else:
        raise TypeError(
            "estimator must have predict_proba or decision_function; "
            f"{type(estimator).__name__} has neither."
        )
    residuals[np.arange(len(codes)), codes] -= 1
    return residuals


def _allowed_drops(codes, max_drop_fraction):
    """How many rows each class may lose."""
    counts = np.bincount(codes)
    allowed = round_down(max_drop_fraction * counts)
    return np.minimum(allowed, counts - 1)


def _isolated(medoids, codes, allowed):
    """Isolated rows that may be dropped, and how many are isolated in each class.

    Of a class with too many, those that were picked first are taken: they gained most,
    being farthest from the medoids before them.
    """
    alone = isolated_medoids(medoids)
    n_isolated = np.bincount(codes[alone], minlength=len(allowed))
    starts = np.concatenate([[0], np.cumsum(n_isolated)[:-1]])
    place = np.arange(len(alone)) - starts[codes[alone]]
    return alone[place < allowed[codes[alone]]], n_isolated


def _scores(medoids, drop, rounds_left):
    sizes = medoids.cluster_sizes[medoids.assignment]
    scores = 1 - 1 / sizes
    position = medoids.assignment[drop]
    code = np.searchsorted(medoids.offsets, position, side="right") - 1
    place = position - medoids.offsets[code]
    n_medoids = np.diff(medoids.offsets)[code]
    scores[drop] = -rounds_left - (1 - place / n_medoids)
    return scores
