"""Rows in two dimensions, and which of them a filter does not trust, by reason."""

from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.utils import _safe_indexing, check_random_state, check_scalar
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import _num_samples, check_is_fitted, column_or_1d

from skpoison._as_given import AsNumbers
from skpoison._column_types import RowsLike
from skpoison._judging import last_step
from skpoison._labels import distinct_labels
from skpoison._words import label_text

from ._plane import draw_view
from ._rows import subsample
from ._style import (
    BLACK,
    BLUE,
    COLORS,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SMALL,
    VERMILION,
    axes_for,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Marker and color of each reason; filters that give none have rows "rejected".
LOOKS = {
    "far": ("D", ORANGE),
    "copies": ("s", PURPLE),
    "label": ("X", VERMILION),
    "target": ("X", VERMILION),
    "digits": ("*", GREEN),
    "cluster": ("P", BLUE),
}
OTHER_LOOK = ("X", VERMILION)
# Of the extent of the kept rows: how far beyond them the picture goes.
MARGIN = 0.25


class SuspicionDisplay:
    """Rows in two dimensions, with those that a filter rejects by reason.

    It is recommended to use :meth:`from_filter` or :meth:`from_estimator`. All
    parameters are stored as attributes.

    Parameters
    ----------
    coordinates : ndarray of shape (n_rows, 2)
        The rows that are drawn.
    labels : ndarray of shape (n_rows,)
        Their labels.
    tests : ndarray of shape (n_rows,) of object
        The test that rejects each row; the empty string for rows that are kept.

    Attributes
    ----------
    kept_ : dict
        The kept rows, as a PathCollection for each label; under None, for all, where
        there are more labels than colors, or none.
    rejected_ : dict
        The rejected rows, as a PathCollection for each test.
    n_beyond_ : int
        Number of rows outside the plot, which states it.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    FilterDisplay : Sphere and slab, in the plane through two centroids.

    Notes
    -----
    Two dimensions do not show why a label contradicts models that use all features: a
    rejected row may lie among rows of its label here.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skpoison import AutoFilter
    >>> from skpoison.inspection import SuspicionDisplay
    >>> X, y = load_wine(return_X_y=True)
    >>> y[[5, 90]] = 2
    >>> auto = AutoFilter(random_state=0).fit(X, y)
    >>> display = SuspicionDisplay.from_filter(auto, X, y)
    >>> int(sum(display.tests != ""))
    2
    >>> display.figure_.clear()
    """

    def __init__(
        self, *, coordinates: ArrayLike, labels: ArrayLike | None, tests: ArrayLike
    ):
        self.coordinates = coordinates
        self.labels = labels
        self.tests = tests

    @classmethod
    def from_filter(
        cls,
        filter: BaseEstimator,
        X: RowsLike,
        y: ArrayLike | None = None,
        *,
        transformer: TransformerMixin | None = None,
        max_rows: int = 2000,
        random_state: int | np.random.RandomState | None = 0,
        ax: "Axes | None" = None,
        **plot_kwargs: Any,
    ) -> Self:
        """Draw the rows that a filter was fitted on.

        Parameters
        ----------
        filter : filter
            The fitted filter: an :class:`~skpoison.AutoFilter`, or another one, whose
            rejected rows have no reason.
        X : {array-like, sparse matrix, DataFrame, list of str} of shape (n_samples, \
                n_features)
            The rows that it was fitted on, as they were given to it.
        y : array-like of shape (n_samples,), default=None
            Their labels. None draws kept rows in one color.
        transformer : transformer, default=None
            Makes two dimensions of the rows: its clone is fitted on all of them. None
            means the first two principal components of the rows that are kept, as
            comparable numbers (of sparse rows and texts, singular directions).
        max_rows : int, default=2000
            Most kept rows to draw; of more, as many are drawn at random. Rejected rows
            are all drawn.
        random_state : int, RandomState instance or None, default=0
            Draws those rows, and starts the search for directions.
        ax : matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : SuspicionDisplay
            The display object, with its plot.

        Raises
        ------
        ValueError
            If X are not the rows that the filter was fitted on, y has another length,
            or the transformer does not make two columns.
        """
        check_matplotlib_support(f"{cls.__name__}.from_filter")
        filter = _judge_of(filter)
        _check_length("X", X, len(filter.inlier_mask_))
        if y is not None:
            _check_length("y", y, len(filter.inlier_mask_))
            y = column_or_1d(y)
        display = cls._of_rows(
            X,
            y,
            filter.inlier_mask_,
            getattr(filter, "tests_", None),
            transformer=transformer,
            max_rows=max_rows,
            random_state=random_state,
        )
        return display.plot(ax, **plot_kwargs)

    @classmethod
    def _of_rows(
        cls, X, y, kept, tests=None, *, transformer=None, max_rows=2000, random_state=0
    ):
        """The display of rows that were judged, not drawn yet."""
        rng = check_random_state(random_state)
        check_scalar(max_rows, "max_rows", Integral, min_val=1)
        if tests is None:
            tests = np.full(len(kept), "rejected", dtype=object)
        tests = np.where(kept, "", tests).astype(object)
        coordinates = _coordinates(X, kept, transformer, rng)
        rejected = np.flatnonzero(~kept)
        chosen = np.flatnonzero(kept)
        chosen = chosen[subsample(np.zeros(len(chosen), dtype=bool), max_rows, rng)]
        rows = np.sort(np.concatenate([chosen, rejected]))
        return cls(
            coordinates=coordinates[rows],
            labels=None if y is None else np.asarray(y)[rows],
            tests=tests[rows],
        )

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: RowsLike,
        y: ArrayLike | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the rows that an estimator with a filter was fitted on.

        Parameters
        ----------
        estimator : FilteredClassifier, FilteredRegressor or DropOutliers
            The fitted estimator; its ``filter_`` is drawn. A filter itself is, too.
        X : {array-like, sparse matrix, DataFrame, list of str} of shape (n_samples, \
                n_features)
            The rows that it was fitted on.
        y : array-like of shape (n_samples,), default=None
            Their labels.
        **kwargs : dict
            Passed to :meth:`from_filter`.

        Returns
        -------
        display : SuspicionDisplay
            The display object, with its plot.
        """
        return cls.from_filter(getattr(estimator, "filter_", estimator), X, y, **kwargs)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        whole: bool = False,
        kept_kwargs: dict[str, Any] | None = None,
        rejected_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        whole : bool, default=False
            Whether to show all rows, however far away. Otherwise the plot ends somewhat
            beyond the kept rows, and states how many rows are outside.
        kept_kwargs, rejected_kwargs : dict, default=None
            Passed to matplotlib's `scatter`.

        Returns
        -------
        display : SuspicionDisplay
            The display.
        """
        points, tests = np.asarray(self.coordinates), np.asarray(self.tests, object)
        ax = axes_for(self, ax)
        kept = tests == ""
        self.kept_ = {
            label: ax.scatter(*points[rows].T, **(look | (kept_kwargs or {})))
            for label, rows, look in self._kept_groups(kept)
        }
        self.rejected_ = {}
        for test in dict.fromkeys([*LOOKS, *sorted(set(tests[~kept]))]):
            rows = tests == test
            if rows.any():
                look = _look(test, int(rows.sum())) | (rejected_kwargs or {})
                self.rejected_[test] = ax.scatter(*points[rows].T, **look)
        ax.set(xlabel="First direction", ylabel="Second direction")
        box = None if whole else _box(points[kept])
        self.n_beyond_ = draw_view(ax, box, points)
        ax.legend(fontsize=SMALL, frameon=False, loc="best", handletextpad=0.2)
        return self

    def _kept_groups(self, kept):
        """Yield label, rows and look of the kept rows."""
        look = {"s": 9, "linewidth": 0.2, "edgecolor": "white", "zorder": 2}
        labels: Any = [] if self.labels is None else self.labels
        known = distinct_labels(np.asarray(labels)).tolist()
        if not 0 < len(known) <= len(COLORS):
            yield None, kept, look | {"color": GREY, "alpha": 0.5, "label": "kept"}
            return
        for label, color in zip(known, COLORS, strict=False):
            name = label if isinstance(label, str) else f"class {label_text(label)}"
            rows = kept & (np.asarray(self.labels) == label)
            if rows.any():
                yield label, rows, look | {"color": color, "alpha": 0.6, "label": name}


def _judge_of(filter):
    """The fitted filter that has judged rows, at the end of pipelines."""
    filter = last_step(filter)
    if not hasattr(filter, "fit"):
        raise TypeError(f"filter must be a fitted filter; got {filter!r}.")
    check_is_fitted(filter)
    if not hasattr(filter, "inlier_mask_"):
        raise ValueError(
            f"filter must be a filter, with an inlier_mask_ of the rows that it was "
            f"fitted on; got {filter!r}."
        )
    return filter


def _check_length(name, values, n_rows):
    if _num_samples(values) != n_rows:
        raise ValueError(
            f"{name} must be of the {n_rows} rows that the filter was fitted on; it "
            f"has {_num_samples(values)}."
        )


def _coordinates(X, kept, transformer, rng):
    """Two columns for the rows; far rows have no say in which."""
    if transformer is not None:
        found = clone(transformer).fit_transform(X)
        found = found.toarray() if sparse.issparse(found) else np.asarray(found)
        if found.ndim != 2 or found.shape[1] != 2:
            raise ValueError(
                f"The transformer must make two columns; {transformer!r} makes an "
                f"array of shape {found.shape}."
            )
        return found
    numbers = AsNumbers().fit_transform(X)
    directions = TruncatedSVD if sparse.issparse(numbers) else PCA
    n_directions = min(2, numbers.shape[1], int(kept.sum()))
    found = directions(n_directions, random_state=rng)
    with np.errstate(invalid="ignore", divide="ignore"):  # rows may be all the same
        found = found.fit(_safe_indexing(numbers, kept)).transform(numbers)
    return np.column_stack([found, np.zeros((len(found), 2 - found.shape[1]))])


def _box(points):
    """Lower left and upper right corner of a picture of the kept rows."""
    margin = MARGIN * np.ptp(points, axis=0)
    return np.array([points.min(axis=0) - margin, points.max(axis=0) + margin])


def _look(test, n_rows):
    marker, color = LOOKS.get(test, OTHER_LOOK)
    return {
        "marker": marker,
        "s": 40,
        "facecolor": color,
        "edgecolor": BLACK,
        "linewidth": 0.7,
        "zorder": 4,
        "label": f"{test} ({n_rows:,})",
    }
