"""Rows that are images, drawn beside bars."""

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import _safe_indexing

from skpoison._column_types import RowsLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.offsetbox import AnnotationBbox

# Points: the height of a thumbnail, and how far it lies to the right of its bar.
HEIGHT, APART = 15.0, 3.0
MOST_TARGETS = 8
COLORS = (1, 3, 4)


def as_images(
    X_target: RowsLike,
    X: RowsLike,
    rows: np.ndarray,
    image_shape: tuple[int, ...] | None,
) -> np.ndarray | None:
    """Return images of targets and of some rows; None without the shape of an image."""
    if image_shape is None:
        return None
    shape = tuple(image_shape)
    is_plane = len(shape) == 2 or (len(shape) == 3 and shape[2] in COLORS)
    if not is_plane:
        raise ValueError(
            "image_shape must be (height, width), or with a last axis of 1, 3 or 4 "
            f"colors; got {image_shape!r}."
        )
    shown = [np.asarray(some) for some in (X_target, _safe_indexing(X, rows))]
    flat = [values.reshape(len(values), -1) for values in shown]
    if flat[0].shape[1] != prod(shape):
        raise ValueError(
            f"image_shape={image_shape!r} has {prod(shape)} numbers, but a row has "
            f"{flat[0].shape[1]}."
        )
    images = np.vstack(flat).astype(np.float64).reshape(-1, *shape)
    return images[..., 0] if images.shape[3:] == (1,) else images


def draw_thumbnails(
    ax: "Axes", ends: np.ndarray, of_targets: np.ndarray, of_rows: np.ndarray
) -> list["AnnotationBbox"]:
    """Draw images of rows at the ends of bars, and the first targets' above the axes.

    All have one range of gray, or of colors.
    """
    low = min(of_targets.min(), of_rows.min())
    spread = max(of_targets.max(), of_rows.max()) - low
    both = [(images - low) / (spread or 1.0) for images in (of_targets, of_rows)]
    width = both[0].shape[2] / both[0].shape[1] * HEIGHT + APART
    shown = both[0][:MOST_TARGETS]
    on_top = [
        _thumbnail(ax, image, (0.0, 1.0), "axes fraction", (i * width, APART), (0, 0))
        for i, image in enumerate(shown)
    ]
    ax.text(
        *(0.0, 1.0),
        _targets_text(len(of_targets), len(shown)),
        transform=_moved(ax, len(shown) * width + APART, APART + HEIGHT / 2),
        va="center",
        fontsize="small",
    )
    beside = [
        _thumbnail(ax, image, (end, y), "data", (APART, 0), (0, 0.5))
        for y, (image, end) in enumerate(zip(both[1], ends, strict=True))
    ]
    ax.set_xmargin(0.2)  # room for the longest bar's
    ax.autoscale_view(scaley=False)
    return on_top + beside


def _targets_text(n_targets, n_shown):
    if n_targets == 1:
        return "target"
    return "targets" if n_shown == n_targets else f"… of {n_targets:,} targets"


def _thumbnail(ax, image, at, coordinates, offset, alignment):
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    grays: dict[str, Any] = {"cmap": "gray"} if image.ndim == 2 else {}
    box = OffsetImage(image, zoom=HEIGHT / len(image), **grays)
    box.image.set_clim(0.0, 1.0)
    drawn = AnnotationBbox(
        box,
        at,
        xycoords=coordinates,
        xybox=offset,
        boxcoords="offset points",
        box_alignment=alignment,
        pad=0.0,
        frameon=True,
        bboxprops={"linewidth": 0.4},
        annotation_clip=False,
    )
    ax.add_artist(drawn)
    return drawn


def _moved(ax, right, up):
    from matplotlib.transforms import ScaledTranslation

    shift = ScaledTranslation(right / 72, up / 72, ax.figure.dpi_scale_trans)
    return ax.transAxes + shift
