"""Where rows stand, and what names a row wherever it stands."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from os import path
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from scipy import sparse

from skpoison._io.matrix import ArrayData
from skpoison._io.own import line_without_own, own_columns
from skpoison._words import label_text


def uri_of(name: str) -> str:
    """Return the URI of a file: relative within the working directory, else absolute.

    Examples
    --------
    >>> uri_of("data/a file.csv")
    'data/a%20file.csv'
    """
    here, there = Path.cwd(), Path(path.abspath(name))
    if there.is_relative_to(here):
        return quote(there.relative_to(here).as_posix())
    return there.as_uri()


def fingerprints(data: Any, rows: np.ndarray) -> list[str]:
    """Return what names each row by its cells alone, whatever its place in the file.

    Equal rows are told apart by counting them: ``hash:1``, ``hash:2`` and so on.
    """
    if not len(rows):
        return []
    order = np.argsort(rows, kind="stable")
    seen: Counter[str] = Counter()
    found = [""] * len(rows)
    for place, text in zip(order.tolist(), _texts(data, rows[order]), strict=True):
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        seen[digest] += 1
        found[place] = f"{digest}:{seen[digest]}"
    return found


def _texts(data: Any, rows: np.ndarray) -> Iterator[str]:
    """Yield a text for each row, which says all that its cells hold."""
    if isinstance(data, ArrayData):
        yield from _texts_of_matrix(data, rows)
        return
    content = data.taken(rows, {})
    if hasattr(content, "to_pylist"):
        content = content.drop_columns(own_columns(content.column_names))
        yield from map(_dumped, content.to_pylist())
        return
    for line in content:
        yield _dumped(json.loads(line_without_own(line)))


def _texts_of_matrix(data, rows):
    X = sparse.csr_array(data.X[rows])
    X.sort_indices()
    texts = [label_text(value) for value in data.labels.values]
    for i, code in enumerate(data.labels.codes[rows].tolist()):
        row = X[[i]]
        yield _dumped([texts[code], row.indices.tolist(), row.data.tolist()])


def _dumped(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=_plain)


def _plain(value):
    """Write what JSON has no word for, such as dates in Parquet files."""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
