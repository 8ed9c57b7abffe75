"""What goes wrong with files."""


class DataError(ValueError):
    """A file cannot be read, or what it holds cannot be used.

    The message is one sentence or two, for the person who gave the file.
    """


def quoted(values, most=8):
    """Return values as a short list in words: ``'a', 'b' and 3 more``."""
    values = list(values)
    shown = [repr(value) for value in values[:most]]
    if len(values) > most:
        return f"{', '.join(shown)} and {len(values) - most} more"
    return ", ".join(shown[:-1]) + (" and " if len(shown) > 1 else "") + shown[-1]
