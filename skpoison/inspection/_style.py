"""Colours and shapes that survive print, grey scale and colour blindness."""

from sklearn.utils._optional_dependencies import check_matplotlib_support

# The palette of Okabe and Ito, in an order in which neighbours differ in brightness.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, YELLOW, BLACK = "#E69F00", "#56B4E9", "#F0E442", "#000000"
GREY = "#595959"
COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
SMALL = "small"


def axes_for(display, ax):
    """Return the axes to draw on, and keep them and their figure on the display.

    Parameters
    ----------
    display : object
        The display that will be drawn.
    ax : matplotlib Axes or None
        The axes; None makes a figure.

    Returns
    -------
    ax : matplotlib Axes
        The axes.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def style_of(position, styles):
    """Return the style at a position, starting over where the styles end."""
    return styles[position % len(styles)]
