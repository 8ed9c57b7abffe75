"""``skpoison filter``: find the rows that should not be trusted."""

import os
from typing import Annotated

import typer

from . import kinds
from . import options as opt
from .checks import one_of, readable, within
from .grouped import grouped
from .machine import Machine
from .reading import Reading
from .workers import Workers


@grouped
def filter_(
    *,
    data: opt.FilesOrFile,
    reading: Reading,
    by: Annotated[
        str | None,
        opt.option(
            opt.DATA,
            "NAME",
            "Column to count rejected rows by; no feature.",
            common=True,
        ),
    ] = None,
    trusted: Annotated[
        str | None,
        opt.option(
            opt.DATA,
            "FILE",
            "Trusted rows, as in DATA, to fit the filter on.",
            common=True,
            callback=readable,
        ),
    ] = None,
    kind: Annotated[
        str | None,
        opt.option(
            opt.DEFENSE,
            "KIND",
            f"{', '.join(kinds.FILTERS)}; see docs/filters.md. Default: auto "
            "(folders: both).",
            "--filter",
            common=True,
            callback=one_of(*kinds.FILTERS),
        ),
    ] = None,
    percentile: Annotated[
        float | None,
        opt.option(
            opt.DEFENSE,
            "PERCENT",
            "Percentage of each class to keep. Default: 70 if --filter is given as "
            "both, sphere, slab.",
            common=True,
            callback=within(0, 100, open_low=True),
        ),
    ] = None,
    output: Annotated[
        str | None,
        opt.option(
            opt.OUTPUT,
            "FILE",
            "Write the kept rows, in the format of DATA; - is standard output.",
            "--output",
            "-o",
            common=True,
        ),
    ] = None,
    rejected: Annotated[
        str | None,
        opt.option(
            opt.OUTPUT,
            "FILE",
            "Write the rejected rows, most suspicious first, with reason, suggested "
            "label and empty verdict.",
            "--rejected",
            "-r",
            common=True,
        ),
    ] = None,
    verdicts: Annotated[
        str | None,
        opt.option(
            opt.DATA,
            "FILE",
            "Apply verdicts (keep, drop, relabel) filled into a file of --rejected.",
            common=True,
            callback=readable,
        ),
    ] = None,
    keep_formulas: opt.KeepFormulas = False,
    plot: opt.Plot = None,
    workers: Workers,
    machine: Machine,
    outputs: opt.Outputs,
):
    """Find the rows that should not be trusted, and say why.

    No need to know how many there are. DATA can have any number of labels. --filter
    auto looks for rows far from their class, copies and wrong labels.

    The plot shows all rows in two dimensions, and the rejected ones by reason. With
    sphere and slab it shows the two most frequent labels in the plane through their
    two centroids.
    """
    from skpoison._io.parts import is_many

    if is_many(data):
        settings = _settings_of_many(kind, percentile, trusted)
        unsuited = {"by": by, "verdicts": verdicts, "plot": plot}
        unsuited |= {"sarif": machine.sarif, "cyclonedx": machine.cyclonedx}
        writing = output, rejected, keep_formulas
        _filter_many(
            data, reading, settings, unsuited, writing, machine, workers, outputs
        )
        return
    workers.refuse()
    kind = kind or "auto"
    percentile = _percentile_of(kind, percentile)
    _check_output(data, output, (rejected, *machine.paths))
    written = (output, rejected, plot, *machine.paths)
    aside = (by,) if by else ()
    # Beside trusted rows, it depends on these how columns are read.
    ahead = None if trusted else data
    with outputs.session(*written) as session, reading.ahead(ahead, aside=aside):
        from . import by as groups
        from . import filtering, judged, limits, picture, review, suspicion
        from .files import rows_to, write_json

        machine.check()
        possible = limits.of_filter(kind, trusted)
        limits.check_quantities(machine.fail_on, possible, f"--filter {kind}")
        review.check_paths(verdicts, (*written, outputs.json))
        if plot:
            picture.check_matplotlib()
        options = reading.options_with(aside=aside)
        of_both = options, reading.encoding
        rows, clean, encoding = filtering.read_rows(session, data, trusted, *of_both)
        if by:
            groups.check_column(rows, by)
        reviewed = None
        if verdicts:
            reviewed = review.load_review(verdicts, rows, rows.row_numbers, options)
        kept_to = rows_to(output, rows, outputs, keep_formulas)
        rejected_to = rows_to(rejected, rows, outputs, keep_formulas)
        source = clean or rows
        judged.check_labels(session, source.labels, kind)
        limits.check_labels(machine.fail_on, limits.labels_of(rows.labels))
        drawn = None
        if plot and kind in kinds.PUBLISHED:
            drawn = picture.labels_to_draw(session, rows, source)

        given = rows, clean, encoding, reading
        X, trusted_rows, encoded = filtering.encode_rows(session, *given)
        given = kind, percentile, X, rows, trusted_rows
        found = filtering.judge_rows(session, *given)

        settings = {"filter": kind, "percentile": percentile, "trusted": trusted}
        settings |= {"by": by, "verdicts": verdicts}
        weighed = None
        if kind == "auto" and not clean:
            weighed = suspicion.weigh(found, rows, encoded)
            session.say(weighed.text)
            found = suspicion.with_suspects(found, weighed)
        numbers = judged.count(found, rows.labels, settings, rows.row_numbers)
        numbers["verdict"] = weighed and weighed.as_dict()
        numbers["by"] = by and groups.count_by(rows, by, found.kept, reading.date_order)
        filtering.show_rows(session, kind, rows, numbers)
        if by:
            groups.show_groups(session, numbers["by"])
        numbers["review"] = reviewed and review.score(found, reviewed)
        if reviewed:
            review.show_score(session, numbers["review"], len(rows))
            found = review.judged_after(found, reviewed)

        if kept_to:
            filtering.write_kept(session, kept_to, rows, found, reviewed)
        if rejected_to:
            filtering.write_rejected(session, rejected_to, rows, found, reviewed)
        if plot:
            given = rows, X, found, kind, percentile, drawn
            filtering.draw(session, plot, outputs.force, *given)
        numbers |= machine.report_filter(session, outputs, rows, clean, found, weighed)
        limits.warn_of_share(machine.fail_on, numbers["limits"], kind, percentile)
        write_json(outputs, numbers | {"reading": reading.describe(encoded)})
        machine.stop(numbers["limits"])


