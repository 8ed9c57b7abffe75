"""Base class of all filters."""

from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    OneToOneFeatureMixin,
    OutlierMixin,
    TransformerMixin,
)
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_method_params,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    indexable,
    validate_data,
)

from skpoison._blocks import check_in_passes, engine, is_lazy
from skpoison._column_types import (
    RowsLike,
    check_holds_rows,
    is_frame,
    is_pandas,
    numbers_needed,
)
from skpoison._delegated import check_fit_params, of_each_row, takes
from skpoison._kept import judge_rows, spread, stand_ins
from skpoison._labels import (
    check_labels,
    distinct_labels,
    encode_labels,
    find_labels,
    label_kinds,
    of_one_kind,
    shown_labels,
)
from skpoison._versions import VersionedMixin
from skpoison._warn import warn
from skpoison.exceptions import FilterWarning

if TYPE_CHECKING:
    from skpoison.filters import FilterIntersection, FilterUnion

__all__ = ["BaseFilter"]


def _scores_new_rows(filter_):
    if filter_._transductive:
        raise AttributeError(
            f"{type(filter_).__name__} cannot score new rows. Use fit_predict, or "
            "scores_ and inlier_mask_ after fit."
        )
    return True


def _of_known_rows(method, X, codes, **params):
    """Apply a method to the rows with known labels, and reject the others."""
    if codes.min(initial=0) >= 0:
        return method(X, codes, **params)
    rows = np.flatnonzero(codes >= 0)
    if not len(rows):
        return np.full(len(codes), -np.inf)
    params = _check_method_params(X, params, indices=rows)
    return spread(method(X[rows], codes[rows], **params), rows, len(codes))


