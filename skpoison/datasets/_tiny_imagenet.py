"""Tiny ImageNet from the files that it is published as."""

import io
import zipfile
from pathlib import Path

import numpy as np

from skpoison.datasets._images import as_bunch
from skpoison.datasets._reading import reading


def load_tiny_imagenet(path, *, scale=True):
    """Load Tiny ImageNet, color images of 200 kinds of things.

    Needs Pillow. As float32, all of it takes about 5 GB of memory.

    Parameters
    ----------
    path : str or Path
        The published archive, ``tiny-imagenet-200.zip``, or the folder in it.
    scale : bool, default=True
        Whether to return pixels as float32 between 0 and 1, or else as uint8.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        ``X_train`` of shape (100000, 3, 64, 64), ``y_train`` of shape (100000,), int64,
        ``X_test`` of shape (10000, 3, 64, 64) and ``y_test`` of shape (10000,), those
        published for validation, for the others have no labels; and ``label_names``,
        WordNet's identifiers, sorted. Rows are in the order of labels and names.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path, or a file is missing there.
    ValueError
        If what is there is something else.
    ImportError
        If Pillow is not installed.

    References
    ----------
    .. [1] Y. Le and X. Yang, "Tiny ImageNet Visual Recognition Challenge", 2015.

    Examples
    --------
    >>> from skpoison.datasets import load_tiny_imagenet
    >>> data = load_tiny_imagenet("tiny-imagenet-200.zip")  # doctest: +SKIP
    >>> data.X_train.shape  # doctest: +SKIP
    (100000, 3, 64, 64)
    """
    with _TinyFiles(Path(path)) as files:
        names = sorted(files.text("wnids.txt").split())
        found = {"train": _tiny_train(files, names), "test": _tiny_test(files, names)}
        parts = {}
        for part, marks in found.items():
            parts[f"X_{part}"] = _decoded(files, [file for file, _ in marks])
            parts[f"y_{part}"] = np.array([code for _, code in marks])
    return as_bunch(parts, scale, label_names=names)


def _tiny_train(files, names):
    return [
        (file, code)
        for code, name in enumerate(names)
        for file in files.in_folder(f"train/{name}/images")
    ]


def _tiny_test(files, names):
    path = "val/val_annotations.txt"
    lines = files.text(path).splitlines()
    with reading(files.path / path, "list of images and labels"):
        marks = [line.split("\t")[:2] for line in lines]
        found = [(names.index(name), f"val/images/{file}") for file, name in marks]
        return [(file, code) for code, file in sorted(found)]


class _TinyFiles:
    """Files of Tiny ImageNet, in a folder or an archive."""

    def __init__(self, path):
        self.path, self.archive, self.names = path, None, {}
        if not path.is_dir():
            with reading(path, "zip archive, and no folder"):
                self.archive = zipfile.ZipFile(path)
            self.names = dict.fromkeys(sorted(self.archive.namelist()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.archive is not None:
            self.archive.close()

    def read(self, name):
        if self.archive is None:
            return (self.path / name).read_bytes()
        if f"tiny-imagenet-200/{name}" not in self.names:
            raise FileNotFoundError(f"{self.path} has no {name}.")
        with reading(self.path, "whole zip archive"):
            return self.archive.read(f"tiny-imagenet-200/{name}")

    def text(self, name):
        data = self.read(name)
        with reading(self.path / name, "text"):
            return data.decode()

    def in_folder(self, name):
        if self.archive is None:
            return sorted(f"{name}/{p.name}" for p in (self.path / name).iterdir())
        folder = f"tiny-imagenet-200/{name}/"
        inside = [n for n in self.names if n.startswith(folder) and n != folder]
        return [n.removeprefix("tiny-imagenet-200/") for n in inside]


def _decoded(files, names):
    """Return images as one array of shape (n_images, 3, 64, 64)."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            'Pillow is needed: pip install "skpoison[neural]".'
        ) from error
    images = np.empty((len(names), 64, 64, 3), dtype=np.uint8)
    for place, name in zip(images, names, strict=True):
        data = files.read(name)
        with reading(files.path / name, "image of 64 x 64 pixels"):
            image = Image.open(io.BytesIO(data))
            if image.size != (64, 64):
                raise ValueError(f"its size is {image.size}")
            place[:] = image.convert("RGB")
    return images.transpose(0, 3, 1, 2)
