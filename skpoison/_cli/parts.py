"""``skpoison filter`` on folders and globs of files, which need not fit into memory."""

import contextlib
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import typer

from skpoison import __version__
from skpoison._io import DataError, load
from skpoison._io.errors import quoted
from skpoison._io.parts import find_parts
from skpoison._io.parts_sample import check_alike, pattern_of, sample_of
from skpoison._words import counted, one_line

from . import judged, judgement, limits, report
from .columns import complete, encode, tell_of_columns
from .files import warn_of_escaped, write_json
from .kinds import IN_PASSES, WITH_ALL_ROWS
from .machine import taxonomies
from .part import Block, judge_part, look
from .session import warn
from .unfinished import Run

# Seconds after which a line says how far a step is, where no terminal shows bars.
PATIENCE = 10.0


def check(settings, unsuited, output, rejected):
    """Refuse what needs all rows at once."""
    kind, trusted = settings["filter"], settings["trusted"]
    for name, value in unsuited.items():
        if value not in (None, False, ()):
            raise typer.BadParameter(
                "needs all rows in memory, and does not go with a folder or glob.",
                param_hint=f"'--{name}'",
            )
    for name, folder in (("output", output), ("rejected", rejected)):
        if folder == "-":
            raise typer.BadParameter(
                "name a folder, as DATA is one or a glob.", param_hint=f"'--{name}'"
            )
    at_once = kind in WITH_ALL_ROWS
    if at_once or (kind not in IN_PASSES and trusted is None):
        more = "" if at_once else ", or fit it on the rows of --trusted FILE"
        raise typer.BadParameter(
            f"{kind} needs all rows in memory, and DATA is a folder or glob. Use "
            f"{', '.join(IN_PASSES[:-1])} or {IN_PASSES[-1]}{more}.",
            param_hint="'--filter'",
        )


def filter_parts(session, data, reading, settings, writing, machine, workers, outputs):
    """Filter the rows of many files: read, fit, judge, write and show."""
    kind, trusted = settings["filter"], settings["trusted"]
    possible = limits.of_filter(kind, trusted)
    limits.check_quantities(machine.fail_on, possible, f"--filter {kind}")
    parts = _find(session, data, reading)
    run = Run(writing.folders, parts, _identity(settings, reading, writing))
    writing = writing._replace(records=run.records)
    done = run.begin(outputs.force)
    if done:
        session.say(
            f"Done already, by a run that was interrupted: {len(done):,} of "
            f"{counted(len(parts), 'file')}."
        )
    block, filter_, encoded = _prepared(session, parts, reading, settings)
    with workers.engine() as engine, _resumable(session, run):
        if trusted is None and not run.stored_filter(filter_):
            _fit(session, engine, filter_, block, parts)
            run.store_filter(filter_)
        shared = block, kind, filter_, writing
        found = _judge(session, engine, shared, parts, done)
    numbers = _numbers(found, settings, filter_, block.pattern.labels.value_texts)
    _check_labels_of_limits(machine, numbers)
    _tell(session, found)
    report.show_counts(session, parts.name, numbers)
    _show_written(session, writing, numbers, found)
    counts = _limit_counts(numbers)
    checked = [limit.check(counts) for limit in machine.fail_on]
    numbers |= {"limits": checked, "taxonomies": taxonomies(counts, None)}
    write_json(outputs, numbers | {"reading": reading.describe(encoded)})
    run.end()
    machine.stop(checked)


def _find(session, data, reading):
    parts = find_parts(data, reading.format)
    if parts.left_out:
        session.say(
            f"{counted(len(parts.left_out), 'other file')} in {data} left out: "
            f"{quoted(parts.left_out, 3)}."
        )
    return parts


def _identity(settings, reading, writing):
    """Return all that decides on what is written, but for the files that are read."""
    trusted = settings["trusted"]
    if trusted is not None:
        from skpoison._io.source import Source

        trusted = Source(trusted).hashes("sha256")
    return [settings, vars(reading), writing, trusted]


def _prepared(session, parts, reading, settings):
    """Learn how rows become numbers; return it with the filter, fitted if it can be."""
    kind, trusted = settings["filter"], settings["trusted"]
    options, encoding = reading.options, reading.encoding
    if trusted is not None:
        with session.step(f"Reading {trusted}"):
            check_alike(parts, options)
            rows, note = complete(load(trusted, options), encoding), ""
        encoding = replace(encoding, drop_constant=False)
    else:
        with session.step(f"Reading a sample of {parts.name}"):
            sample, note = sample_of(parts, options)
            is_refused = encoding.missing == "error"  # with the file's name, later
            rows = sample if is_refused else complete(sample, encoding)
    judged.check_labels(session, rows.labels, kind)
    with session.step("Encoding"):
        encoded = encode(rows, np.arange(len(rows)), encoding)
    if note:
        session.say(f"How columns are read and scaled is decided by {note}.")
    tell_of_columns(session, rows, encoded, reading)
    filter_ = judgement.build_filter(kind, settings["percentile"])
    if trusted is not None:
        with session.step("Fitting"):
            filter_.fit(encoded.X, rows.labels.targets)
        for name in ("scores_", "inlier_mask_"):
            vars(filter_).pop(name, None)
    block = Block(
        pattern_of(rows), options, encoded.encoding, encoded.encoder, encoded.X.dtype
    )
    return block, filter_, encoded._replace(X=None, unscaled=None)


