"""What the headers of all certificate files hold."""

import platform
from importlib.metadata import version
from typing import Any

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


def in_words(thing: Any) -> str:
    """Return how an object shows itself, on one line and not too long."""
    text = " ".join(repr(thing).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
