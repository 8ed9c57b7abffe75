"""Plot of the rows that a filter keeps and rejects."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skpoison._column_types import RowsLike
from skpoison._fitted import scores
from skpoison._words import label_text

from ._plane import (
    draw_region,
    draw_view,
    drawable_sets,
    plane_of,
    section,
    view_box,
)
from ._rows import groups_of, rows_of, subsample, two_classes
from ._style import BLACK, BLUE, SMALL, VERMILION, YELLOW, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLASS_COLORS, CLASS_MARKERS = (BLUE, VERMILION), ("o", "^")


class FilterDisplay:
    """Plot of the rows that a filter keeps and rejects, with its sphere and slab.

    Rows are projected onto a plane through the centroids of two classes. Its second
    axis is the direction of largest variance orthogonal to the line between the
    centroids. The plot shows the intersections of the sphere (rows near the centroid of
    their class) and the slab (rows whose projection on that line is near that of their
    centroid) with the plane; the shaded region is within both.

    It is recommended to use :meth:`from_estimator` to create a :class:`FilterDisplay`.
    All parameters are stored as attributes.

    Parameters
    ----------
    coordinates : ndarray of shape (n_rows, 2)
        Coordinates of the rows: along the line between the centroids, measured from
        their midpoint, and orthogonal to it.
    codes : ndarray of shape (n_rows,)
        The class of each row, as an index into `classes`.
    kept : ndarray of shape (n_rows,), dtype=bool
        Which rows the filter keeps.
    classes : ndarray of shape (2,)
        The labels.
    centers : ndarray of shape (2, 2)
        The centroids, in the plane.
    radii : ndarray of shape (2,)
        Radii of the spheres; infinite without a sphere.
    normals : ndarray of shape (2, 2)
        The projections onto the plane of the unit normals of the slabs; zero without a
        slab.
    limits : ndarray of shape (2, 2)
        Offsets of the two hyperplanes of each class's slab from its centroid.
    poison_mask : ndarray of shape (n_rows,), dtype=bool, default=None
        Which rows are known to be poison.

    Attributes
    ----------
    rows_ : dict
        The plotted rows, a PathCollection for each nonempty ``(label, group)``, where
        group is ``"kept"``, ``"rejected"``, ``"poison kept"`` or ``"poison rejected"``.
    regions_ : list of matplotlib Polygon or None
        For each class, the region within sphere and slab; None without a sphere.
    boundaries_ : list of list of matplotlib Line2D
        For each class, the circle and the edges of the slab.
    n_beyond_ : int
        Number of rows outside the axes limits, which is noted in the plot.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains it.

    See Also
    --------
    BoundDisplay : Plots the bound on the damage by rows that pass a filter.

    Notes
    -----
    A row inside the circle may still be rejected, because it can be far from the
    centroid in directions orthogonal to the plane. With more than two classes, the slab
    of a class is orthogonal to the line to the mean of *all* other centroids, so its
    edges may appear inclined.

    References
    ----------
    .. [1] J. Steinhardt, P. W. Koh, P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NIPS 2017, figure 1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skpoison import SlabFilter, SphereFilter
    >>> from skpoison.inspection import FilterDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> both = (SphereFilter() & SlabFilter()).fit(X, y)
    >>> display = FilterDisplay.from_estimator(both, X, y, classes=[0, 2])
    >>> display.coordinates.shape
    (100, 2)
    >>> display.figure_.clear()
    """

    def __init__(
        self,
        *,
        coordinates: ArrayLike,
        codes: ArrayLike,
        kept: ArrayLike,
        classes: np.ndarray,
        centers: np.ndarray,
        radii: np.ndarray,
        normals: np.ndarray,
        limits: np.ndarray,
        poison_mask: ArrayLike | None = None,
    ):
        self.coordinates = coordinates
        self.codes = codes
        self.kept = kept
        self.classes = classes
        self.centers = centers
        self.radii = radii
        self.normals = normals
        self.limits = limits
        self.poison_mask = poison_mask

    @classmethod
    def from_estimator(
        cls,
        filter: BaseEstimator,
        X: RowsLike,
        y: ArrayLike,
        *,
        poison_mask: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        max_rows: int = 2000,
        random_state: int | np.random.RandomState | None = 0,
        ax: "Axes | None" = None,
        **plot_kwargs: Any,
    ) -> Self:
        """Plot the rows that a fitted filter keeps and rejects.

        Parameters
        ----------
        filter : filter with ``feasible_set``
            The fitted filter, made of spheres and slabs.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows that the filter was fitted on, or others.
        y : array-like of shape (n_samples,)
            Their labels.
        poison_mask : array-like of shape (n_samples,), dtype=bool, default=None
            Which rows are known to be poison.
        classes : array-like of shape (2,), default=None
            The two labels to plot, the left one first; other rows are omitted. None is
            allowed if the filter was fitted on two classes.
        max_rows : int, default=2000
            Maximum number of rows to plot, for clean and poison rows each; if there are
            more, a random subset is plotted. The plane is computed from all rows of the
            two classes.
        random_state : int, RandomState instance or None, default=0
            Controls the choice of this subset.
        ax : matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : FilterDisplay
            The display, with the plot drawn.

        Raises
        ------
        TypeError
            If the filter has no feasible set, or one that is not made of spheres and
            slabs.
        ValueError
            If there are not two classes to plot, or if lengths do not match.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(filter)
        if not hasattr(filter, "feasible_set"):
            raise TypeError(
                f"{type(filter).__name__} has no feasible set, so there is no sphere "
                "and no slab to plot."
            )
        classes = two_classes(classes, filter.classes_)
        sets = drawable_sets(filter.feasible_set(), classes)
        X, y, poison = rows_of(filter, X, y, poison_mask, classes)
        codes = (y == classes[1]).astype(np.intp)
        kept = scores(filter, X, y) >= 0
        plane = plane_of(X, codes, np.array([rows.center for rows in sets]))
        chosen = subsample(poison, max_rows, check_random_state(random_state))
        display = cls(
            coordinates=plane.coordinates(X[chosen]),
            codes=codes[chosen],
            kept=kept[chosen],
            classes=classes,
            poison_mask=None if poison_mask is None else poison[chosen],
            **section(plane, sets),
        )
        return display.plot(ax, **plot_kwargs)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        whole: bool = False,
        row_kwargs: dict[str, Any] | None = None,
        region_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the rows, the sphere and the slab.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        whole : bool, default=False
            Whether to show all rows, however far away. Otherwise the axes limits are
            slightly larger than the spheres, and the plot notes how many rows lie
            outside.
        row_kwargs : dict, default=None
            Passed to matplotlib's `scatter` for clean rows.
        region_kwargs : dict, default=None
            Passed to matplotlib's `Polygon` for the regions within sphere and slab.

        Returns
        -------
        display : FilterDisplay
            The display.
        """
        coordinates = np.asarray(self.coordinates)
        groups = groups_of(len(coordinates), self.codes, self.kept, self.poison_mask)
        ax = axes_for(self, ax)
        self.regions_, self.boundaries_ = [], []
        for code in range(2):
            region, lines = draw_region(
                ax,
                self.centers[code],
                self.radii[code],
                self.normals[code],
                self.limits[code],
                color=CLASS_COLORS[code],
                kwargs=region_kwargs,
            )
            self.regions_.append(region)
            self.boundaries_.append(lines)
        self.rows_ = {
            (self.classes[code], group): ax.scatter(
                *coordinates[rows].T,
                label=f"{_name(self.classes[code])}, {group}",
                **_look(code, group, row_kwargs),
            )
            for (code, group), rows in groups.items()
        }
        ax.set(
            xlabel="Along the line between the centroids",
            ylabel="Orthogonal direction of largest variance",
            aspect="equal",
        )
        box = None if whole else view_box(self.centers, self.radii, coordinates)
        self.n_beyond_ = draw_view(ax, box, coordinates)
        _draw_legend(ax, self.rows_)
        return self


def _look(code, group, kwargs):
    color = CLASS_COLORS[code]
    if group.startswith("poison"):
        face = YELLOW if group.endswith("kept") else "white"
        return {
            "marker": ("X", "P")[code],
            "s": 60,
            "facecolor": face,
            "edgecolor": BLACK,
            "linewidth": 0.9,
            "zorder": 5,
        }
    look = {"marker": CLASS_MARKERS[code], "s": 9, "linewidth": 0.5, "zorder": 3}
    if group == "kept":
        look |= {"facecolor": color, "edgecolor": "white", "linewidth": 0.2}
    else:
        look |= {"facecolor": "none", "edgecolor": color, "alpha": 0.5, "zorder": 2}
    return look | (kwargs or {})


def _name(label):
    return label if isinstance(label, str) else f"class {label_text(label)}"


def _draw_legend(ax, rows):
    """Draw a column for each class above the picture, the fuller one first."""
    columns: dict = {}
    for (label, _), artist in rows.items():
        columns.setdefault(label, []).append(artist)
    fuller_first = sorted(columns.values(), key=len, reverse=True)
    return ax.legend(
        handles=[artist for column in fuller_first for artist in column],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=2,
        fontsize=SMALL,
        frameon=False,
        handletextpad=0.2,
        columnspacing=1.0,
        labelspacing=0.2,
    )
