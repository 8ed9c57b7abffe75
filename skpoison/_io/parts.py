"""Tables in many files: folders and globs of CSV, TSV or Parquet, here or elsewhere."""

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .errors import DataError
from .places import is_url, system_of
from .source import Source, format_of_name

FORMATS = ("csv", "tsv", "parquet")
# What tells whether a file elsewhere has changed, by what its file system calls it.
CHANGED = ("ETag", "etag", "LastModified", "last_modified", "mtime", "created")


class Part(NamedTuple):
    """A file: its name, its place under the folder, and what tells if it changes."""

    name: str
    place: str
    size: int
    changed: str


@dataclass(frozen=True)
class Parts:
    """The files that hold a table, in the order of their names.

    `left_out` are names of files in a folder that hold no table.
    """

    name: str
    files: tuple
    left_out: tuple = ()

    def __len__(self):
        return len(self.files)


def is_many(name):
    """Tell whether a name is one of a folder, or a glob.

    Examples
    --------
    >>> is_many("."), is_many("data/*.csv"), is_many("rows.csv"), is_many("-")
    (True, True, False, False)
    """
    if name in (None, "-"):
        return False
    if not is_url(name):
        path = Path(name)
        return path.is_dir() or (glob.has_magic(name) and not path.exists())
    if glob.has_magic(name):
        return True
    try:
        system, path = system_of(name)
        return system.isdir(path)
    except DataError:  # which reading it will say
        return False


@contextmanager
def named(part):
    """Say in errors which file they are about."""
    try:
        yield
    except Exception as error:
        text = str(error) or "there is not enough memory for it"
        if part.name in text:
            raise
        if not isinstance(error, (ValueError, TypeError, OSError, MemoryError)):
            text = f"{type(error).__name__}: {text}"
        raise DataError(f"{part.name}: {text}") from error


def find_parts(name, format=None):
    """Find the files of a folder or a glob.

    Parameters
    ----------
    name : str
        The folder, which is searched with all folders in it, or the glob; a path or a
        URL. Files and folders whose names begin with ``_`` or ``.`` are left out.
    format : str, default=None
        The format, where names do not say it.

    Returns
    -------
    parts : Parts
        The files.

    Raises
    ------
    DataError
        If there are none, or they have several formats.
    """
    found = _found_elsewhere(name) if is_url(name) else _found_here(name)
    parts, left_out = [], []
    for part, is_named in sorted(found):
        if any(step.startswith(("_", ".")) for step in part.place.split("/")):
            continue
        if is_named or format or format_of_name(part.name) in FORMATS:
            parts.append(part)
        else:
            left_out.append(part.name)
    if not parts:
        raise DataError(f"There are no CSV, TSV or Parquet files in {name!r}.")
    _check_formats(parts, format)
    return Parts(name, tuple(parts), tuple(left_out))


def _check_formats(parts, format):
    """Refuse files of other formats, and of several; names tell them, or contents."""
    of_format = {}
    for part in parts:
        kind = format or format_of_name(part.name)
        if kind is None and part.size:
            kind = Source(part.name).format
        of_format.setdefault(kind or FORMATS[0], part.name)
    told = " and ".join(
        f"{file!r} is {kind.upper()}" for kind, file in of_format.items()
    )
    if len(of_format) > 1:
        raise DataError(f"The files of a folder or glob must have one format: {told}.")
    if not of_format.keys() <= set(FORMATS):
        raise DataError(
            f"Folders and globs must be of CSV, TSV or Parquet files: {told}."
        )


def _root_of(name):
    """Return the folder under which all files are; empty for the current one."""
    if not glob.has_magic(name):
        return name
    steps = name.split("/")
    first = next(i for i, step in enumerate(steps) if glob.has_magic(step))
    return "/".join(steps[:first]) or ("/" if name.startswith("/") else "")


def _found_here(name) -> Iterator[tuple]:
    root = Path(name if Path(name).is_dir() else _root_of(name))
    matches = [name] if Path(name).is_dir() else glob.glob(name, recursive=True)
    found = {}
    for match in map(Path, matches):
        inside = match.rglob("*") if match.is_dir() else ()
        found |= {path: False for path in inside if path not in found}
        found[match] = match.is_file()
    for path, is_named in found.items():
        if path.is_file():
            known, place = path.stat(), path.relative_to(root).as_posix()
            told = known.st_size, str(known.st_mtime_ns)
            yield Part(str(path), place, *told), is_named


def _found_elsewhere(name) -> Iterator[tuple]:
    system, path = system_of(name)
    system.invalidate_cache()
    is_glob = glob.has_magic(path)
    found = (system.glob if is_glob else system.find)(path, detail=True)
    start = len(_root_of(path).rstrip("/")) + 1
    for file, info in found.items():
        if info["type"] == "file":
            changed = next((str(info[key]) for key in CHANGED if key in info), "")
            told = file[start:], info["size"], changed
            yield Part(system.unstrip_protocol(file), *told), is_glob
