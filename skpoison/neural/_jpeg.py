"""JPEG compression of images, which removes small perturbations."""

import io
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import validate_data

from skpoison.neural._parameters import Number, range_bounds
from skpoison.neural._rows import without_tensor

__all__ = ["JPEGCompressor"]


class JPEGCompressor(TransformerMixin, BaseEstimator):
    """Compress images as JPEG files and open them again.

    A defense against poison by small perturbations, which compression removes with
    other detail: put it in front of the network, for training and prediction alike. On
    CIFAR-10 it was found to be as good as any against gradient matching, at the cost of
    a few points of accuracy. Attackers who know it can adapt, and large or bright
    triggers survive it.

    Rows are compressed one by one, so there is nothing to fit. Needs Pillow.

    Parameters
    ----------
    quality : int, default=75
        Quality of the compression, from 1, the smallest file, to 95.
    image_shape : tuple of int, default=None
        For flat rows, the shape of the image that each one is: (height, width), or as
        ``channels`` says. None if rows have the shape of images.
    channels : {"first", "last"}, default="first"
        Whether images are (n_channels, height, width) or (height, width, n_channels).
        There are one or three channels.
    value_range : tuple of (low, high), default=(0.0, 1.0)
        Values of black and of full intensity. Rows are rounded to 256 steps.

    Attributes
    ----------
    n_features_in_ : int
        ``X.shape[1]``: features of a row, or channels of an image.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    Raises
    ------
    ValueError
        If a parameter is invalid, rows have another shape or leave ``value_range``.
    ImportError
        If Pillow is not installed.

    References
    ----------
    .. [1] N. Das, M. Shanbhogue, S.-T. Chen, F. Hohman, L. Chen, M. E. Kounavis and D.
       H. Chau, "Keeping the Bad Guys Out: Protecting and Vaccinating Deep Learning with
       JPEG Compression", 2017, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.neural import JPEGCompressor
    >>> noise = np.random.default_rng(0).random((5, 1, 16, 16)).astype("float32")
    >>> smooth = JPEGCompressor(quality=10).fit_transform(noise)
    >>> smooth.shape, bool(smooth.std() < noise.std())
    ((5, 1, 16, 16), True)
    """

    _parameter_constraints: dict = {
        "quality": [Number(Integral, 1, 95, closed="both")],
        "image_shape": [tuple, list, None],
        "channels": [StrOptions({"first", "last"})],
        "value_range": [tuple, list],
    }

    def __init__(
        self, quality=75, *, image_shape=None, channels="first", value_range=(0.0, 1.0)
    ):
        self.quality = quality
        self.image_shape = image_shape
        self.channels = channels
        self.value_range = value_range

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def fit(self, X, y=None):
        """Check the rows.

        Parameters
        ----------
        X : {array-like, Tensor} of shape (n_samples, ...)
            Images, or flat rows.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer.
        """
        self._validate_params()
        self._bounds()
        self._images(self._validated(X, reset=True))
        return self

    def transform(self, X):
        """Compress images.

        Parameters
        ----------
        X : {array-like, Tensor} of shape (n_samples, ...)
            Images, or flat rows.

        Returns
        -------
        X : ndarray of shape (n_samples, ...)
            The same images with less detail: float64 as X is, or else float32, which
            networks take, also for whole numbers, float16 and lists.
        """
        self._validate_params()
        rows = self._validated(X, reset=not hasattr(self, "n_features_in_"))
        low, high = self._bounds()
        if rows.min() < low or rows.max() > high:
            raise ValueError(
                f"X must lie within value_range={self.value_range!r}; it has values "
                f"from {rows.min():.4g} to {rows.max():.4g}."
            )
        pixels = np.rint((self._images(rows) - low) * (255 / (high - low)))
        pixels = np.stack([self._compressed(p) for p in pixels.astype(np.uint8)])
        found = (low + (high - low) / 255 * pixels).clip(low, high)
        if self.channels == "first":
            found = np.moveaxis(found, -1, 1)
        return found.reshape(rows.shape).astype(rows.dtype)

    def _bounds(self):
        low, high = range_bounds(self.value_range)
        if low.ndim or high.ndim or not np.isfinite([low, high]).all():
            raise ValueError(
                "value_range must be two finite numbers, low < high; got "
                f"{self.value_range!r}."
            )
        return float(low), float(high)

    def _validated(self, X, *, reset):
        # What is of another type takes the first of these.
        return validate_data(
            self,
            without_tensor(X),
            reset=reset,
            dtype=[np.float32, np.float64],
            allow_nd=True,
        )

    def _images(self, rows):
        """Return rows as images with channels last."""
        shape = rows.shape[1:] if self.image_shape is None else tuple(self.image_shape)
        if len(shape) == 2:
            shape = (1, *shape) if self.channels == "first" else (*shape, 1)
        n_channels = shape[0 if self.channels == "first" else -1]
        if len(shape) != 3 or n_channels not in (1, 3):
            raise ValueError(
                f"images of one channel or three are needed, with channels "
                f"{self.channels}; got rows of the shape {rows.shape[1:]} and "
                f"image_shape={self.image_shape!r}."
            )
        if np.prod(shape) != np.prod(rows.shape[1:]):
            raise ValueError(
                f"image_shape={self.image_shape!r} has {np.prod(shape)} values, and "
                f"rows have {np.prod(rows.shape[1:])}."
            )
        images = rows.reshape(len(rows), *shape)
        return np.moveaxis(images, 1, -1) if self.channels == "first" else images

    def _compressed(self, pixels):
        image = _pillow().fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
        file = io.BytesIO()
        image.save(file, format="JPEG", quality=self.quality)
        return np.asarray(_pillow().open(file)).reshape(pixels.shape)


def _pillow():
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("JPEGCompressor needs Pillow: pip install pillow.") from error
    return Image
