"""Columns turned into numbers of comparable size, and what to say of them."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from skpoison._columns import numbered, scale_for, times_text, widest
from skpoison._io import DataError
from skpoison._io.jsonl import JsonData
from skpoison._io.matrix import ArrayData

from .read_columns import say_missing_elsewhere, say_what_is_missing, show_columns
from .session import warn

DONE = {
    "standard": "standardized",
    "maxabs": "divided by their largest magnitude",
}


class Encoded(NamedTuple):
    """Rows as numbers, and what made numbers of them.

    `unscaled` has the same columns as they were, if they were scaled because one
    decided alone. The scale of `encoding` is never "auto". `widest` is what
    :func:`skpoison._columns.widest` says of the columns without a scale. `n_dropped`
    rows were left out because they lack a value.
    """

    X: object
    unscaled: object
    encoder: object
    encoding: object
    widest: tuple | None
    n_dropped: int = 0

    @property
    def plan(self):
        """How columns of a table were read; None for a matrix."""
        return getattr(self.encoder, "plan", None)

    @property
    def columns(self):
        """What the JSON says of the columns of a table."""
        return [one.describe() for one in self.plan.columns] if self.plan else []


def complete(data, encoding, like=None):
    """Return data without rows that lack a value, if these are not to be filled.

    Columns are read as in `like`, from which everything is learned, if it is given.
    """
    if isinstance(data, ArrayData) or encoding.missing not in ("drop-rows", "error"):
        return data
    plan = (like or data).plan(encoding)
    masks = plan.missing_in(data)
    if masks and encoding.missing == "error":
        plan.refuse_missing(data, masks)
    if not masks:
        return data
    whole = ~sum(masks.values()).astype(bool)
    if not whole.any():
        raise DataError(
            f"{data.source} has no row without missing values; fill them with "
            "--missing indicator or impute."
        )
    return data.only(whole, relabel=like is None)


def encode(data, rows, encoding):
    """Learn from rows how to turn rows into numbers, and turn them.

    With the scale "auto", columns of numbers are scaled if one decides alone.
    """
    found = _encode(data, rows, encoding)
    return found._replace(n_dropped=data.n_dropped)


def _encode(data, rows, encoding):
    auto = encoding.scale == "auto"
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


def unscaled_rows(data, encoded):
    """Return all rows of some data as numbers in the columns' own scale."""
    if encoded.unscaled is not None:
        return encoded.unscaled
    if not encoded.encoder.scaled:
        return encoded.X
    rows = np.arange(len(data))
    encoder = data.encoder(rows, replace(encoded.encoding, scale="none"))
    return encoder.transform(data, rows)


def tell_of_columns(session, data, encoded, reading, domain=None):
    """Say how columns were read, and what there is to know about them.

    `domain` is what an attacker can send, for commands that compute bounds.
    """
    tell_of_roles(session, data, encoded, reading, domain is not None)
    if encoded.widest is not None:
        _tell_of_widest(session, encoded, domain)


def tell_of_roles(session, data, encoded, reading, bounds=False):
    """Say how columns were read; with `bounds`, that bounds are over rows like that."""
    if isinstance(data, JsonData):
        session.say(data.read_as(encoded.plan))
    if encoded.plan:
        show_columns(session, encoded.plan, reading.show_columns)
        say_what_is_missing(session, encoded, bounds)
    else:
        _warn_of_numbered(data)


def say_of_other_rows(session, encoded, data):
    """Say how many cells are missing in rows that nothing is learned from."""
    if encoded.plan:
        masks = encoded.plan.missing_in(data)
        say_missing_elsewhere(session, data.source, masks)


def _warn_of_numbered(data):
    """Warn of columns of a matrix that look like names of the rows."""
    numbering, unique = numbered(data.X)
    of_kind = {
        "numbers the rows": numbering,
        "holds another whole number in every row, as customer numbers do (though a "
        "quantity can, too)": unique,
    }
    for what, columns in of_kind.items():
        for j in columns:
            name = data.columns[j]
            warn(f"column {name!r} {what}, and counts as a feature like any other.")


def _tell_of_widest(session, encoded, domain):
    column, ratio, share = encoded.widest
    found = (
        f"olumn {encoded.encoder.names[column]!r} has {times_text(ratio)} times the "
        f"median standard deviation of the others and {100 * share:.1f} % of the "
        "squared distances"
    )
    if encoded.encoder.scaled:
        done = DONE[encoded.encoding.scale]
        session.say(
            f"C{found}, so numeric columns are {done} (--scale none leaves them "
            "unchanged)."
        )
        return
    way_out = "--scale standard makes columns comparable"
    if domain not in (None, "real", "nonnegative"):
        way_out = f"--domain {domain} leaves columns unscaled"
    warn(f"c{found}, so it dominates the distances of the filter. {way_out}.")