def _fit(session, engine, filter_, block, parts):
    """Fit a filter in passes over all files."""
    n_passes, is_fitted = 0, False
    while not is_fitted:
        n_passes += 1
        current = filter_._current_pass()
        shared = block, filter_
        with _counting(session, f"Pass {n_passes}", len(parts)) as advance:
            found = engine.each(look, shared, list(enumerate(parts.files)))
            for seen in _in_order(found):
                current.merge(seen)
                advance()
        is_fitted = filter_.end_pass()


def _in_order(pairs):
    """Yield results by their places, whenever they come: sums then do not vary."""
    waiting, place = {}, 0
    for i, result in pairs:
        waiting[i] = result
        while place in waiting:
            yield waiting.pop(place)
            place += 1


def _judge(session, engine, shared, parts, done):
    """Judge and write the files that are not done; return the records of all."""
    records = [done.get(part.place) for part in parts.files]
    wanted = [(i, parts.files[i]) for i, one in enumerate(records) if one is None]
    with _counting(session, "Judging", len(wanted)) as advance:
        for i, record in engine.each(judge_part, shared, wanted):
            records[i] = record
            advance()
    return records


@contextlib.contextmanager
def _counting(session, text, total):
    """Show how many files are done: on a bar, or a line now and then."""
    last, n_done = time.monotonic(), 0
    with session.count(f"{text}: {counted(total, 'file')}", total) as count:

        def advance():
            nonlocal last, n_done
            count()
            n_done += 1
            shown = session.shows_bars or session.quiet
            if not shown and time.monotonic() - last >= PATIENCE:
                typer.echo(f"{text}: {n_done:,} of {counted(total, 'file')}", err=True)
                last = time.monotonic()

        yield advance


@contextlib.contextmanager
def _resumable(session, run):
    """Say after an interrupt how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if run.store is not None:
            typer.echo(
                "What is written stays; the same command goes on from there.", err=True
            )
        raise


def _numbers(records, settings, filter_, labels):
    """Add up the counts of all files: what ``--json`` writes."""
    classes = {}
    for record in records:
        for label, counts in record["classes"].items():
            own = classes.setdefault(label, (Counter(), Counter()))
            own[0].update(n_rows=counts["n_rows"], n_kept=counts["n_kept"])
            own[1].update(counts["rejected_by"])
    if not classes:
        raise DataError("The files have no rows.")
    known = [label for label in labels if label in classes]
    names = list(getattr(filter_, "named_filters_", {settings["filter"]: filter_}))
    return {
        "skpoison": __version__,
        "command": "filter",
        "settings": settings,
        "n_rows": sum(record["n_rows"] for record in records),
        "n_kept": sum(own[0]["n_kept"] for own in classes.values()),
        "classes": [
            _of_class(label, *classes[label], names)
            for label in dict.fromkeys([*known, *classes])
        ],
        "files": [
            {
                "file": record["file"],
                "n_rows": record["n_rows"],
                "n_kept": sum(one["n_kept"] for one in record["classes"].values()),
            }
            for record in records
        ],
    }


def _of_class(label, counts, rejected_by, names):
    n_rows, n_rejected = counts["n_rows"], counts["n_rows"] - counts["n_kept"]
    return {
        "label": label,
        "n_rows": n_rows,
        "n_kept": counts["n_kept"],
        "n_rejected": n_rejected,
        "rejected_by": {name: rejected_by[name] for name in names},
        "contamination": n_rejected / n_rows,
    }


def _limit_counts(numbers):
    """Return the counts as limits compare them."""
    classes = numbers["classes"]
    by = {"suspicious": [one["n_rejected"] for one in classes]}
    for name in classes[0]["rejected_by"]:
        by[name] = [one["rejected_by"][name] for one in classes]
    labels = [one["label"] for one in classes]
    return limits.Counts(labels, [one["n_rows"] for one in classes], by)


def _check_labels_of_limits(machine, numbers):
    labels = [one["label"] for one in numbers["classes"]]
    limits.check_labels(machine.fail_on, labels)


def _tell(session, records):
    """Say what was warned of, once for all files."""
    told = Counter(text for record in records for text in record["warnings"])
    if told:
        [(text, _)] = told.most_common(1)
        n_all = sum(bool(record["warnings"]) for record in records)
        warn(f"in {counted(n_all, 'file')}, such as this: {one_line(text)}")


def _show_written(session, writing, numbers, records):
    n_kept = numbers["n_kept"]
    n_rows = sum(one["n_rows"] for one in numbers["classes"])
    for folder, n in ((writing.kept, n_kept), (writing.rejected, n_rows - n_kept)):
        if folder is not None:
            files = counted(len(records), "file")
            session.say(f"{counted(n, 'row')} written to {files} in {folder}.")
    if n_escaped := sum(record["n_escaped"] for record in records):
        warn_of_escaped(n_escaped)
