"""A wrong prediction and the rows that are blamed for it, in two dimensions."""

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import _num_samples, column_or_1d

from skpoison._as_given import AsNumbers
from skpoison._column_types import RowsLike
from skpoison._labels import distinct_labels
from skpoison._words import label_text
from skpoison.tracing import Trace, trace

from ._rows import subsample
from ._style import BLACK, COLORS, GREY, SMALL, YELLOW
from ._thumbnails import as_images, draw_thumbnails

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = {"s": 9, "linewidth": 0.2, "edgecolor": "white", "alpha": 0.6, "zorder": 2}
BLAMED = {"s": 45, "facecolor": "none", "linewidth": 1.3, "zorder": 4}
# Above rows, but below the rings around those that are blamed.
TARGET = {
    "marker": "*",
    "facecolor": YELLOW,
    "edgecolor": BLACK,
    "linewidth": 0.8,
    "zorder": 3,
}
LARGEST, SMALLEST = 260.0, 25.0  # stars: the more targets, the smaller
# Inches, of a new figure: at least so high, and more for many bars.
HEIGHT, WIDTH, OF_BAR, AROUND_BARS = 3.8, 7.6, 0.24, 1.2
MOST_BARS = 30  # unless more are asked for
N_COLUMNS = 3  # of the legend
PALE = "#9A9A9A"


