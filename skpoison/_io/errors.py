"""What goes wrong with files."""

import shlex


class DataError(ValueError):
    """A file cannot be read, or what it holds cannot be used.

    The message is one sentence or two, for the person who gave the file.
    """


def all_of(problems, what="columns"):
    """Return several problems as one, given by the names of the columns that have them.

    Examples
    --------
    >>> all_of({"a": "Lists.", "b": "Bytes."})
    '2 columns cannot be read. Lists. Bytes. --drop a --drop b leaves all of them out.'
    """
    texts = " ".join(problems.values())
    if len(problems) == 1:
        return texts
    drops = " ".join(f"--drop {shlex.quote(name)}" for name in problems)
    found = f"{len(problems)} {what} cannot be read."
    return f"{found} {texts} {drops} leaves all of them out."


def quoted(values, most=8):
    """Return values as a short list in words: ``'a', 'b' and 3 more``."""
    values = list(values)
    shown = [repr(value) for value in values[:most]]
    if len(values) > most:
        return f"{', '.join(shown)} and {len(values) - most:,} more"
    return ", ".join(shown[:-1]) + (" and " if len(shown) > 1 else "") + shown[-1]
