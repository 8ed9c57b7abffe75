"""Several curves in the attributes of one display: lists, or a single entry."""

import numpy as np


def wrap(value):
    """Return one entry for each curve, as a list; None stays None."""
    return value if value is None or isinstance(value, list) else [value]


def unwrap(values):
    """Return a list of entries, or the only entry itself."""
    return values[0] if len(values) == 1 else values


def check_lengths(n_curves, columns):
    """Refuse lists that have not one entry for each curve.

    Parameters
    ----------
    n_curves : int
        Number of curves.
    columns : dict
        Lists by name; None is no list.

    Raises
    ------
    ValueError
        If a list is too short or too long; the error names it.
    """
    for name, values in columns.items():
        if values is not None and len(values) != n_curves:
            raise ValueError(
                f"{name} must have an entry for each of the {n_curves} curves; it has "
                f"{len(values)}."
            )


def sorted_curve(curve, scalars):
    """Return the arrays of a curve in the order of epsilon.

    Parameters
    ----------
    curve : dict
        ``"epsilon"`` and quantities.
    scalars : tuple of str
        Quantities that are one number, whatever epsilon.

    Returns
    -------
    ordered : dict
        Arrays, float64; a number becomes an array of length one.

    Raises
    ------
    ValueError
        If an array has not the shape of epsilon.
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
