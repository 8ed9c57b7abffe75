"""Votes of models that were each fitted on a part of the training rows."""

from itertools import pairwise
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    _fit_context,
)
from sklearn.utils import Tags, _safe_indexing, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import (
    _num_samples,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from skpoison._column_types import RowsLike, is_frame, is_pandas
from skpoison._containers import stack
from skpoison._labels import check_labels, encode_labels
from skpoison._stored import restored, stored
from skpoison._versions import VersionedMixin
from skpoison._warn import warn
from skpoison.pointwise._certificate import VotesCertificateMixin
from skpoison.pointwise._hashing import (
    parts_by_content,
    parts_by_rank,
    row_digests,
    shifts,
)
from skpoison.pointwise._parts import (
    deterministic,
    fit_part,
    frozen_parts,
    leads,
    pairwise_wins,
    votes,
)
from skpoison.pointwise._votes import (
    count_votes,
    run_off,
    run_off_radius,
    spread_radius,
    spread_run_off_radius,
    vote_radius,
)

CELLS = 32_000_000  # models' scores of rows at a time


class PartitionedClassifier(
    VotesCertificateMixin,
    ClassifierMixin,
    MetaEstimatorMixin,
    VersionedMixin,
    BaseEstimator,
):
    """Predict by majority vote of classifiers fitted on disjoint parts of the rows.

    Inserting, deleting or relabeling a training row affects only the part that the row
    belongs to. So the larger the margin of the vote, the more rows an attacker must
    poison to change the prediction. :func:`certified_radius` computes how many, for
    each prediction.

    Parameters
    ----------
    estimator : classifier
        Fitted on each part. Of a pipeline, all steps are fitted on the part, such as a
        scaler or vectorizer. If its `random_state` is None, it is set to 0.
    n_partitions : int, default=50
        Number of parts. More parts give larger radii and lower accuracy, because each
        classifier is fitted on fewer rows.
    spread : int, default=1
        Number of classifiers that each row is used by (finite aggregation). There are
        then ``n_partitions * spread`` classifiers, each fitted on as many rows as
        without it.
    aggregation : {"vote", "run_off"}, default="vote"
        How predictions of the classifiers are combined. "vote" predicts the class with
        the most votes. "run_off" predicts the one of the two classes with the most
        votes that more classifiers give the higher score; it can increase radii with
        more than two classes. Ties go to the smaller label.
    hash : {"content", "rank"}, default="content"
        How rows are assigned to parts. "content" uses a hash of the row (without its
        label). "rank" uses the rank among the sorted rows, which gives parts of equal
        size; it protects only against attackers who do nothing but relabel rows.
    n_jobs : int, default=None
        Number of parts that are fitted in parallel.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    estimators_ : list of classifier or None
        The fitted classifiers. None is a part that abstains, because it has no rows or
        the estimator could not be fitted on them.
    part_sizes_ : ndarray of shape (n_estimators,)
        Number of rows that each classifier was fitted on.
    frozen_ : list of str
        Parameters of the estimator that hold a ``FrozenEstimator``. These are the same
        in all parts; certificates assume that the attacker could not influence them.
    n_features_in_ : int
        Number of features seen during fit. Not set for texts.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    See Also
    --------
    certified_radius : How many rows an attacker needs to change a prediction.
    FilteredClassifier : Reject suspicious rows before fitting.

    Notes
    -----
    Parts are determined by the SHA-256 hash of a row's content, independent of the
    order, index and number of rows, and each part is sorted before fitting. Equal rows
    are in the same part. A part with a single class always predicts that class.

    The certificates assume that the attacker cannot change the parameters, the set of
    labels, the number and types of the columns, and what ``frozen_`` lists. Rows with
    NaN or infinity raise an error unless the estimator supports them.

    The training rows are stored, so that :meth:`partial_fit` can refit parts.

    References
    ----------
    .. [1] A. Levine and S. Feizi, "Deep Partition Aggregation: Provable Defenses
       against General Poisoning Attacks", ICLR 2021.
    .. [2] W. Wang, A. Levine and S. Feizi, "Improved Certified Defenses against Data
       Poisoning with (Deterministic) Finite Aggregation", ICML 2022.
    .. [3] K. Rezaei, K. Banihashem, A. Chegini and S. Feizi, "Run-Off Election:
       Improved Provable Defense against Data Poisoning Attacks", ICML 2023.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skpoison import PartitionedClassifier, certified_radius
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = PartitionedClassifier(GaussianNB(), n_partitions=25)
    >>> model = model.fit(X[:400], y[:400])
    >>> round(model.score(X[400:], y[400:]), 2)
    0.96
    >>> certified_radius(model, X[400:406], attack="insert_delete")
    array([11, 12, 11, 11, 11, 11])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "n_partitions": [Interval(Integral, 1, None, closed="left")],
        "spread": [Interval(Integral, 1, None, closed="left")],
        "aggregation": [StrOptions({"vote", "run_off"})],
        "hash": [StrOptions({"content", "rank"})],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator: BaseEstimator,
        n_partitions: int = 50,
        *,
        spread: int = 1,
        aggregation: Literal["vote", "run_off"] = "vote",
        hash: Literal["content", "rank"] = "content",
        n_jobs: int | None = None,
    ):
        self.estimator = estimator
        self.n_partitions = n_partitions
        self.spread = spread
        self.aggregation = aggregation
        self.hash = hash
        self.n_jobs = n_jobs

    def __getstate__(self) -> dict:
        state = super().__getstate__()
        if "_X" in state:
            state["_X"] = stored(state["_X"])
        return state

    def __setstate__(self, state: dict) -> None:
        if "_X" in state:
            state = {**state, "_X": restored(state["_X"])}
        super().__setstate__(state)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        tags.input_tags.pairwise = False
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: RowsLike, y: ArrayLike) -> Self:
        """Fit a classifier on each part.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or texts
            Training rows; tables and texts if the estimator supports them.
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        self : PartitionedClassifier
            This estimator, fitted.

        Raises
        ------
        ValueError
            If parameters are inconsistent, X or y is invalid, or the estimator cannot
            be fitted on any part.
        TypeError
            If X contains values that cannot be hashed.

        Warns
        -----
        UserWarning
            If the estimator cannot be fitted on some parts, which then abstain.
        """
        X, y = self._new_rows(X, y, reset=True)
        return self._fit(X, y, None)

    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self, X: RowsLike, y: ArrayLike, classes: ArrayLike | None = None
    ) -> Self:
        """Add rows, and refit the parts that they belong to.

        The result is the same as that of :meth:`fit` on all rows at once, except that
        `classes` may contain labels that do not occur.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or texts
            New training rows.
        y : array-like of shape (n_samples,)
            Their labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that can occur, for the first call. None means the labels of the
            first call.

        Returns
        -------
        self : PartitionedClassifier
            This estimator, fitted.

        Raises
        ------
        ValueError
            If y contains labels that are not among the first call's, or X or y is
            invalid, as in :meth:`fit`.
        """
        if hasattr(self, "estimators_"):
            return self.update(X, y)
        X, y = self._new_rows(X, y, reset=True)
        return self._fit(X, y, classes)

    def update(self, X_new: RowsLike, y_new: ArrayLike) -> Self:
        """Add rows to a fitted classifier, and refit the parts that they belong to.

        Parameters
        ----------
        X_new : {array-like, sparse matrix} of shape (n_samples, n_features) or texts
            New training rows, in the same container as the first ones.
        y_new : array-like of shape (n_samples,)
            Their labels, among ``classes_``.

        Returns
        -------
        self : PartitionedClassifier
            This estimator, fitted to all rows.
        """
        check_is_fitted(self)
        X_new, y_new = self._new_rows(X_new, y_new, reset=False)
        digests = np.concatenate([self._digests, row_digests(X_new)])
        former = dict(zip(self._fingerprints, self.estimators_, strict=True))
        self._fit_parts(
            stack(self._X, X_new), np.concatenate([self._y, y_new]), digests, former
        )
        return self

    def _new_rows(self, X, y, reset):
        validate_data(self, X, y, reset=reset, skip_check_array=True)
        X = self._rows(X, reset=reset)
        y = check_labels(y)
        check_consistent_length(X, y)
        if not reset:
            encode_labels(y, self.classes_, whose="the classifier")
        return X, y

    def _rows(self, X, reset):
        """Validate numeric rows; leave tables and texts to the estimator."""
        allow_nan = get_tags(self.estimator).input_tags.allow_nan
        finite = True if not allow_nan else "allow-nan"
        if _holds_numbers(X):
            return validate_data(
                self,
                X,
                reset=reset,
                accept_sparse="csr",
                dtype=None,
                ensure_all_finite=finite,
            )
        validate_data(self, X, reset=reset, skip_check_array=True)
        if _num_samples(X) == 0 and reset:
            raise ValueError("X must have at least one row; it has 0 sample(s).")
        if is_frame(X):
            _check_finite_columns(X, allow_nan)
        return X

    def _fit(self, X, y, classes):
        self._check_together()
        distinct = np.unique(y if classes is None else check_labels(classes))
        encode_labels(y, distinct, whose="the classifier")
        self.classes_ = distinct
        self.frozen_ = frozen_parts(self.estimator)
        return self._fit_parts(X, y, row_digests(X), {})

    def _check_together(self):
        if get_tags(self.estimator).input_tags.pairwise:
            raise ValueError(
                "estimator must take rows of features; got one that takes a "
                f"precomputed matrix of pairs of rows: {self.estimator!r}."
            )

    def _fit_parts(self, X, y, digests, former):
        """Fit the models whose rows have changed; keep the others."""
        members = self._members(y, digests)
        keys = [_fingerprint(digests[rows], y[rows]) for rows in members]
        estimator = deterministic(self.estimator)
        new = [i for i, key in enumerate(keys) if key not in former and len(members[i])]
        fitted = Parallel(n_jobs=self.n_jobs)(
            delayed(fit_part)(
                estimator, _safe_indexing(X, members[i]), _safe_indexing(y, members[i])
            )
            for i in new
        )
        models = [former.get(key) for key in keys]
        for i, (model, _) in zip(new, fitted, strict=True):
            models[i] = model
        _report_failures([error for model, error in fitted if model is None], models)
        self.estimators_ = models
        self.part_sizes_ = np.array([len(rows) for rows in members])
        self._X, self._y, self._digests, self._fingerprints = X, y, digests, keys
        return self

    def _members(self, y, digests):
        """Return the rows of each model, in an order that depends only on them."""
        n_models = self.n_partitions * self.spread
        of_rows = parts_by_content if self.hash == "content" else parts_by_rank
        splits = of_rows(digests, n_models)
        codes = np.searchsorted(self.classes_, y)
        order = np.lexsort((codes, *digests.T[::-1]))
        order = order[np.argsort(splits[order], kind="stable")]
        ends = np.searchsorted(splits[order], np.arange(n_models + 1))
        of_splits = [order[a:b] for a, b in pairwise(ends)]
        if self.spread == 1:
            return of_splits
        moved = shifts(n_models, self.spread)
        return [
            np.concatenate([of_splits[i] for i in np.sort((model + moved) % n_models)])
            for model in range(n_models)
        ]

    def predict(self, X: RowsLike) -> np.ndarray:
        """Predict the class that the classifiers vote for.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or texts
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels.
        """
        X, found = self._votes(X)
        counts = count_votes(found, len(self.classes_))
        if self.aggregation == "run_off":
            return self.classes_[run_off(counts, self._wins(X))[0]]
        return self.classes_[counts.argmax(axis=1)]

    def predict_proba(self, X: RowsLike) -> np.ndarray:
        """Return the share of the votes for each class.

        With ``aggregation="run_off"`` these are the votes of the first round, whose
        winner can differ from the predicted class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or texts
            Rows.

        Returns
        -------
        shares : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``. Parts that abstain do not count.
        """
        _, found = self._votes(X)
        counts = count_votes(found, len(self.classes_))
        return counts / counts.sum(axis=1, keepdims=True)

    def _votes(self, X):
        check_is_fitted(self)
        X = self._rows(X, reset=False)
        return X, votes(self.estimators_, self.classes_, X, _num_samples(X))

    def _wins(self, X):
        return pairwise_wins(self.estimators_, self.classes_, X, _num_samples(X))

    def _certified_radius(self, X: RowsLike, attack: str) -> np.ndarray:
        if self.hash == "rank" and attack != "flip":
            raise ValueError(
                "hash='rank' certifies attack='flip' only: an inserted or deleted row "
                f"changes the parts of all others. Got attack={attack!r}; fit with "
                "hash='content'."
            )
        X, found = self._votes(X)
        radius = self._touched_parts(X, found)
        # A changed row leaves one part and enters another.
        return radius // 2 if attack == "change" else radius

    def _touched_parts(self, X, found):
        n_classes = len(self.classes_)
        counts = count_votes(found, n_classes)
        if self.spread == 1:
            if self.aggregation == "vote":
                return vote_radius(counts)
            return run_off_radius(counts, self._wins(X))
        n_models = len(self.estimators_)
        moved = shifts(n_models, self.spread)
        models_of = (np.arange(n_models)[:, None] - moved) % n_models
        if self.aggregation == "vote":
            return spread_radius(found, n_classes, models_of)
        return self._spread_run_off(X, found, counts, models_of)

    def _spread_run_off(self, X, found, counts, models_of):
        finalists = run_off(counts, self._wins(X))
        size = max(CELLS // (models_of.size * len(self.classes_)), 1)
        radii = [np.zeros(0, dtype=np.intp)]
        for start in range(0, len(found), size):
            rows = slice(start, start + size)
            winner, second = finalists[0][rows], finalists[1][rows]
            some = _safe_indexing(X, np.arange(start, start + len(winner)))
            above = leads(self.estimators_, self.classes_, some, winner)
            radii.append(
                spread_run_off_radius(found[rows], (winner, second), above, models_of)
            )
        return np.concatenate(radii)


def _holds_numbers(X: Any) -> bool:
    """Whether X is an array of numbers, neither a table nor texts."""
    if sparse.issparse(X):
        return True
    if is_frame(X) or is_pandas(X) or isinstance(X, str):
        return False
    if isinstance(X, list | tuple) and (not X or isinstance(X[0], str | bytes | dict)):
        return False
    return np.asarray(X).dtype.kind in "biufc"


def _check_finite_columns(X, allow_nan):
    """Raise an error for infinity and, unless allowed, NaN in columns of numbers."""
    for name in X.columns:
        values = np.asarray(X[name])
        if values.dtype.kind != "f":
            continue
        wrong = np.isinf(values) if allow_nan else ~np.isfinite(values)
        if wrong.any():
            raise ValueError(
                f"Input X contains NaN or infinity: column {name!r}, row "
                f"{int(wrong.argmax())}. The estimator takes finite numbers."
            )


def _fingerprint(digests, y):
    """Return what identifies the rows of a part and their order."""
    return digests.tobytes(), repr(y.tolist())


def _report_failures(errors, models):
    if not errors:
        return
    if all(model is None for model in models):
        raise ValueError(f"The estimator cannot be fitted on any part: {errors[0]}")
    warn(
        f"{len(errors)} of {len(models)} parts abstain because the estimator cannot be "
        f"fitted on them; first error: {errors[0]} With fewer partitions, each has "
        "more rows.",
        UserWarning,
    )
