"""Columns turned into numbers of comparable size, and what to say of them."""

import shlex
from dataclasses import replace
from typing import NamedTuple

from skpoison._columns import numbered, scale_for, times_text, widest
from skpoison._io.jsonl import JsonData
from skpoison._io.matrix import ArrayData

from .session import warn

DONE = {
    "standard": "standardized",
    "maxabs": "divided by their largest magnitude",
}


class Encoded(NamedTuple):
    """Rows as numbers, and what made numbers of them.

    `unscaled` has the same columns as they were, if they were scaled because one
    decided alone. The scale of `encoding` is never "auto". `widest` is what
    :func:`skpoison._columns.widest` says of the columns without a scale.
    """

    X: object
    unscaled: object
    encoder: object
    encoding: object
    widest: tuple | None


def encode(data, rows, encoding):
    """Learn from rows how to turn rows into numbers, and turn them.

    With the scale "auto", columns of numbers are scaled if one decides alone.
    """
    auto, X = encoding.scale == "auto", None
    if auto:
        encoding = replace(encoding, scale="none")
    encoder = data.encoder(rows, encoding)
    unscaled = encoder.transform(data, rows)
    if encoder.scaled:
        return Encoded(unscaled, None, encoder, encoding, None)
    found = widest(unscaled)
    if found and auto:
        scaled = replace(encoding, scale=scale_for(unscaled))
        encoder = data.encoder(rows, scaled)
        if encoder.scaled:
            X = encoder.transform(data, rows)
            return Encoded(X, unscaled, encoder, scaled, found)
    return Encoded(unscaled, None, encoder, encoding, found)


def tell_of_columns(session, data, encoded, domain="real"):
    """Say what columns were taken for, and what there is to know about them."""
    tell_of_roles(session, data, encoded)
    if encoded.widest is None:
        return
    column, ratio, share = encoded.widest
    found = (
        f"olumn {encoded.encoder.names[column]!r} has {times_text(ratio)} times the "
        f"median standard deviation of the others and {100 * share:.1f} % of the "
        "squared distances"
    )
    if encoded.encoder.scaled:
        session.say(
            f"C{found}, so numeric columns are {DONE[encoded.encoding.scale]} (--scale "
            "none leaves them unchanged)."
        )
        return
    way_out = "--scale standard makes columns comparable"
    if domain != "real":
        way_out = f"--domain {domain} leaves columns unscaled"
    warn(f"c{found}, so it dominates the distances of the filter. {way_out}.")


def tell_of_roles(session, data, encoded):
    """Say what columns were taken for, and which of them look like names of rows."""
    if isinstance(data, JsonData):
        session.say(data.read_as(encoded.encoder.roles))
    for name, what in _names_of_rows(data, encoded):
        drop = f"; --drop {shlex.quote(name)} leaves it out"
        can_drop = not isinstance(data, ArrayData)
        warn(
            f"column {name!r} {what}, and counts as a feature like any other"
            f"{drop if can_drop else ''}."
        )


def _names_of_rows(data, encoded):
    """Yield columns that look like names of the rows, and what they look like."""
    kinds = {
        "numbering": "numbers the rows",
        "unique": "holds another whole number in every row, as customer numbers do "
        "(though a quantity can, too)",
        "words": "holds another word in every row, as names do",
    }
    if isinstance(data, ArrayData):
        numbering, unique = numbered(data.X)
        found = [(data.columns[j], "numbering") for j in numbering]
        found += [(data.columns[j], "unique") for j in unique]
    else:
        found = data.names_of_rows(encoded.encoding.text)
    for name, kind in found:
        yield name, kinds[kind]
