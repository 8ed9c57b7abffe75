"""What the headers of all certificate files hold."""

import json
import os
import platform
import zipfile
from importlib.metadata import version
from typing import Any

import numpy as np

from skpoison import __version__
from skpoison.verify import _file
from skpoison.verify._rows import Rows, digest_of_names

PACKAGES = ("scikit-learn", "numpy", "scipy")
LONGEST = 1000


def common_header(
    kind: str,
    rows: Rows,
    sha256: str,
    *,
    names: Any,
    encoding: dict | None,
    classes: list | None,
    learner: str,
) -> dict:
    """Return the fields that do not depend on what is certified."""
    if names is not None and len(names) != rows.n_features:
        raise ValueError(
            f"feature_names must have {rows.n_features} names, one for each column; "
            f"got {len(names)}."
        )
    _check_json(encoding)
    packages = {name: version(name) for name in PACKAGES}
    packages |= {"skpoison": __version__, "python": platform.python_version()}
    return {
        "format": _file.FORMAT,
        "version": _file.VERSION,
        "kind": kind,
        "packages": packages,
        "n_rows": len(rows.counts),
        "n_features": rows.n_features,
        "rows_sha256": sha256,
        "columns_sha256": None if names is None else digest_of_names(names),
        "encoding": encoding,
        "classes": classes,
        "learner": learner,
    }


def write(file: Any, header: dict, arrays: dict) -> None:
    """Write a certificate to a binary file."""
    text = json.dumps(header, allow_nan=False, sort_keys=True).encode()
    if len(text) > _file.MAX_HEADER:
        raise ValueError(
            f"encoding and names take {len(text)} bytes of JSON; at most "
            f"{_file.MAX_HEADER} are allowed."
        )
    members = {_file.HEADER: text}
    for name, (kind, _) in _file.ARRAYS[header["kind"]].items():
        array = np.ascontiguousarray(arrays[name], dtype=kind)
        members[f"{name}.npy"] = _file.head(kind, array.shape) + array.tobytes()
    members[_file.SEAL] = _file.seal(members)
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def check_free(path: Any, overwrite: bool) -> None:
    """Raise an error where a file is to be kept."""
    if not overwrite and os.path.lexists(path):
        raise ValueError(
            f"{os.fspath(path)!r} exists already; overwrite=True replaces it."
        )


def _check_json(encoding):
    try:
        json.dumps(encoding, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"encoding must be valid JSON: {error}.") from None
    if not _file.is_plain(encoding, _file.DEEPEST - 1):
        raise ValueError(
            f"encoding must be nested {_file.DEEPEST - 2} deep at most, and its text "
            "without surrogates."
        )
    if encoding is not None and not isinstance(encoding, dict):
        raise ValueError(f"encoding must be a dict or None; got {encoding!r:.100}.")


def in_words(thing: Any) -> str:
    """Return how an object shows itself, on one line and not too long."""
    text = " ".join(repr(thing).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
