"""Which partition, and which file, an error is about."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask

from skpoison._dask._partitions import (
    is_array,
    pair_of,
)

NAMED = re.compile(r"Partition (\d+): ")


@contextmanager
def told_of(X: Any, parts: list) -> Iterator[None]:
    """Say in errors of the partitions of X, as tuples, which file they are about.

    Errors that do not name a partition come from what makes it, such as a file that is
    broken. It is then looked for, which takes a pass at most.
    """
    try:
        yield
    except (TypeError, ValueError, OSError, ArithmeticError, LookupError) as error:
        found = NAMED.match(str(error))
        if found is None:
            _name_broken(X, parts, error)
            raise
        file = _file_of(X, int(found[1]), len(parts))
        if file is None or file in str(error):
            raise
        text = f"Partition {found[1]} ({file}): {str(error)[found.end() :]}"
        raise type(error)(text) from error


def _name_broken(X, parts, error):
    """Raise an error that names the first partition that cannot be computed, if any."""
    for i, part in enumerate(parts):
        try:
            dask.compute(_nothing(part))
        except type(error) as own:
            file = _file_of(X, i, len(parts))
            where = f"Partition {i}" if file is None else f"Partition {i} ({file})"
            raise ValueError(f"{where} cannot be read: {own}") from own


@dask.delayed(pure=False)
def _nothing(part):
    """Compute a partition, of which nothing is sent back."""
    pair_of(part)


def _file_of(X, i, n_parts):
    """Return the name of the file that a partition is read from, if it is known."""
    if is_array(X) or not hasattr(X, "expr"):
        return None
    for one in X.simplify().expr.walk():
        try:
            files = _files_of(one)
        except Exception:  # whatever an expression of another kind has
            continue
        if len(files) == n_parts:
            return files[i]
    return None


def _files_of(expression):
    """Return the file of each partition that an expression reads; [] for others."""
    if hasattr(expression, "fragments"):  # Parquet, read by Arrow
        return [str(getattr(one, "fragment", one).path) for one in expression.fragments]
    plan = getattr(expression, "_plan", None)
    if isinstance(plan, dict) and "parts" in plan:  # Parquet, through fsspec
        pieces = [part.get("piece") for part in plan["parts"]]
        return [str(piece[0]) for piece in pieces if piece]
    if "iterables" not in getattr(expression, "_parameters", ()):
        return []
    # Text: each partition is a task that has an open file.
    tasks = next(iter(expression.operand("iterables")), ())
    opened = [
        next((arg for arg in getattr(task, "args", ()) if hasattr(arg, "path")), None)
        for task in tasks
    ]
    return [] if None in opened else [str(one.path) for one in opened]
