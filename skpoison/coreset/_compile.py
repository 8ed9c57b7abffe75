"""Compilation by numba."""

from numba import njit

__all__ = ["compiled"]


def compiled(function):
    """Compile a function on first use, and keep the result on disk where possible.

    Parameters
    ----------
    function : callable
        What numba can compile.

    Returns
    -------
    function : callable
        Its compiled form.
    """
    try:
        return njit(cache=True)(function)
    except RuntimeError:  # numba finds no folder that it may write to
        return njit(function)
