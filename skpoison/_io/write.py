"""Files that appear whole or not at all."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from .errors import DataError
from .places import is_url, system_of


def check_free(path, force):
    """Raise an error if a file must not be written.

    Parameters
    ----------
    path : str or None
        Where to write; None and ``-`` are always free.
    force : bool
        Whether an existing file may be replaced.
    """
    if path in (None, "-"):
        return
    if is_url(path):
        _check_free_url(path, force)
        return
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{str(path)!r} is a folder, not a file.")
    if not path.absolute().parent.is_dir():
        raise DataError(f"There is no folder {str(path.parent)!r} to write to.")
    if not _is_device(path):
        _check_writable(path.absolute().parent)
    if os.path.lexists(path) and not force and not _is_device(path):
        raise DataError(f"{str(path)!r} exists already; --force replaces it.")


@contextlib.contextmanager
def whole_file(path, force=False):
    """Open a binary file that takes its name only when it has been written.

    Parameters
    ----------
    path : str
        Where to write.
    force : bool, default=False
        Whether an existing file may be replaced.

    Yields
    ------
    file : file object
        What to write to; if an error comes up, nothing is left of it. Pipes and
        devices are not replaced but written to.
    """
    check_free(path, force)
    if is_url(path):
        with _whole_url(path) as file:
            yield file
        return
    path = Path(path)
    if _is_device(path):
        with path.open("wb") as file:
            yield file
        return
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(name, 0o666 & ~_umask())
        _move(name, path, force)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _check_free_url(path, force):
    system, place = system_of(path)
    if system.isdir(place):
        raise DataError(f"{path!r} is a folder, not a file.")
    if not force and system.exists(place):
        raise DataError(f"{path!r} exists already; --force replaces it.")


@contextlib.contextmanager
def _whole_url(path):
    """Open a file elsewhere that takes its name only when it has been written."""
    system, place = system_of(path)
    folder, _, name = place.rpartition("/")
    hidden = f"{folder}/.{name}.{secrets.token_hex(4)}"
    system.makedirs(folder, exist_ok=True)
    try:
        with system.open(hidden, "wb") as file:
            yield file
        system.mv(hidden, place)
    finally:
        if system.exists(hidden):
            system.rm(hidden)


def _check_writable(folder):
    """Raise an error if no file can be made in a folder, at once and not at the end."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DataError(
            f"Nothing can be written to the folder {str(folder)!r}: {error.strerror}."
        ) from None


def _is_device(path):
    """Tell whether a path is a pipe or a device, which is written to as it is."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _move(name, path, force):
    if force:
        os.replace(name, path)
        return
    try:
        # Unlike a rename, a link never replaces a file that came up meanwhile.
        os.link(name, path)
    except FileExistsError:
        check_free(path, force)
    except OSError:  # a file system without links
        check_free(path, force)
        os.replace(name, path)


def _umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask
