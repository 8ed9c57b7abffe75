"""Shared code of the displays: colors, shapes, axes, several curves.

Colors and shapes survive print, gray scale and color blindness.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._optional_dependencies import check_matplotlib_support

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# An array for each curve of a display, or the array of its only curve.
Curves: TypeAlias = ArrayLike | list[ArrayLike]

# The palette of Okabe and Ito, in an order in which neighbors differ in brightness.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, YELLOW, BLACK = "#E69F00", "#56B4E9", "#F0E442", "#000000"
GREY = "#595959"
COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
SMALL = "small"
# Lines with markers.
LINE = {"markersize": 4.0, "markerfacecolor": "white", "linewidth": 1.2}


def axes_for(display: Any, ax: "Axes | None") -> "Axes":
    """Return the axes to draw on, and keep them and their figure on the display."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def style_of(position: int, styles: tuple[str, ...]) -> str:
    """Return the style at a position, starting over where the styles end."""
    return styles[position % len(styles)]


def wrap(value: Any) -> list:
    """Return one entry for each curve, as a list, even of a single curve."""
    return value if isinstance(value, list) else [value]


def unwrap(values: list) -> Any:
    """Return a list of entries, or the only entry itself."""
    return values[0] if len(values) == 1 else values


def check_lengths(n_curves: int, columns: dict[str, list | None]) -> None:
    """Raise for lists that do not have one entry for each curve."""
    for name, values in columns.items():
        if values is not None and len(values) != n_curves:
            raise ValueError(
                f"{name} must have an entry for each of the {n_curves} curves; it has "
                f"{len(values)}."
            )


def sorted_curve(curve: dict[str, Any], scalars: tuple[str, ...]) -> dict:
    """Return the arrays of a curve, by name, in the order of ``"epsilon"``.

    Scalars do not depend on epsilon; they become arrays of length one.
    """
    curve = {name: np.asarray(values, dtype=float) for name, values in curve.items()}
    shape = curve["epsilon"].shape
    for name, values in curve.items():
        wanted = () if name in scalars else shape
        if len(shape) != 1 or values.shape != wanted:
            raise ValueError(
                f"{name} of a curve must have the shape "
                f"{wanted if len(shape) == 1 else '(n_epsilons,)'}; it has the shape "
                f"{values.shape}, and epsilon has {shape}."
            )
    order = np.argsort(curve["epsilon"])
    return {
        name: values.reshape(1) if name in scalars else values[order]
        for name, values in curve.items()
    }
