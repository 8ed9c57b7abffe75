"""The plane in which a filter is plotted, and its intersections with the filter.

It passes through two centroids, along the direction of largest variance.
"""

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, svds

from skpoison.feasible import FeasibleSet, SphereSlab

from ._style import SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patches import Polygon

CheckedRows: TypeAlias = np.ndarray | sparse.csr_matrix

# Relative; centroids that differ by less are the same.
ROUNDING = 8 * np.finfo(np.float64).eps
# Slabs that are nearly parallel to the plane do not cut it anywhere near.
PARALLEL = 1e-9
N_CORNERS = 361
# Relative to the larger radius: how far the axes extend beyond the spheres to show
# rows, and the padding around them in any case.
MARGIN, PAD = 1.0, 0.1


class Plane(NamedTuple):
    """A plane through two centroids."""

    origin: np.ndarray  # (n_features,), in the middle between them
    axes: np.ndarray  # (2, n_features), orthonormal: along their line, and across

    def coordinates(self, X: CheckedRows) -> np.ndarray:
        """Return the coordinates of rows, of shape (n_samples, 2)."""
        return np.asarray(X @ self.axes.T) - self.axes @ self.origin


def plane_of(X: CheckedRows, codes: np.ndarray, centers: np.ndarray) -> Plane:
    """Find the plane of two classes.

    Its second axis is the first principal direction of the rows, each class centered on
    its own mean, that is orthogonal to the first axis.
    """
    if X.shape[1] < 2:
        raise ValueError(
            "X has a single feature: there is no direction orthogonal to the line "
            "between the centroids."
        )
    # Features are judged one by one: large, constant values hide no other feature.
    same = np.isclose(centers[0], centers[1], rtol=ROUNDING, atol=0.0)
    line = np.where(same, 0.0, centers[1] - centers[0])
    length = np.linalg.norm(line)
    if length == 0:
        raise ValueError("The centroids are identical: there is no line between them.")
    line = line / length
    return Plane(centers.mean(axis=0), np.stack([line, most_spread(X, codes, line)]))


