"""Poison sets in the format that benchmarks publish them in."""

import io
import math
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from skpoison.datasets._pickles import load_plain

__all__ = ["load_published_poisons"]


def load_published_poisons(path):
    """Load a published poison set safely: three pickles, of which no code is run.

    The files are those of the poisoning benchmark [1]_, which EPIC's authors and others
    use: ``poisons.pickle``, pairs of an image and a label; ``base_indices.pickle``, the
    training rows that they take the place of; and ``target.pickle``, an image and its
    label, and optionally the patch on it and its position. Unpickling a file by the
    usual means runs whatever code its author put there. This function never looks up a
    name that a pickle refers to: it builds arrays, tensors and images from their bytes,
    and refuses a file that asks for anything else.

    Parameters
    ----------
    path : str or Path
        The folder of the three files.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        ``X_poison`` of shape (n_poison, n_channels, height, width), float32 between 0
        and 1; ``y_poison`` and ``base_indices`` of shape (n_poison,), int64;
        ``target`` of shape (n_channels, height, width), with the patch if there is one;
        ``target_label``; ``intended_label``, the label of the first poison row; and
        ``patch``, of the shape of a small image, with its ``patch_position`` (row,
        column), or None.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file holds anything but arrays, tensors, images and plain values, or these
        do not form a poison set.
    ImportError
        If a file holds tensors, and PyTorch is not installed.

    See Also
    --------
    skpoison.neural.GradientMatchingAttack : Crafts such poison.

    References
    ----------
    .. [1] A. Schwarzschild, M. Goldblum, A. Gupta, J. P. Dickerson and T. Goldstein,
       "Just How Toxic is Data Poisoning? A Unified Benchmark for Backdoor and Data
       Poisoning Attacks", ICML 2021.

    Examples
    --------
    >>> from skpoison.datasets import load_published_poisons
    >>> poisons = load_published_poisons("poisons/0")  # doctest: +SKIP
    >>> X[poisons.base_indices] = poisons.X_poison  # doctest: +SKIP
    """
    names = ("poisons", "base_indices", "target")
    poisons, bases, target = (_read(Path(path) / f"{name}.pickle") for name in names)
    try:
        return _as_set(poisons, bases, _target(*target))
    except Exception as error:
        # Values of any type come from the files, so errors of any type can arise.
        reason = str(error).removesuffix(".")
        raise ValueError(f"{path} is no poison set: {reason}.") from error


def _as_set(poisons, bases, target):
    """Return a poison set, checked, of what its files hold."""
    if not len(poisons):
        raise ValueError("it holds no poison rows")
    pairs = [(_image(image), int(label)) for image, label, *_ in poisons]
    labels = np.array([label for _, label in pairs], dtype=np.int64)
    X_poison = np.stack([image for image, _ in pairs])
    bases = np.asarray(bases).astype(np.int64, casting="same_kind").reshape(-1)
    if len(bases) != len(pairs) or target["target"].shape != X_poison.shape[1:]:
        raise ValueError(
            f"it has {len(pairs)} poison rows of the shape {X_poison.shape[1:]}, "
            f"{len(bases)} rows that they replace, and a target of the shape "
            f"{target['target'].shape}"
        )
    if bases.min() < 0:
        raise ValueError(f"they replace a row of the number {bases.min()}")
    return Bunch(
        X_poison=X_poison,
        y_poison=labels,
        base_indices=bases,
        intended_label=int(labels[0]),
        **target,
    )


def _read(path):
    more = {
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch.storage", "_load_from_bytes"): _storage,
    }
    with path.open("rb") as file:
        return load_plain(file, str(path), more)


def _storage(data):
    """Return the numbers of a tensor, by torch's own reader of weights."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "Reading tensors needs PyTorch: pip install torch."
        ) from error
    storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    flat = torch.empty(0, dtype=storage.dtype)
    return flat.set_(storage._untyped_storage).clone().numpy()


def _tensor(values, offset, shape, strides, *_):
    """Return a tensor as an array, if all of its values are there."""
    steps = zip(shape, strides, strict=True)
    last = offset + sum((size - 1) * step for size, step in steps)
    n_values = math.prod(shape)
    if min((offset, *shape, *strides)) < 0 or n_values > len(values):
        raise ValueError(f"a tensor of the shape {shape} has {len(values)} values")
    if n_values and last >= len(values):
        raise ValueError("a tensor reaches beyond its values")
    places = np.full(shape, offset)
    for axis, step in enumerate(strides):
        along = [1] * len(shape)
        along[axis] = -1
        places += step * np.arange(shape[axis]).reshape(along)
    return values[places]


def _image(image):
    """Return an image with its channels first, as float32 between 0 and 1."""
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[..., None]
    if image.dtype == np.uint8:
        # Images of bytes have their channels last, as Pillow has them.
        return image.transpose(2, 0, 1) / np.float32(255)
    if image.dtype.kind != "f" or image.ndim != 3:
        raise ValueError(
            f"images are needed; got {image.dtype} of the shape {image.shape}."
        )
    return _in_range(image).astype(np.float32)


def _in_range(image):
    # NaN is in no range.
    if not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(
            "a tensor that is an image must lie between 0 and 1; it has values from "
            f"{image.min():.4g} to {image.max():.4g}"
        )
    return image


def _target(image, label, patch=None, position=None):
    """Return the target as it is shown to the victim."""
    image = _image(image)
    if patch is not None:
        patch = _in_range(np.asarray(patch, dtype=np.float32))
        column, row = (int(start) for start in position)
        window = image[
            :, row : row + patch.shape[-2], column : column + patch.shape[-1]
        ]
        if row < 0 or column < 0 or window.shape != patch.shape:
            raise ValueError(f"a patch at {position} does not fit in the target")
        window[:] = patch
        position = row, column
    return {
        "target": image,
        "target_label": int(label),
        "patch": patch,
        "patch_position": position,
    }