def _settings_of_many(kind, percentile, trusted):
    """What a folder or glob is filtered by, where not all is said."""
    if kind is None and percentile is None:
        percentile = "auto"  # as filters have it outside the published setting
    kind = kind or "both"
    percentile = _percentile_of(kind, percentile)
    return {"filter": kind, "percentile": percentile, "trusted": trusted}


def _filter_many(data, reading, settings, unsuited, writing, machine, workers, outputs):
    """Filter the files of a folder or glob."""
    with outputs.session() as session:
        from . import part, parts

        workers.check()
        parts.check(settings, unsuited, *writing[:2])
        data, *folders = workers.names(data, *writing[:2])
        given = settings, part.Writing(*folders, writing[2]), machine, workers, outputs
        parts.filter_parts(session, data, reading, *given)


def _check_output(data, output, others):
    """Refuse to replace rows that other files are made from afterwards."""
    is_needed = any(path is not None for path in others)
    if not is_needed or output is None or not os.path.exists(output):
        return
    if os.path.exists(data) and os.path.samefile(data, output):
        raise typer.BadParameter(
            f"{output!r} is DATA itself, from which rejected rows and reports are "
            "written as well; name another file.",
            param_hint="'--output'",
        )


def _percentile_of(kind, percentile):
    """The percentile that a filter is made with; None where it finds one itself."""
    if percentile is None:
        return 70.0 if kind in kinds.PUBLISHED else None
    if kind in kinds.WITHOUT_PERCENTILE:
        raise typer.BadParameter(
            f"--filter {kind} chooses by itself how many rows to reject. Leave "
            "--percentile out, or use a filter that keeps a percentage, such as "
            "--filter both.",
            param_hint="'--percentile'",
        )
    return percentile
