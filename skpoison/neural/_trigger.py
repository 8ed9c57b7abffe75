"""Patterns on rows that activate a backdoor."""

from numbers import Real

import torch
from sklearn.base import BaseEstimator

from skpoison.neural._parameters import Number, at_least
from skpoison.neural._rows import as_numbers, as_tensor, rows_like, without_tensor

__all__ = ["Trigger"]


class Trigger(BaseEstimator):
    """A pattern that is put on rows: a local patch, or a veil over the whole row.

    Calling it returns rows with the pattern: ``(1 - opacity) * row + opacity *
    pattern`` where the pattern is, and the row elsewhere. A small opaque pattern is the
    patch of BadNets [1]_; a translucent one as large as the row is the blended trigger
    of [2]_.

    Parameters
    ----------
    pattern : {array-like, Tensor} of shape ([[n_channels,] height,] width)
        The pattern, in the units of rows. With one channel, or none, it is the same in
        all channels of an image. With ``channels="last"``, of shape (height, width[,
        n_channels]).
    position : tuple of int, default=None
        First row and column of the image, or first value of a flat row, that the
        pattern covers. None is the end: the lower right corner.
    opacity : float, default=1.0
        Opacity of the pattern, in (0, 1]; 1 hides the row below.
    channels : {"first", "last"}, default="first"
        Whether images are (n_channels, height, width) or (height, width, n_channels).

    Raises
    ------
    ValueError
        At use, if the pattern does not fit in the rows, or the opacity is out of range;
        if rows look like images with channels last, and ``channels="first"``.
    TypeError
        At use, if rows are not floating point numbers.

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

    def __init__(self, pattern, *, position=None, opacity=1.0, channels="first"):
        self.pattern = pattern
        self.position = position
        self.opacity = opacity
        self.channels = channels

    def __call__(self, rows):
        """Put the pattern on rows.

        Parameters
        ----------
        rows : {array-like, Tensor} of shape (n_rows, ...)
            Floating point numbers.

        Returns
        -------
        rows : {ndarray, Tensor} of shape (n_rows, ...)
            New rows of the same precision; a Tensor if ``rows`` is one.
        """
        changed = as_tensor(rows, "rows").clone()
        numbers = as_numbers(self.pattern, "pattern")
        pattern = as_tensor(numbers.to(changed), "pattern")
        self._check_numbers()
        self._check_channels(changed.shape)
        images = changed
        if self.channels == "last" and changed.ndim > 3:
            # Views of the same numbers, with channels first.
            images = changed.movedim(-1, 1)
            pattern = pattern.movedim(-1, 0) if pattern.ndim > 2 else pattern
        place = self._window(images.shape, pattern.shape)
        if place is None:
            raise ValueError(self._misfit(changed.shape[1:], numbers.shape))
        window = images[place]
        window += self.opacity * (pattern - window)
        return changed if torch.is_tensor(rows) else changed.numpy()

    def _check_numbers(self):
        if not Number(Real, 0, 1, closed="right").is_satisfied_by(self.opacity):
            raise ValueError(f"opacity must be in (0, 1]; got {self.opacity!r}.")
        if self.position is None:
            return
        is_tuple = isinstance(self.position, tuple | list)
        if not is_tuple or not all(map(at_least(0).is_satisfied_by, self.position)):
            raise ValueError(
                "position must be a tuple of whole numbers, 0 at least, or None; got "
                f"{self.position!r}."
            )

    def _check_channels(self, shape):
        """Refuse images that seem to have channels last: a pattern may still fit."""
        if self.channels not in ("first", "last"):
            raise ValueError(
                f"channels must be 'first' or 'last'; got {self.channels!r}."
            )
        last = len(shape) == 4 and shape[3] in (1, 3) and min(shape[1:3]) > 4
        if last and self.channels == "first":
            raise ValueError(
                f"rows of the shape {tuple(shape[1:])} look like images with their "
                'channels last: give channels="last".'
            )

    def _window(self, shape, sizes):
        """Return the part of rows that the pattern covers; None if it does not fit."""
        n_axes = min(2, len(sizes))
        totals, parts = shape[-n_axes:], sizes[-n_axes:]
        first = self.position
        if first is None:
            first = [total - part for total, part in zip(totals, parts, strict=False)]
        fits = len(sizes) < len(shape) and len(first) == n_axes
        fits = fits and sizes[:-n_axes] in ((), (1,), shape[-3:-2])
        if not fits or any(
            not 0 <= start <= total - part
            for start, total, part in zip(first, totals, parts, strict=True)
        ):
            return None
        spans = zip(first, parts, strict=True)
        return (..., *(slice(start, start + part) for start, part in spans))

    def _misfit(self, shape, sizes):
        """Return the error message for a pattern that does not fit, with a hint."""
        hint = ""
        if len(shape) == 1 and len(sizes) > 1:
            hint = (
                " These rows are flat: give a pattern of one axis, or reshape them to "
                "images."
            )
        elif len(sizes) > 2:
            hint = f" Channels come {self.channels}, by channels={self.channels!r}."
        return (
            f"a pattern of the shape {tuple(sizes)} at position={self.position!r} "
            f"does not fit in rows of the shape {tuple(shape)}.{hint}"
        )


def put_trigger(trigger, rows):
    """Put a trigger on rows, and check what comes back."""
    if trigger is None:
        raise ValueError("trigger must take rows and return rows; got None.")
    given = as_tensor(rows, "rows")
    changed = trigger(given.clone())
    if not torch.is_tensor(changed) or changed.shape != given.shape:
        found = tuple(changed.shape) if hasattr(changed, "shape") else changed
        raise ValueError(
            "trigger must return a Tensor of as many rows of the same shape; of the "
            f"shape {tuple(given.shape)} it makes {type(changed).__name__} {found!r}."
        )
    changed = as_tensor(changed, "what trigger returns").to(given)
    if torch.is_tensor(rows):
        return changed
    return rows_like(without_tensor(changed), rows)


def check_trigger(trigger, rows):
    """Check that a trigger can be put on rows."""
    put_trigger(trigger, rows[:1])


def check_source(source, intended, classes):
    """Check that a source is a class, and not the intended one."""
    others = [label for label in classes.tolist() if label != intended]
    if source not in others:
        raise ValueError(
            f"source_label must be one of the other labels {others}; got {source!r}."
        )
