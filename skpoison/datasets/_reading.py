"""Files that are not what they should be."""

from contextlib import contextmanager

# What is not about what a file holds.
OTHERS = (FileNotFoundError, PermissionError, ImportError, MemoryError)


@contextmanager
def reading(path, kind):
    """Say which file it is where reading one goes wrong, and what it should be.

    Parameters
    ----------
    path : str or Path
        The file, or folder.
    kind : str
        What it should be.

    Yields
    ------
    None
        In between the file is read, and checked.

    Raises
    ------
    ValueError
        If that raises an error that is about what the file holds.
    """
    try:
        yield
    except OTHERS:
        raise
    except Exception as error:
        # Readers of formats raise errors of any kind where a file is broken.
        reason = str(error).strip().removesuffix(".") or type(error).__name__
        raise ValueError(f"{path} is no {kind}: {reason}.") from error
