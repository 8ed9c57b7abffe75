"""Large files of delimited text are parsed while the solvers are imported.

Parsing is compiled code that lets other threads go on, importing is not, and both take
about as long for a file of a few hundred megabytes.
"""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .places import is_url
from .source import format_of_name

# Smaller files are parsed before a thread would have begun.
LARGE_BYTES = 1 << 23
_begun = {}


@contextlib.contextmanager
def begun(name, options, read):
    """Return a context in which :func:`take` finds what a thread reads.

    Parameters
    ----------
    name : str or None
        A path. Other places, small files and other formats are not begun.
    options : Options
        What to know about the file.
    read : callable
        Reads it, given both.
    """
    if not _is_large_text(name, options):
        yield
        return
    # What threads import at the same time, one of them can see half done.
    import pyarrow.compute
    import pyarrow.csv  # noqa: F401

    from . import csv, labels, table  # noqa: F401

    with ThreadPoolExecutor(1) as thread:
        _begun[name, options] = thread.submit(read, name, options)
        try:
            yield
        finally:
            _begun.pop((name, options), None)


def take(name, options):
    """Return what a thread reads, once and as soon as it is there; else None."""
    found = _begun.pop((name, options), None)
    return None if found is None else found.result()


def _is_large_text(name, options):
    if name is None or is_url(name):
        return False
    path = Path(name)
    is_text = (options.format or format_of_name(name)) in ("csv", "tsv")
    return is_text and path.is_file() and path.stat().st_size >= LARGE_BYTES