class BaseFilter(
    OutlierMixin, OneToOneFeatureMixin, TransformerMixin, VersionedMixin, BaseEstimator
):
    """Base class of all filters.

    A subclass defines how outlying each row is among the rows of its class. This class
    handles the rest: labels, containers, replacing rows, and the methods of outlier
    detectors. A subclass defines

    - ``_fit(X, codes)``: learn from the training rows; return their ``(scores,
      decisions)``, float64 of shape (n_samples,), higher is more normal, and rows with
      a decision >= 0 are kept;
    - ``_score(X, codes)`` and ``_decide(X, codes)``: the same for new rows, unless the
      class sets ``_transductive = True``.

    ``X`` is passed as an ndarray or a canonical CSR array of float64 or float32;
    ``codes[i]`` is the index in ``classes_`` of the label of row ``i``. A subclass that
    detects NaN and infinity in its results may set ``_check_finite = False`` to save a
    pass over X.

    Rows with unknown labels are not passed to the subclass: they are rejected, with a
    :class:`~skpoison.exceptions.FilterWarning`, because the attacker chooses the labels
    of their rows and must not be able to stop the defense with an error. For new rows,
    the known labels are those that the filter was fitted on. A subclass whose
    parameters hold for certain labels only defines ``_knows(classes)``.

    A subclass that has a use for weights, groups or other parameters of ``fit`` shows
    them in the signature of a ``fit`` of its own, which hands those that are given to
    ``super().fit(X, y, sample_weight=sample_weight)``. They are checked, cut down to
    the rows of known labels, and arrive as ``_fit(X, codes, sample_weight=...)``,
    weights in float64 and groups in an array; what is not given does not arrive.
    scikit-learn's metadata routing follows the signature. A parameter that is not in it
    is an error.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        Controls the order in which :meth:`fit_transform` reuses kept rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    scores_ : ndarray of shape (n_samples,)
        :meth:`score_samples` of the training rows, float64.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class.
    contamination_ : ndarray of shape (n_classes,)
        The share of the training rows of each class that is rejected, float64.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    Examples
    --------
    >>> from skpoison.base import BaseFilter
    >>> class NonNegative(BaseFilter):
    ...     def _fit(self, X, codes):
    ...         decisions = self._decide(X, codes)
    ...         return decisions, decisions
    ...
    ...     def _decide(self, X, codes):
    ...         return X.min(axis=1)
    ...
    ...     _score = _decide
    >>> NonNegative().fit_predict([[1, 2], [3, -1], [0, 0]])
    array([ 1, -1,  1])
    """

    _parameter_constraints: dict = {"random_state": ["random_state"]}
    _transductive = False
    _check_finite = True
    _fits_in_passes = False
    _fits_on_sample = False  # of Dask collections, all of whose rows it then judges
    # Whether to warn of rows of unknown labels, as long as nobody has.
    _warns_of_unknown = True
    # What happens to rows of unknown labels; a parameter of some filters.
    handle_unknown = "reject"

    def __init__(self, *, random_state: int | np.random.RandomState | None = None):
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __and__(self, other: "BaseFilter") -> "FilterIntersection":
        """Intersect with another filter: a row must pass both."""
        if not isinstance(other, BaseFilter):
            return NotImplemented
        from skpoison.filters import FilterIntersection

        return FilterIntersection._of(self, other)

    def __or__(self, other: "BaseFilter") -> "FilterUnion":
        """Unite with another filter: a row must pass one of the two."""
        if not isinstance(other, BaseFilter):
            return NotImplemented
        from skpoison.filters import FilterUnion

        return FilterUnion._of(self, other)

    def fit(
        self, X: RowsLike, y: ArrayLike | None = None, **fit_params: object
    ) -> Self:
        """Fit the filter, and score the training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, some of which may be poison.
        y : array-like of shape (n_samples,), default=None
            Class labels. Without them there is one class.
        **fit_params : dict
            Filters that fit an estimator take what it takes, ``sample_weight`` above
            all. The others judge rows whatever they weigh, and take nothing here.

        Returns
        -------
        self : object
            The fitted filter.

        Raises
        ------
        ValueError
            If X or y is invalid or contains NaN or infinity, or if y does not contain
            class labels.
        TypeError
            If the filter does not take a parameter of `fit_params`.
        """
        self._validate_params()
        self.__dict__.pop("_passes", None)  # which are given up
        params = self._received(fit_params, X)
        if is_lazy(X):
            check_in_passes(self)
            self._refuse_params(list(params), "X is a Dask collection")
            return engine().fit(self, X, y)
        X = self._checked_rows(X, reset=True)
        self._judge(*self._fit_rows(X, y, **params))
        return self

    def _received(self, fit_params, X):
        """Check the parameters of ``fit``; return those that ``_fit`` gets."""
        given = {name: one for name, one in fit_params.items() if one is not None}
        unknown = [name for name in given if not takes(self, name)]
        self._refuse_params(unknown, "it judges each row once, whatever its weight")
        check_fit_params(given, X)
        return of_each_row(given, X)

    def _refuse_params(self, names, why):
        if names:
            raise TypeError(
                f"{type(self).__name__} takes no {', '.join(names)} when it is fitted: "
                f"{why}."
            )

    def _received_by_leaf(self, fit_params, X):
        """What each filter that is no combination gets of the parameters of ``fit``."""
        return {self: self._received(fit_params, X)}

    def _fit_rows(self, X, y, **params):
        """Fit on validated rows; return their codes, scores and decisions."""
        codes = self._fit_labels(X, y)
        return codes, *self._fit_known(X, codes, **params)

    def _fit_known(self, X, codes, **params):
        return _of_known_rows(self._fit, X, codes, **params)

    def _judge(self, codes, scores, decisions):
        self.scores_ = scores
        judged = judge_rows(decisions, codes, len(self.classes_))
        self.inlier_mask_, empty, self.contamination_ = judged
        self._warn_of_empty(empty)
        return decisions

    def _warn_of_empty(self, empty):
        if len(empty):
            warn(
                f"{type(self).__name__} rejects every row of the classes "
                f"{shown_labels(self.classes_[empty])}; it keeps the best-scoring row "
                "of each.",
                FilterWarning,
            )

    def _join(self, owner):
        """Take over what a combination, ``owner``, has validated already."""
        self._validate_params()
        for name in ("_labelled", "n_features_in_", "feature_names_in_"):
            if hasattr(owner, name):
                setattr(self, name, getattr(owner, name))
        self.classes_ = owner.classes_[self._knows(owner.classes_)]

    def _own_codes(self, owner, codes):
        """Translate codes of the owner; classes that are unknown here are -1."""
        own = find_labels(owner.classes_, self.classes_)
        if np.array_equal(own, np.arange(len(own))):
            return codes
        return np.where(codes >= 0, own[codes], -1)

    def _in_memory(self):
        """List the filters, this one or members, that need all rows at once."""
        return [self]

    def _leaves(self, codes):
        """Yield each filter that is no combination, with its codes."""
        yield self, codes

    def _with_members(self, codes):
        """Yield this filter and its members, with their codes."""
        yield self, codes

    def _finish_fit(self, found, codes):
        """Judge the training rows as a member, by what each leaf has found."""
        return self._judge(codes, *found[self])

    def _pick(self, found):
        """Decisions of a member, from those of each leaf."""
        return found[self]

    def _checked_rows(self, X, *, reset):
        """Rows as ``_fit`` gets them, or an error that says what to do."""
        if is_lazy(X):
            check_in_passes(self)
        check_holds_rows(X)
        with numbers_needed(self, X):
            return self._validate_rows(X, reset=reset)

    @property
    def _instead(self):
        """What to do, in errors, where rows are no numbers."""
        name = type(self).__name__
        return (
            "Use a pipeline that encodes X: "
            f"make_pipeline(ColumnTransformer(...), {name}(...)) for a table, "
            f"make_pipeline(TfidfVectorizer(), {name}(...)) for text. "
            "FilteredClassifier and DropOutliers accept such a pipeline as filter; "
            "AutoFilter and CrossFitFilter take tables and texts as they are."
        )

    def _validate_rows(self, X, *, reset):
        X = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            ensure_all_finite=self._check_finite,
        )
        if sparse.issparse(X) and not X.has_canonical_format:
            X = X.copy()  # it may be the caller's
            X.sum_duplicates()
        return X

    def _fit_labels(self, X, y):
        if y is None:
            self.classes_ = np.array([0])
            self._labelled = False
            return np.zeros(X.shape[0], dtype=np.intp)
        y = self._check_labels(y)
        check_consistent_length(X, y)
        self._set_classes(distinct_labels(y))
        codes = find_labels(y, self.classes_)
        self._reject_unknown(y, codes)
        return codes

    def _set_classes(self, classes):
        self.classes_ = classes[self._knows(classes)]
        if len(label_kinds(classes)) > 1:
            self.classes_ = np.unique(of_one_kind(self.classes_))
        self._labelled = True
        if not len(self.classes_):
            raise ValueError(
                f"None of the labels in y, {shown_labels(classes)}, is known to "
                f"{type(self).__name__}."
            )

    def _check_labels(self, y):
        """Return y as labels; those that the filter does not know may be anything."""
        y = column_or_1d(y, warn=True)
        if y.dtype.kind == "f" and not self._knows(np.unique(y)).all():
            return y
        return check_labels(y, several_kinds=True)

    def _knows(self, classes):
        """Return which labels are known when the filter is fitted: all of them."""
        return np.ones(len(classes), dtype=bool)

    @property
    def _is_strict(self):
        return self.handle_unknown == "error"

    def _reject_unknown(self, y, codes, counts=1):
        """Warn of rows with unknown labels, or raise if `handle_unknown` is "error".

        Where all labels are of another kind (text instead of numbers), the caller has
        made a mistake: no row that an attacker adds makes a whole column of them.
        """
        if codes.min(initial=0) >= 0:
            return
        unknown = codes < 0
        kinds = label_kinds(y), label_kinds(self.classes_)
        if self._is_strict or kinds[0].isdisjoint(kinds[1]):
            encode_labels(y, self.classes_)
        if not self._warns_of_unknown:
            return
        counts = np.broadcast_to(counts, len(y))
        warn(
            f"{type(self).__name__} rejects {counts[unknown].sum()} of {counts.sum()} "
            f"rows: their labels, {shown_labels(y[unknown])}, are not among its "
            f"known labels {self.classes_.tolist()}.",
            FilterWarning,
        )

    def _encode_labels(self, X, y):
        if not self._labelled:
            raise ValueError(
                f"This {type(self).__name__} was fitted without labels: y must be None."
            )
        y = column_or_1d(y)
        check_consistent_length(X, y)
        return find_labels(y, self.classes_)

    def _best_over_labels(self, method, X, y):
        check_is_fitted(self)
        X = self._checked_rows(X, reset=False)
        if y is not None:
            codes = self._encode_labels(X, y)
            self._reject_unknown(column_or_1d(y), codes)
            return _of_known_rows(method, X, codes)
        best = np.full(X.shape[0], -np.inf)
        for code in range(len(self.classes_)):
            codes = np.full(X.shape[0], code, dtype=np.intp)
            np.maximum(best, method(X, codes), out=best)
        return best

    @available_if(_scores_new_rows)
    def score_samples(self, X: RowsLike, y: ArrayLike | None = None) -> np.ndarray:
        """Return the scores of rows; higher is more normal.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), default=None
            Their labels. Without them, each row gets its best score over the labels.
            Rows of labels that the filter does not know get minus infinity.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Scores, float64.
        """
        if is_lazy(X):
            check_in_passes(self)
            return engine().apply(self, "scores", X, y)
        return self._best_over_labels(self._score, X, y)

    @available_if(_scores_new_rows)
    def decision_function(self, X: RowsLike, y: ArrayLike | None = None) -> np.ndarray:
        """Signed distance to rejection: rows with a value >= 0 are kept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), default=None
            Their labels. Without them, each row gets its best value over the labels.
            Rows of labels that the filter does not know get minus infinity.

        Returns
        -------
        decisions : ndarray of shape (n_samples,)
            Decisions, float64.
        """
        if is_lazy(X):
            check_in_passes(self)
            return engine().apply(self, "decisions", X, y)
        return self._best_over_labels(self._decide, X, y)

    @available_if(_scores_new_rows)
    def predict(self, X: RowsLike, y: ArrayLike | None = None) -> np.ndarray:
        """Predict which rows are kept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), default=None
            Their labels. Without them, a row is kept if it would be under any label.
            Rows of labels that the filter does not know are rejected, with a warning.

        Returns
        -------
        kept : ndarray of shape (n_samples,)
            1 for rows that are kept, -1 for rows that are rejected.
        """
        return np.where(self.decision_function(X, y) >= 0, 1, -1)

    def fit_predict(
        self, X: RowsLike, y: ArrayLike | None = None, **fit_params: object
    ) -> np.ndarray:
        """Fit the filter, and return which training rows are kept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,), default=None
            Their labels.
        **fit_params : dict
            Passed to ``fit``.

        Returns
        -------
        kept : ndarray of shape (n_samples,)
            1 for rows that are kept, -1 for the others.
        """
        return np.where(self.fit(X, y, **fit_params).inlier_mask_, 1, -1)

    def get_feature_names_out(
        self, input_features: ArrayLike | None = None
    ) -> np.ndarray:
        """Get the names of the features, which a filter leaves as they are.

        Parameters
        ----------
        input_features : array-like of str, default=None
            The names where none were seen at fit; else only checked.

        Returns
        -------
        names : ndarray of shape (n_features,) of object
            The names.

        Raises
        ------
        ValueError
            If the filter was fitted on texts, or through a transformer.
        """
        check_is_fitted(self)
        if not hasattr(self, "n_features_in_"):
            raise ValueError(
                f"{type(self).__name__} was fitted on rows without features, such as "
                "texts: they have no names, and come out as they are with "
                "set_output(transform='default')."
            )
        return super().get_feature_names_out(input_features)

    def fit_filter(
        self,
        X: RowsLike,
        y: ArrayLike | None = None,
        *arrays: ArrayLike,
        **fit_params: object,
    ) -> tuple:
        """Fit the filter, and return the kept rows of all arguments.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,), default=None
            Their labels.
        *arrays : array-likes of length n_samples
            Other arrays aligned with the rows: weights, groups, identifiers. The filter
            does not look at them.
        **fit_params : dict
            Passed to ``fit``.

        Returns
        -------
        X, y, *arrays : tuple
            The kept rows of each argument, in the original order and container type
            (DataFrames and Series keep their index; sparse formats become CSR).
            ``None`` stays ``None``.
        """
        if is_lazy(X):
            self._received(fit_params, X)
            check_in_passes(self)
            return engine().fit_filter(self, X, y, arrays)
        X, y, *arrays = indexable(X, y, *arrays)
        rows = np.flatnonzero(self.fit(X, y, **fit_params).inlier_mask_)
        return tuple(
            None if array is None else _safe_indexing(array, rows)
            for array in (X, y, *arrays)
        )

    def fit_transform(
        self, X: RowsLike, y: ArrayLike | None = None, **fit_params: object
    ) -> RowsLike:
        """Fit the filter, and replace every rejected row by a kept row of its class.

        The kept rows of a class are used in a random order that ``random_state``
        controls, with copy counts that differ by at most one.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,), default=None
            Their labels, which stay as they are.
        **fit_params : dict
            Passed to ``fit``.

        Returns
        -------
        X : {ndarray, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The rows with the rejected ones replaced; a DataFrame keeps its index.
        """
        if is_lazy(X):
            raise TypeError(
                "X is a Dask collection: fit_transform would replace rejected rows by "
                "rows of other partitions. Use fit_filter, which drops them."
            )
        self.fit(X, y, **fit_params)
        one_class = np.zeros(len(self.inlier_mask_), dtype=np.intp)
        codes = one_class if y is None else self._encode_labels(X, y)
        if np.any(codes < 0):
            raise ValueError(
                f"fit_transform cannot replace the rows of the labels "
                f"{shown_labels(column_or_1d(y)[codes < 0])}, which are unknown to "
                f"{type(self).__name__}: it keeps no rows with these labels. Drop such "
                "rows with FilteredClassifier or fit_filter."
            )
        rng = check_random_state(self.random_state)
        rows = stand_ins(self.inlier_mask_, codes, len(self.classes_), rng)
        X = self._as_container(X, ensure_all_finite=False)  # fit has looked already
        replaced = _safe_indexing(X, rows)
        if is_pandas(X):
            replaced.index = X.index
        return replaced

    def transform(self, X: RowsLike) -> RowsLike:
        """Return X unchanged: filters act on training rows only.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            New rows.

        Returns
        -------
        X : {ndarray, sparse matrix, DataFrame} of shape (n_samples, n_features)
            The same rows.
        """
        check_is_fitted(self)
        return self._as_container(X, ensure_all_finite=True)

    def _as_container(self, X, ensure_all_finite):
        valid = validate_data(
            self,
            X,
            reset=False,
            accept_sparse=["csr", "csc"],
            dtype="numeric",
            ensure_all_finite=ensure_all_finite,
        )
        return X if is_frame(X) else valid
