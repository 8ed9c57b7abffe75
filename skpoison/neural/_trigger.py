"""Patterns on rows that wake a backdoor."""

import torch
from sklearn.base import BaseEstimator

from skpoison.neural._perturbation import as_tensor

__all__ = ["Trigger"]


class Trigger(BaseEstimator):
    """A pattern that is put on rows: a patch somewhere, or a veil over all of it.

    Calling it returns rows with the pattern: ``(1 - opacity) * row + opacity *
    pattern`` where the pattern is, and the row elsewhere. A small pattern that hides
    what is below is the patch of BadNets [1]_, one as large as the row that shines
    through is the blended trigger of [2]_.

    Parameters
    ----------
    pattern : {array-like, Tensor} of shape ([[n_channels,] height,] width)
        The pattern, in the units of rows. With one channel, or none, it is the same in
        all channels of an image.
    position : tuple of int, default=None
        First row and column of the image, or first value of a flat row, that the
        pattern covers. None is the end: the lower right corner.
    opacity : float, default=1.0
        How little of the row is seen through the pattern, in (0, 1].

    Raises
    ------
    ValueError
        At use, if the pattern does not fit in the rows, or the opacity is no share.
    TypeError
        At use, if rows are no floating point numbers.

    References
    ----------
    .. [1] T. Gu, B. Dolan-Gavitt and S. Garg, "BadNets: Identifying Vulnerabilities in
       the Machine Learning Model Supply Chain", 2017.
    .. [2] X. Chen, C. Liu, B. Li, K. Lu and D. Song, "Targeted Backdoor Attacks on Deep
       Learning Systems Using Data Poisoning", 2017, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.neural import Trigger
    >>> rows = np.zeros((1, 1, 3, 4))
    >>> Trigger(np.ones((2, 2)))(rows)[0, 0]
    array([[0., 0., 0., 0.],
           [0., 0., 1., 1.],
           [0., 0., 1., 1.]])
    >>> Trigger([4.0, 8.0], position=(0,), opacity=0.25)(np.zeros((1, 3)))
    array([[1., 2., 0.]])
    """

    def __init__(self, pattern, *, position=None, opacity=1.0):
        self.pattern = pattern
        self.position = position
        self.opacity = opacity

    def __call__(self, rows):
        """Put the pattern on rows.

        Parameters
        ----------
        rows : {array-like, Tensor} of shape (n_rows, ...)
            Floating point numbers.

        Returns
        -------
        rows : {ndarray, Tensor} of shape (n_rows, ...)
            Others, of the same precision; a Tensor if they were one.
        """
        changed = as_tensor(rows, "rows").clone()
        pattern = as_tensor(self.pattern, "pattern").to(changed)
        if not 0 < self.opacity <= 1:
            raise ValueError(f"opacity must be in (0, 1]; got {self.opacity!r}.")
        window = changed[self._window(changed.shape, pattern.shape)]
        window += self.opacity * (pattern - window)
        return changed if torch.is_tensor(rows) else changed.numpy()

    def _window(self, shape, sizes):
        """Return the part of rows that the pattern covers."""
        n_axes = min(2, len(sizes))
        totals, parts = shape[-n_axes:], sizes[-n_axes:]
        first = self.position
        if first is None:
            first = [total - part for total, part in zip(totals, parts, strict=True)]
        fits = len(sizes) < len(shape) and len(first) == n_axes
        fits = fits and sizes[:-n_axes] in ((), (1,), shape[-3:-2])
        if not fits or any(
            not 0 <= start <= total - part
            for start, total, part in zip(first, totals, parts, strict=True)
        ):
            raise ValueError(
                f"a pattern of the shape {tuple(sizes)} at position={self.position!r} "
                f"does not fit in rows of the shape {tuple(shape[1:])}."
            )
        spans = zip(first, parts, strict=True)
        return (..., *(slice(start, start + part) for start, part in spans))


def check_trigger(trigger, rows):
    """Check that a trigger can be put on rows.

    Parameters
    ----------
    trigger : callable
        The trigger.
    rows : Tensor of shape (n_rows, ...)
        Rows.

    Raises
    ------
    ValueError
        If it cannot, or returns rows of another shape.
    """
    if trigger is None:
        raise ValueError("trigger must take rows and return rows; got None.")
    changed = trigger(rows[:1])
    if not torch.is_tensor(changed) or changed.shape != rows[:1].shape:
        raise ValueError(
            "trigger must return a Tensor of rows of the same shape; of the shape "
            f"{tuple(rows[:1].shape)} it makes {getattr(changed, 'shape', changed)!r}."
        )


def check_source(source, intended, classes):
    """Check that a source is a class, and another one.

    Parameters
    ----------
    source, intended : label
        What is attacked, and what it shall be taken for.
    classes : ndarray of shape (n_classes,)
        The labels.

    Raises
    ------
    ValueError
        If it is not.
    """
    others = [label for label in classes.tolist() if label != intended]
    if source not in others:
        raise ValueError(
            f"source_label must be one of the other labels {others}; got {source!r}."
        )
