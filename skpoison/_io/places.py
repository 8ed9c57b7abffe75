"""Places of files: paths, and URLs that fsspec knows, such as ``s3://bucket/rows``."""

import contextlib
import shutil
from pathlib import Path

from .errors import DataError


def is_url(name):
    """Tell whether a file is named by a URL, and not by a path.

    Examples
    --------
    >>> is_url("s3://bucket/rows.csv"), is_url("data/rows.csv")
    (True, False)
    """
    return "://" in str(name)


def check_exists(name):
    """Raise an error if there is nothing at a path."""
    if not Path(name).exists():
        raise DataError(f"There is no file {name!r}.")


def system_of(url):
    """Return the file system of a URL, and the path in it."""
    try:
        import fsspec

        return fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise DataError(f"{url} cannot be opened: {error}.") from error


def open_url(url):
    """Open a file elsewhere for reading, or say that there is none."""
    system, path = system_of(url)
    try:
        return system.open(path, "rb")
    except FileNotFoundError as error:
        raise DataError(f"There is no file {url!r}.") from error
    except IsADirectoryError as error:
        raise DataError(f"{url!r} is a folder, not a file.") from error


def joined(folder, place):
    """Return the name of a file in a folder, given its place there."""
    if is_url(folder):
        return f"{folder.rstrip('/')}/{place}"
    return str(Path(folder, place))


def real_place(name):
    """Return a name by which places can be compared."""
    if not is_url(name):
        return Path(name).resolve().as_posix()
    system, path = system_of(name)
    return system.unstrip_protocol(path).rstrip("/")


def files_in(folder):
    """Return the sizes of all files in a folder, by their places there."""
    if not is_url(folder):
        root = Path(folder)
        found = (path for path in root.rglob("*") if path.is_file())
        return {
            path.relative_to(root).as_posix(): path.stat().st_size for path in found
        }
    system, root = system_of(folder)
    system.invalidate_cache()
    found = system.find(root, detail=True)
    start = len(root.rstrip("/")) + 1
    return {path[start:]: info["size"] for path, info in found.items()}


def size_of(name):
    """Return the size of a file."""
    if not is_url(name):
        return Path(name).stat().st_size
    system, path = system_of(name)
    return system.size(path)


def read_place(name):
    """Return the content of a file, or None if there is none."""
    if is_url(name):
        with contextlib.suppress(DataError), open_url(name) as file:
            return file.read()
        return None
    with contextlib.suppress(FileNotFoundError):
        return Path(name).read_bytes()
    return None


def make_folder_of(name):
    """Make the folder that a file is to be written to."""
    if not is_url(name):  # where files elsewhere are written, folders are made
        Path(name).parent.mkdir(parents=True, exist_ok=True)


def remove_place(name):
    """Remove a file, if there is one."""
    if not is_url(name):
        Path(name).unlink(missing_ok=True)
        return
    system, path = system_of(name)
    with contextlib.suppress(FileNotFoundError):
        system.rm(path)


def remove_folder(folder):
    """Remove a folder with all that is in it, if there is one."""
    if not is_url(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    system, path = system_of(folder)
    if system.exists(path):
        system.rm(path, recursive=True)
