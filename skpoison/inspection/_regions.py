"""Where a plane cuts spheres and slabs, and how that is drawn."""

import numpy as np

from skpoison.feasible import SphereSlab

from ._style import SMALL

# Slabs that are nearly parallel to the plane do not cut it anywhere near.
PARALLEL = 1e-9
N_CORNERS = 361
# Of the larger radius: how far beyond the spheres a picture goes, and the room that
# there is around them in any case.
MARGIN, PAD = 1.0, 0.1


def drawable_sets(feasible, classes):
    """Return the sets of two classes, if they are spheres and slabs.

    Parameters
    ----------
    feasible : FeasibleSet
        The sets of all classes.
    classes : ndarray of shape (2,)
        The labels.

    Returns
    -------
    sets : list of SphereSlab
        Their sets.

    Raises
    ------
    TypeError
        If a set is something else.
    """
    sets = [feasible[label] for label in classes]
    for rows in sets:
        if not isinstance(rows, SphereSlab):
            raise TypeError(
                "Spheres and slabs can be drawn, and their intersections; this "
                f"filter's feasible set is of the type {type(rows).__name__}."
            )
    return sets


def section(plane, sets):
    """Describe what a plane through the centres of two sets cuts out of them.

    Parameters
    ----------
    plane : Plane
        The plane.
    sets : list of SphereSlab
        The sets of the two classes.

    Returns
    -------
    parts : dict
        ``centers``, ``radii``, ``normals`` and ``limits``, as FilterDisplay has them.
    """
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


def draw_region(ax, center, radius, normal, limits, *, color, kwargs):
    """Draw the region of a class and its boundaries.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes to draw on.
    center : ndarray of shape (2,)
        The centroid.
    radius : float
        Radius of the sphere, perhaps infinite.
    normal : ndarray of shape (2,)
        Part of the slab's unit vector in the plane, perhaps zero.
    limits : ndarray of shape (2,)
        Where the slab begins and ends.
    color : str
        The colour of the class.
    kwargs : dict or None
        What the user wants of the region.

    Returns
    -------
    region : matplotlib Polygon or None
        The region within sphere and slab.
    lines : list of matplotlib Line2D
        Circle and edges of the slab.
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
    region = ax.add_patch(Polygon(shape, closed=True, **(look | (kwargs or {}))))
    return region, lines


def corners(center, radius):
    """Return points on a circle, of shape (n_corners, 2), the first one twice."""
    angles = np.linspace(0.0, 2.0 * np.pi, N_CORNERS)
    return center + radius * np.column_stack([np.cos(angles), np.sin(angles)])


def within(points, center, normal, limits):
    """Move points into a slab, along its normal.

    Parameters
    ----------
    points : ndarray of shape (n_points, 2)
        Points; those of a circle around `center` become the circle cut by the slab.
    center : ndarray of shape (2,)
        Where the slab's limits are measured from.
    normal : ndarray of shape (2,)
        The slab's normal; with length zero nothing moves.
    limits : ndarray of shape (2,)
        Bounds of ``normal @ (point - center)``.

    Returns
    -------
    points : ndarray of shape (n_points, 2)
        The moved points.
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


def view_box(centers, radii, coordinates):
    """Return what a picture must show: spheres, and rows that are not far from them.

    Parameters
    ----------
    centers : ndarray of shape (2, 2)
        The centroids.
    radii : ndarray of shape (2,)
        The radii.
    coordinates : ndarray of shape (n_rows, 2)
        The rows.

    Returns
    -------
    box : ndarray of shape (2, 2) or None
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


def draw_view(ax, box, coordinates):
    """Cut the picture at a box, and say in it how many rows lie outside.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes to draw on.
    box : ndarray of shape (2, 2) or None
        Lower left and upper right corner; None leaves the axes as they are.
    coordinates : ndarray of shape (n_rows, 2)
        The rows.

    Returns
    -------
    n_beyond : int
        How many rows lie outside.
    """
    if box is None or not np.all(np.ptp(box, axis=0) > 0):
        return 0
    ax.set(xlim=box[:, 0], ylim=box[:, 1])
    outside = np.any((coordinates < box[0]) | (coordinates > box[1]), axis=1)
    n_beyond = int(outside.sum())
    if n_beyond:
        text = f"{n_beyond} row{'s' * (n_beyond > 1)} outside"
        where = {"transform": ax.transAxes, "ha": "left", "va": "bottom"}
        ax.text(0.02, 0.02, text, fontsize=SMALL, **where)
    return n_beyond
