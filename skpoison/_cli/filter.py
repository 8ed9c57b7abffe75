"""``skpoison filter``: keep the rows that lie near the others of their class."""

from typing import Annotated

from . import options as opt
from .checks import one_of
from .grouped import grouped
from .reading import Reading

FILTERS = ("both", "sphere", "slab")


@grouped
def filter_(
    *,
    data: opt.RequiredFile,
    reading: Reading,
    trusted: Annotated[
        str | None,
        opt.option(
            opt.DATA,
            "FILE",
            "Rows that you trust, of the same form as DATA: centers and radii come "
            "from them.",
        ),
    ] = None,
    kind: Annotated[
        str,
        opt.option(
            opt.DEFENSE,
            "KIND",
            "sphere: near the center of the class in all directions; slab: near it "
            "along the line between the centers; both.",
            "--filter",
            callback=one_of(*FILTERS),
        ),
    ] = "both",
    percentile: opt.Percentile = 70.0,
    output: Annotated[
        str | None,
        opt.option(
            opt.OUTPUT,
            "FILE",
            "Where to write the rows that are kept, in the format that came in; - is "
            "standard output.",
            "--output",
            "-o",
        ),
    ] = None,
    rejected: Annotated[
        str | None,
        opt.option(
            opt.OUTPUT,
            "FILE",
            "Where to write the other rows, with their number, score (how far within "
            "the limits; negative is beyond) and reason.",
            "--rejected",
            "-r",
        ),
    ] = None,
    keep_formulas: opt.KeepFormulas = False,
    plot: opt.Plot = None,
    outputs: opt.Outputs,
):
    """Keep the rows that lie near the others of their class.

    A row is kept if it lies within a sphere around the center of its class, and within
    a slab across the line between the centers. Rows may have any number of labels.

    The picture shows the rows of two labels, sphere and slab in the plane through the
    two centers; of more labels, the two that have most rows.
    """
    with outputs.session(output, rejected, plot) as session:
        import numpy as np

        from skpoison._io import load
        from skpoison._io.read import load_test

        from . import judgement, picture, report
        from .columns import encode, tell_of_columns
        from .files import rows_to, write_json, write_rows

        if plot:
            picture.check_matplotlib()
        with session.step(f"Reading {data}"):
            options = reading.options
            clean = load(trusted, options) if trusted else None
            # A row whose label no trusted row has is rejected, and stops no other.
            rows = (
                load_test(data, clean, options, True) if clean else load(data, options)
            )
        kept_to = rows_to(output, rows, outputs, keep_formulas)
        rejected_to = rows_to(rejected, rows, outputs, keep_formulas)
        source = clean or rows
        drawn = picture.labels_to_draw(session, rows, source) if plot else None

        with session.step("Encoding"):
            encoded = encode(source, np.arange(len(source)), reading.encoding)
        tell_of_columns(session, source, encoded)
        with session.step("Filtering"):
            X, trusted_rows = encoded.X, None
            if clean:
                X = encoded.encoder.transform(rows, np.arange(len(rows)))
                trusted_rows = encoded.X, clean.labels.texts
            y = rows.labels.texts
            found = judgement.judge(kind, percentile, X, y, trusted_rows)

        settings = {"filter": kind, "percentile": percentile, "trusted": trusted}
        numbers = judgement.count(found, rows.labels, settings)
        report.show_counts(session, rows.source, numbers)
        if kept_to:
            wanted = np.flatnonzero(found.kept)
            write_rows(session, kept_to, rows.taken(wanted, {}), len(wanted))
        if rejected_to:
            wanted = np.flatnonzero(~found.kept)
            content = rows.taken(wanted, found.columns(wanted))
            write_rows(session, rejected_to, content, len(wanted))
        if plot:
            with session.step("Drawing"):
                picture.draw_filter(
                    plot, outputs.force, rows, X, found, percentile, drawn
                )
            session.say(f"Picture written to {plot}.")
        reading_done = reading.describe(encoded.encoding)
        write_json(outputs, numbers | {"reading": reading_done})
