"""Something to do while a file is read outside of Python."""

import contextlib
import threading

_waiting = []


@contextlib.contextmanager
def meanwhile(work):
    """Have something done while files are read, if it comes to that.

    Parameters
    ----------
    work : callable
        What is done, once at most, in a thread of its own. It may import modules:
        nothing else is imported before it has ended.
    """
    _waiting.append(work)
    try:
        yield
    finally:
        _waiting.clear()


@contextlib.contextmanager
def reading():
    """Do what waits to be done, beside a body that imports nothing."""
    threads = [threading.Thread(target=work, daemon=True) for work in _waiting]
    _waiting.clear()
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()