class TraceDisplay:
    """A target, the training rows that are blamed for it, and the others.

    On the left rows in two dimensions, on the right the contributions of those that are
    blamed most. It is recommended to use :meth:`from_trace` or :meth:`from_estimator`.
    All parameters are stored as attributes.

    Parameters
    ----------
    coordinates : ndarray of shape (n_rows, 2)
        The rows that are drawn.
    target_coordinates : ndarray of shape (n_targets, 2)
        The targets.
    labels : ndarray of shape (n_rows,) or None
        Labels of the rows that are drawn.
    blamed : ndarray of shape (n_blamed,), int
        Positions of blamed rows among the rows that are drawn, the most responsible
        first.
    names : ndarray of shape (n_blamed,), int
        Their positions among the training rows.
    contributions : ndarray of shape (n_blamed,)
        How responsible they are.
    is_removed : ndarray of shape (n_blamed,), bool
        Whether they are in the removal set.
    images : ndarray of shape (n_targets + n_blamed, height, width, ...), default=None
        Images of the targets and of the blamed rows.

    Attributes
    ----------
    rows_ : dict
        The rows, as a PathCollection for each label; under None, for all, where there
        are more labels than colors, or none.
    blamed_ : dict
        The blamed rows, as a PathCollection: ``"removed"`` for those of the removal
        set, ``"blamed"`` for others.
    targets_ : matplotlib PathCollection
        The targets.
    bars_ : matplotlib BarContainer
        The contributions.
    thumbnails_ : list of matplotlib AnnotationBbox
        Images of the targets and of the blamed rows, where rows are images.
    axes_ : list of matplotlib Axes
        The axes of the plots.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    skpoison.trace : Finds the rows.
    SuspicionDisplay : Rows that a filter does not trust.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skpoison import trace
    >>> from skpoison.inspection import TraceDisplay
    >>> X, y = load_wine(return_X_y=True)
    >>> X_target, X, y = X[[27]], X[:-1], y[:-1]
    >>> y[[27, 1, 11]] = 2
    >>> model = KNeighborsClassifier(1).fit(X, y)
    >>> found = trace(model, X, y, X_target, [0])
    >>> display = TraceDisplay.from_trace(found, X, y)
    >>> display.names[display.is_removed].tolist()
    [27, 11]
    >>> display.figure_.clear()
    """

    def __init__(
        self,
        *,
        coordinates: ArrayLike,
        target_coordinates: ArrayLike,
        labels: ArrayLike | None,
        blamed: ArrayLike,
        names: ArrayLike,
        contributions: ArrayLike,
        is_removed: ArrayLike,
        images: ArrayLike | None = None,
    ):
        self.coordinates = coordinates
        self.target_coordinates = target_coordinates
        self.labels = labels
        self.blamed = blamed
        self.names = names
        self.contributions = contributions
        self.is_removed = is_removed
        self.images = images

    @classmethod
    def from_trace(
        cls,
        trace: Trace,
        X: RowsLike,
        y: ArrayLike | None = None,
        *,
        n_blamed: int = 10,
        image_shape: tuple[int, ...] | None = None,
        transformer: TransformerMixin | None = None,
        max_rows: int = 2000,
        random_state: int | np.random.RandomState | None = 0,
        ax: "Sequence[Axes] | None" = None,
        **plot_kwargs: Any,
    ) -> Self:
        """Draw what was traced.

        Parameters
        ----------
        trace : Trace
            What :func:`~skpoison.trace` returned.
        X : {array-like, sparse matrix, table, list} of shape (n_samples, n_features)
            The training rows that were traced.
        y : array-like of shape (n_samples,), default=None
            Their labels. None draws all rows in one color.
        n_blamed : int, default=10
            How many of the rows that are blamed most are marked, and have a bar (at
            most 30; `n_bars` allows more). Rows without a positive contribution are
            not blamed. The rows of the removal set are all marked.
        image_shape : tuple of int, default=None
            Shape of a row as an image: (height, width), or with a last axis of 3 or 4
            colors. Bars then have thumbnails.
        transformer : transformer, default=None
            Makes two dimensions of the rows: its clone is fitted on all of them. None
            means the first two principal components of the rows as comparable numbers
            (of sparse rows and texts, singular directions).
        max_rows : int, default=2000
            Most rows to draw beside those that are blamed; of more, as many are drawn
            at random.
        random_state : int, RandomState instance or None, default=0
            Draws those rows, and starts the search for directions.
        ax : sequence of two matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : TraceDisplay
            The display object, with its plot.

        Raises
        ------
        ValueError
            If X has more or fewer rows than were traced, y has another length, rows do
            not have the shape of an image, or the transformer makes other than two
            columns.
        TypeError
            If `trace` is no :class:`~skpoison.tracing.Trace`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_trace")
        if not isinstance(trace, Trace):
            raise TypeError(
                "trace must be what skpoison.trace returned, a Trace; got "
                f"{type(trace).__name__}."
            )
        check_scalar(n_blamed, "n_blamed", Integral, min_val=1)
        check_scalar(max_rows, "max_rows", Integral, min_val=1)
        for name, values in {"X": X, "y": y}.items():
            if values is not None and _num_samples(values) != trace.n_samples_:
                raise ValueError(
                    f"{name} must be of the {trace.n_samples_} rows that were traced; "
                    f"it has {_num_samples(values)}."
                )
        rng = check_random_state(random_state)
        blamed, is_removed = _blamed(trace, n_blamed)
        coordinates, of_targets = _coordinates(X, trace.X_target, transformer, rng)
        is_other = np.ones(trace.n_samples_, dtype=bool)
        is_other[blamed] = False
        others = np.flatnonzero(is_other)
        chosen = others[subsample(np.zeros(len(others), dtype=bool), max_rows, rng)]
        rows = np.concatenate([blamed, chosen])
        display = cls(
            coordinates=coordinates[rows],
            target_coordinates=of_targets,
            labels=None if y is None else column_or_1d(y)[rows],
            blamed=np.arange(len(blamed)),
            names=blamed,
            contributions=trace.contributions_[blamed],
            is_removed=is_removed,
            images=as_images(trace.X_target, X, blamed, image_shape),
        )
        n_bars = min(n_blamed, MOST_BARS)
        return display.plot(ax, **({"n_bars": n_bars} | plot_kwargs))

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: RowsLike,
        y: ArrayLike,
        X_target: RowsLike,
        y_target: ArrayLike | None = None,
        *,
        trace_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Trace predictions, and draw what was found.

        Parameters
        ----------
        estimator : classifier or regressor
            The estimator that predicts wrong.
        X : {array-like, sparse matrix, table, list} of shape (n_samples, n_features)
            The training rows.
        y : array-like of shape (n_samples,)
            Their labels or targets.
        X_target : like `X`, with n_targets rows
            The rows that are predicted wrong.
        y_target : array-like of shape (n_targets,) or (n_targets, 2), default=None
            What would be right.
        trace_kwargs : dict, default=None
            Passed to :func:`~skpoison.trace`.
        **kwargs : dict
            Passed to :meth:`from_trace`.

        Returns
        -------
        display : TraceDisplay
            The display object, with its plot.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        found = trace(estimator, X, y, X_target, y_target, **(trace_kwargs or {}))
        return cls.from_trace(found, X, y, **kwargs)

    def plot(
        self,
        ax: "Sequence[Axes] | None" = None,
        *,
        n_bars: int | None = None,
        row_kwargs: dict[str, Any] | None = None,
        blamed_kwargs: dict[str, Any] | None = None,
        target_kwargs: dict[str, Any] | None = None,
        bar_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw rows and contributions.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        n_bars : int, default=None
            The most bars; None for one for each blamed row, up to 30.
        row_kwargs, blamed_kwargs, target_kwargs : dict, default=None
            Passed to matplotlib's `scatter`.
        bar_kwargs : dict, default=None
            Passed to matplotlib's `barh`.

        Returns
        -------
        display : TraceDisplay
            The display.

        Raises
        ------
        ValueError
            If `ax` is not two axes.
        """
        n_bars = MOST_BARS if n_bars is None else n_bars
        n_drawn = len(np.asarray(self.contributions)[:n_bars])
        self.axes_ = _axes_for(ax, n_drawn)
        self.figure_ = self.axes_[0].figure
        self._draw_rows(self.axes_[0], row_kwargs or {}, blamed_kwargs or {})
        self._draw_targets(self.axes_[0], target_kwargs or {})
        self.axes_[0].set(xlabel="First direction", ylabel="Second direction")
        _draw_legend(self.axes_[0])
        self._draw_bars(self.axes_[1], n_bars, bar_kwargs or {})
        return self

    def _draw_targets(self, ax, kwargs):
        points = np.asarray(self.target_coordinates)
        n = len(points)
        look = {
            "s": max(LARGEST / np.sqrt(n), SMALLEST),
            "label": "target" if n == 1 else f"targets ({n:,})",
        }
        self.targets_ = ax.scatter(*points.T, **(TARGET | look | kwargs))

    def _draw_rows(self, ax, row_kwargs, blamed_kwargs):
        points = np.asarray(self.coordinates)
        self.rows_ = {
            label: ax.scatter(*points[rows].T, **(ROW | look | row_kwargs))
            for label, rows, look in self._by_label()
        }
        blamed, removed = np.asarray(self.blamed), np.asarray(self.is_removed)
        self.blamed_ = {}
        for name, which, color in (
            ("removed", removed, BLACK),
            ("blamed", ~removed, PALE),
        ):
            if which.any():
                look = {"edgecolor": color, "label": f"{name} ({which.sum():,})"}
                self.blamed_[name] = ax.scatter(
                    *points[blamed[which]].T, **(BLAMED | look | blamed_kwargs)
                )

    def _by_label(self):
        """Yield label, rows and look of all rows."""
        labels = np.asarray([] if self.labels is None else self.labels)
        known = distinct_labels(labels).tolist()
        if not 0 < len(known) <= len(COLORS):
            yield None, slice(None), {"color": GREY}
            return
        for label, color in zip(known, COLORS, strict=False):
            name = label if isinstance(label, str) else f"class {label_text(label)}"
            yield label, labels == label, {"color": color, "label": name}

    def _draw_bars(self, ax, n_bars, kwargs):
        values = np.asarray(self.contributions)[:n_bars]
        names, removed = np.asarray(self.names), np.asarray(self.is_removed)
        places = np.arange(len(values))
        colors = np.where(removed, BLACK, PALE)[:n_bars]
        self.bars_ = ax.barh(places, values, **({"color": colors} | kwargs))
        ax.set_yticks(places, [self._name(i, names) for i in places], fontsize=SMALL)
        ax.invert_yaxis()
        ax.set(xlabel="Contribution")
        self.thumbnails_ = []
        if self.images is not None:
            n_targets = len(np.asarray(self.target_coordinates))
            of_target, of_rows = np.split(np.asarray(self.images), [n_targets])
            self.thumbnails_ = draw_thumbnails(ax, values, of_target, of_rows[:n_bars])

    def _name(self, position, names):
        name = f"row {names[position]}"
        if self.labels is None:
            return name
        place = np.asarray(self.blamed)[position]
        return f"{name}: {label_text(np.asarray(self.labels)[place])}"


