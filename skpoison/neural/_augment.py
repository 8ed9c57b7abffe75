"""Differentiable random crops and flips."""

import numpy as np
import torch

from skpoison.neural._parameters import check_whole

__all__ = ["RandomCropFlip"]


class RandomCropFlip(torch.nn.Module):
    """Shift images at random, and flip some of them horizontally.

    Each image is padded on all sides, cropped to its size at a random position, and
    with ``flip`` mirrored with probability 1/2. It is differentiable.

    It has two uses. In front of a network, it augments in training and leaves images
    unchanged in evaluation, so that no Dataset of your own is needed. As ``augment`` of
    :class:`GradientMatchingAttack`, it crafts poison that withstands such training.

    Parameters
    ----------
    padding : int, default=4
        Pixels on each side; the largest shift.
    flip : bool, default=True
        Whether to mirror images. Do not mirror digits and letters.
    padding_mode : {"constant", "reflect"}, default="constant"
        Values of the border: zeros, or the mirrored image.

    Raises
    ------
    ValueError
        If a parameter is of another kind; at use, if images are not
        of shape (n_images, n_channels, height, width).

    Notes
    -----
    Random numbers come from torch's generator on the CPU.

    Examples
    --------
    >>> import torch
    >>> from skpoison.neural import RandomCropFlip
    >>> images = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> augment = RandomCropFlip(padding=1)
    >>> augment(images).shape
    torch.Size([1, 1, 3, 3])
    >>> torch.equal(augment.eval()(images), images)
    True
    """

    def __init__(self, padding=4, flip=True, padding_mode="constant"):
        super().__init__()
        check_whole("padding", padding, 0)
        if not isinstance(flip, bool | np.bool_):
            raise ValueError(f"flip must be True or False; got {flip!r}.")
        if padding_mode not in ("constant", "reflect"):
            raise ValueError(
                f"padding_mode must be 'constant' or 'reflect'; got {padding_mode!r}."
            )
        self.padding, self.flip, self.padding_mode = padding, flip, padding_mode

    def forward(self, images):
        """Return images, each changed in its own way if in training.

        Parameters
        ----------
        images : Tensor of shape (n_images, n_channels, height, width)
            Images.

        Returns
        -------
        images : Tensor of shape (n_images, n_channels, height, width)
            Of the same size.
        """
        if images.ndim != 4:
            raise ValueError(
                "images of shape (n_images, n_channels, height, width) are needed; "
                f"got the shape {tuple(images.shape)}."
            )
        if not self.training:
            return images
        padded = torch.nn.functional.pad(images, [self.padding] * 4, self.padding_mode)
        rows, columns = self._places(*images.shape)
        row, channel = (torch.arange(size) for size in images.shape[:2])
        return padded[
            row[:, None, None, None],
            channel[:, None, None],
            rows[:, None, :, None],
            columns[:, None, None, :],
        ]

    def _places(self, n_images, _, height, width):
        """Draw the rows and columns of padded images that are cropped."""
        top, left = torch.randint(2 * self.padding + 1, (2, n_images, 1))
        columns = torch.arange(width).expand(n_images, width)
        if self.flip:
            mirrored = torch.rand(n_images, 1) < 0.5
            columns = torch.where(mirrored, columns.flip(1), columns)
        return top + torch.arange(height), left + columns