def most_spread(X: CheckedRows, codes: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Find the direction of largest within-class variance orthogonal to a line.

    A unit vector whose largest entry is positive; an arbitrary one orthogonal to `line`
    if the variance is zero. Sparse rows stay sparse.
    """
    spread = _within_classes(X, codes, line)
    start = _orthogonal(np.random.RandomState(0).normal(size=len(line)), line)
    seen = spread @ start
    rounding = 1e3 * np.finfo(X.dtype).eps * np.sqrt(len(seen)) * abs(X).max()
    if np.linalg.norm(seen) <= rounding:
        return start
    # ARPACK wants a start on the shorter side.
    v0 = start if X.shape[0] >= X.shape[1] else seen
    _, _, found = svds(spread, k=1, v0=v0.astype(X.dtype), solver="arpack")
    direction = _orthogonal(found[0].astype(np.float64), line)
    return direction * np.sign(direction[np.argmax(np.abs(direction))])


def _orthogonal(v, line):
    v = v - (line @ v) * line
    return v / np.linalg.norm(v)


def _within_classes(X, codes, line):
    """Return the class-centered rows, orthogonal to the line, as an operator."""
    members = np.stack([codes == 0, codes == 1]).astype(X.dtype)
    members /= np.maximum(members.sum(axis=1, keepdims=True), 1.0)
    means = np.asarray(members @ X)
    line = line.astype(X.dtype)

    def forward(v):
        v = np.ravel(v).astype(X.dtype)
        v = v - (line @ v) * line
        return X @ v - (means @ v)[codes]

    def backward(r):
        r = np.ravel(r).astype(X.dtype)
        v = X.T @ r - np.bincount(codes, r, minlength=2).astype(X.dtype) @ means
        return v - (line @ v) * line

    return LinearOperator(X.shape, matvec=forward, rmatvec=backward, dtype=X.dtype)


def drawable_sets(feasible: FeasibleSet, classes: np.ndarray) -> list[SphereSlab]:
    """Return the sets of two classes, if they are spheres and slabs."""
    sets: list[SphereSlab] = []
    for label in classes:
        rows = feasible[label]
        if not isinstance(rows, SphereSlab):
            raise TypeError(
                "Only spheres, slabs and their intersections can be plotted; this "
                f"filter's feasible set is of the type {type(rows).__name__}."
            )
        sets.append(rows)
    return sets


def section(plane: Plane, sets: list[SphereSlab]) -> dict[str, np.ndarray]:
    """Describe what the plane cuts out of two sets, as FilterDisplay's parameters."""
    nowhere = np.zeros(2)
    return {
        "centers": np.array([plane.coordinates(rows.center) for rows in sets]),
        "radii": np.array([rows.radius for rows in sets]),
        "normals": np.array(
            [
                nowhere if rows.direction is None else plane.axes @ rows.direction
                for rows in sets
            ]
        ),
        "limits": np.array([[rows.lower, rows.upper] for rows in sets]),
    }


def draw_region(
    ax: "Axes",
    center: np.ndarray,
    radius: float,
    normal: np.ndarray,
    limits: np.ndarray,
    *,
    color: str,
    kwargs: dict[str, Any] | None,
) -> "tuple[Polygon | None, list[Line2D]]":
    """Draw the region of a class, where it is bounded, and its boundaries.

    The radius may be infinite; `normal` is the part of the slab's unit vector in the
    plane, perhaps zero.
    """
    from matplotlib.patches import Polygon

    lines = [*ax.plot(*center, marker="+", color="black", markersize=7, zorder=4)]
    lines += _draw_edges(ax, center, radius, normal, limits, color)
    if not np.isfinite(radius):
        return None, lines
    circle = corners(center, radius)
    lines += ax.plot(*circle.T, color=color, linestyle="--", linewidth=0.9, zorder=1)
    look = {"facecolor": color, "edgecolor": "none", "alpha": 0.12, "zorder": 0}
    shape = within(circle, center, normal, limits)
    region = Polygon(shape, closed=True, **(look | (kwargs or {})))
    ax.add_patch(region)
    return region, lines


def corners(center: np.ndarray, radius: float) -> np.ndarray:
    """Return points on a circle, of shape (n_corners, 2), the first one twice."""
    angles = np.linspace(0.0, 2.0 * np.pi, N_CORNERS)
    return center + radius * np.column_stack([np.cos(angles), np.sin(angles)])


def within(
    points: np.ndarray, center: np.ndarray, normal: np.ndarray, limits: np.ndarray
) -> np.ndarray:
    """Move points into a slab, along its normal; where that is zero nothing moves.

    A circle around `center` becomes the circle cut by the slab.
    """
    length = np.linalg.norm(normal)
    if length <= PARALLEL:
        return points
    offsets = (points - center) @ normal
    moves = np.clip(offsets, *limits) - offsets
    return points + np.outer(moves, normal / length**2)


def _draw_edges(ax, center, radius, normal, limits, color):
    """Draw the edges of a slab, a little beyond the circle where there is one."""
    length = np.linalg.norm(normal)
    if length <= PARALLEL:
        return []
    unit = normal / length
    along = np.array([-unit[1], unit[0]])
    lines = []
    for limit in limits / length:
        middle = center + limit * unit
        look = {"color": color, "linestyle": "-.", "linewidth": 0.9, "zorder": 1}
        if not np.isfinite(radius):
            lines.append(ax.axline(middle, middle + along, **look))
        elif abs(limit) < radius:
            half = 1.08 * np.sqrt(radius**2 - limit**2)
            ends = np.array([middle - half * along, middle + half * along])
            lines += ax.plot(*ends.T, **look)
    return lines


def view_box(
    centers: np.ndarray, radii: np.ndarray, coordinates: np.ndarray
) -> np.ndarray | None:
    """Return the box to show: spheres, and rows that are not far from them.

    Lower left and upper right corner; None, for everything, without spheres.
    """
    if not np.all(np.isfinite(radii)):
        return None
    reach = np.asarray(radii)[:, np.newaxis]
    margin, pad = MARGIN * np.max(reach), PAD * np.max(reach)
    low, high = np.min(centers - reach, axis=0), np.max(centers + reach, axis=0)
    low = np.clip(coordinates.min(axis=0) - pad, low - margin, low - pad)
    high = np.clip(coordinates.max(axis=0) + pad, high + pad, high + margin)
    return np.array([low, high])


def draw_view(ax: "Axes", box: np.ndarray | None, coordinates: np.ndarray) -> int:
    """Limit the axes to a box; note and return the number of rows outside."""
    if box is None or not np.all(np.ptp(box, axis=0) > 0):
        return 0
    ax.set(xlim=box[:, 0], ylim=box[:, 1])
    outside = np.any((coordinates < box[0]) | (coordinates > box[1]), axis=1)
    n_beyond = int(outside.sum())
    if n_beyond:
        text = f"{n_beyond} row{'s' * (n_beyond > 1)} outside"
        where = ax.transAxes
        ax.text(
            0.02, 0.02, text, fontsize=SMALL, transform=where, ha="left", va="bottom"
        )
    return n_beyond