def _blamed(trace, n_blamed):
    """Return the rows blamed most and those of the removal set, by their ranks."""
    removed = [] if trace.removal_set_ is None else trace.removal_set_
    is_blamed = trace.contributions_[trace.ranking_] > 0.0
    is_blamed = is_blamed if is_blamed.any() else np.ones_like(is_blamed)
    is_shown = np.isin(trace.ranking_, removed)
    is_shown[:n_blamed] |= is_blamed[:n_blamed]
    blamed = trace.ranking_[is_shown]
    return blamed, np.isin(blamed, removed)


def _draw_legend(ax):
    """Draw a legend above the axes, where no rows are."""
    ax.legend(
        fontsize=SMALL,
        frameon=False,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        borderaxespad=0.2,
        ncols=N_COLUMNS,
        columnspacing=1.0,
        handletextpad=0.2,
    )


def _coordinates(X, X_target, transformer, rng):
    """Return two columns for rows, and for targets."""
    if transformer is None:
        return _principal(X, X_target, rng)
    fitted = clone(transformer).fit(X)
    found = [fitted.transform(rows) for rows in (X, X_target)]
    found = [x.toarray() if sparse.issparse(x) else np.asarray(x) for x in found]
    if found[0].ndim != 2 or found[0].shape[1] != 2:
        raise ValueError(
            f"The transformer must make two columns; {transformer!r} makes an array of "
            f"shape {found[0].shape}."
        )
    return found


def _principal(X, X_target, rng):
    encoder = AsNumbers().fit(X)
    numbers = encoder.transform(X)
    kind = TruncatedSVD if sparse.issparse(numbers) else PCA
    directions = kind(min(2, *numbers.shape), random_state=rng).fit(numbers)
    found = map(directions.transform, (numbers, encoder.transform(X_target)))
    return [np.column_stack([x, np.zeros((len(x), 2))])[:, :2] for x in found]


def _axes_for(ax, n_bars):
    check_matplotlib_support("TraceDisplay.plot")
    import matplotlib.pyplot as plt

    if ax is None:
        height = max(HEIGHT, AROUND_BARS + OF_BAR * n_bars)
        _, ax = plt.subplots(1, 2, figsize=(WIDTH, height), layout="constrained")
    axes = list(np.ravel(np.asarray(ax, dtype=object)))
    if len(axes) != 2:
        raise ValueError(f"ax must be two Axes; it is {len(axes)}.")
    return axes
