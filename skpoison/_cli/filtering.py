"""The steps of ``skpoison filter``: rows are read, judged, shown and written."""

from dataclasses import replace

import numpy as np

from skpoison._io import load
from skpoison._io.read import load_test

from . import found as words
from . import judgement, kinds, picture, report, review
from .columns import complete, encode, say_of_other_rows, tell_of_columns
from .files import write_rows
from .other_rows import check_columns, check_dropped, say_of_columns


def read_rows(session, data, trusted, options, encoding):
    """Return the rows, the trusted ones if there are any, and how both are encoded."""
    with session.step(f"Reading {data}"):
        if not trusted:
            return complete(load(data, options), encoding, None), None, encoding
        # Either file may lack a column that is to be left out.
        clean = load(trusted, replace(options, drop_if_there=True))
        clean = complete(clean, encoding)
        # What no trusted row varies in can tell of others all the same.
        encoding = replace(encoding, drop_constant=False)
        # A row whose label no trusted row has is rejected, and stops no other.
        rows = load_test(data, clean, options, True)
        check_dropped(options.drop, rows, clean)
        check_columns(rows, clean, encoding)
        return complete(rows, encoding, clean), clean, encoding


def encode_rows(session, rows, clean, encoding, reading):
    """Return encoded rows, the trusted ones with targets, and how columns were read."""
    source = clean or rows
    with session.step("Encoding"):
        encoded = encode(source, np.arange(len(source)), encoding)
    tell_of_columns(session, source, encoded, reading)
    if not clean:
        return encoded.X, None, encoded
    X = encoded.encoder.transform(rows, np.arange(len(rows)))
    say_of_columns(session, rows, source, encoded.plan)
    say_of_other_rows(session, encoded, rows)
    return X, (encoded.X, clean.labels.targets), encoded


def judge_rows(session, kind, percentile, X, rows, trusted_rows):
    """Return what a filter says of the rows."""
    if trusted_rows and kind in kinds.TRAINING_ROWS_ONLY:
        session.say(
            f"--filter {kind} scores only rows that it is fitted on, so it is fitted "
            "on trusted and new rows together. Only new rows are rejected."
        )
    with session.step("Filtering"):
        y = rows.labels.targets
        return judgement.judge(kind, percentile, X, y, trusted_rows)


def show_rows(session, kind, rows, numbers):
    """Print what was rejected, by the words that a filter has for it."""
    if kind == "auto":
        words.show_suspicions(session, rows.source, numbers)
        return
    report.show_counts(session, rows.source, numbers)
    if kind not in kinds.PUBLISHED:
        words.show_worst(session, numbers)


def write_kept(session, to, rows, found, reviewed):
    """Write the rows that the filter and the review keep."""
    kept = np.flatnonzero(found.kept)
    write_rows(session, to, review.kept_rows(rows, kept, reviewed), len(kept))


def write_rejected(session, to, rows, found, reviewed):
    """Write the rejected rows, most suspicious first, with what is said of them."""
    wanted = found.rejected
    beside = found.columns(wanted, rows.row_numbers)
    beside |= review.verdict_column(wanted, reviewed)
    write_rows(session, to, rows.taken(wanted, beside), len(wanted))


def draw(session, path, force, rows, X, found, kind, percentile, labels):
    """Draw the rows: in the plane of two labels, where the filter has one."""
    with session.step("Drawing"):
        if kind in kinds.PUBLISHED:
            picture.draw_filter(path, force, rows, X, found, percentile, labels)
        else:
            picture.draw_rejected(path, force, rows, X, found, kind)
    session.say(f"Plot written to {path}.")
