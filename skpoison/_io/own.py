"""Columns that ``skpoison filter`` adds to rejected rows, in files that come back."""

import json

from .json_rows import dumped

PREFIX = "skpoison_"
VERDICT = "verdict"


def own_columns(names):
    """Return those among the names of columns that skpoison added.

    Examples
    --------
    >>> own_columns(["a", "skpoison_row", "verdict"]), own_columns(["a", "verdict"])
    (['skpoison_row', 'verdict'], [])
    """
    own = [name for name in names if name.startswith(PREFIX)]
    return [*own, VERDICT] if own and VERDICT in names else own


def line_without_own(line):
    """Return a JSON object, as bytes, without fields that skpoison added.

    Examples
    --------
    >>> line_without_own(b'{"a": 1.50, "skpoison_row": 3, "verdict": ""}')
    b'{"a": 1.50}'
    """
    if PREFIX.encode() not in line:
        return line
    values = json.loads(line)
    own = own_columns(values)
    rest = {name: value for name, value in values.items() if name not in own}
    if not own:
        return line
    # They are the last ones, so that the others can stay as they are written.
    start, found, _ = line.partition(b', "' + own[0].encode() + b'"')
    if found and _loads(start + b"}") == rest:
        return start + b"}"
    return dumped(rest).encode()


def _loads(text):
    try:
        return json.loads(text)
    except ValueError:
        return None
