"""The commands, step by step."""

import contextlib
import json

import numpy as np
import typer

from skpoison._io import DataError, load
from skpoison._io._load import load_test
from skpoison._io._meanwhile import meanwhile
from skpoison._io._output import Output
from skpoison._io._write import check_free, whole_file
from skpoison._whole_rows import n_poison_rows

from ._columns import encode, tell_of_columns
from ._sample import read_sample
from ._session import warn


def run_certify(session, data, *, read, settings, outputs):
    """Read, certify, show and write.

    Parameters
    ----------
    session : Session
        Where to show.
    data : str or None
        The file of clean rows.
    read : dict
        Arguments of :func:`read_sample`.
    settings : Settings
        What to certify.
    outputs : dict
        ``plot``, ``json`` and ``force``.
    """
    _check_outputs(outputs)
    with session.step(f"Reading {data or 'the digits'}"), meanwhile(_load_solver):
        sample = read_sample(data, **read)
    tell_of_columns(session, sample.data, sample.encoded, settings.domain)
    _warn_of_percentile(settings.percentile)
    sample.data = None  # The table takes as much memory as the matrices.
    # One more than was asked for: no poison at all.
    with session.count("Bounding", len(settings.epsilons) + 1) as advance:
        from ._certify import certify

        found = certify(sample, settings, advance)
    _warn_if_short(found.numbers["bounds"], settings)
    from ._report import show_certificate

    show_certificate(session, found.numbers)
    _say_how_few(session, settings.epsilons, len(sample.signs))
    if outputs["plot"]:
        from ._picture import draw_bounds

        with _drawing(session, outputs) as where:
            draw_bounds(*where, found, sample, settings)
    numbers = found.numbers | _sampled(read, sample)
    write_json(numbers, outputs["json"], outputs["force"])


def _load_solver():
    # What goes wrong here does so again where the solver is needed, and is told there.
    with contextlib.suppress(Exception):
        from . import _certify  # noqa: F401


def run_filter(session, data, *, options, encoding, trusted, settings, outputs):
    """Read, judge, show and write.

    Parameters
    ----------
    session : Session
        Where to show.
    data : str
        The file of rows to judge.
    options : Options
        How to read it.
    encoding : Encoding
        How columns become numbers.
    trusted : str or None
        A file of clean rows to fit the filter to.
    settings : dict
        ``filter`` and ``percentile``.
    outputs : dict
        ``output``, ``rejected``, ``plot``, ``json``, ``force`` and ``formulas``.
    """
    _check_outputs(outputs)
    with session.step(f"Reading {data}"):
        clean = load(trusted, options) if trusted else None
        # A row whose label no trusted row has is rejected; it must not stop the rest.
        rows = load_test(data, clean, options, True) if clean else load(data, options)
    kept, rejected = (_output(outputs, name, rows) for name in ("output", "rejected"))
    known = rows.labels.of_first(len((clean or rows).labels.values))
    drawn = _labels_to_draw(session, outputs, known)
    with session.step("Encoding"):
        source = clean or rows
        encoded = encode(source, np.arange(len(source)), encoding)
    tell_of_columns(session, source, encoded)
    with session.step("Filtering"):
        X, judgement = _judge(rows, clean, encoded, settings)
    from ._filtering import count
    from ._report import show_counts

    numbers = count(judgement, rows.labels, {**settings, "trusted": trusted})
    show_counts(session, rows.source, numbers)
    _write_judged(session, rows, judgement, kept, rejected)
    if drawn:
        from ._picture import draw_filter

        with _drawing(session, outputs) as where:
            draw_filter(*where, rows, X, judgement, settings, drawn)
    numbers["reading"] = _read(options, encoded.encoding)
    write_json(numbers, outputs["json"], outputs["force"])


def _labels_to_draw(session, outputs, labels):
    """Choose two labels for the picture, if there is to be one, and say which."""
    if outputs["plot"] is None:
        return None
    from ._picture import two_largest

    drawn = two_largest(labels)
    if len(labels.values) > 2:
        session.say(
            f"The picture shows the two of {len(labels.values)} labels that have most "
            f"rows: {drawn[0]} and {drawn[1]}."
        )
    return drawn


def _judge(rows, clean, encoded, settings):
    from ._filtering import judge

    X, trusted = encoded.X, None
    if clean:
        X = encoded.encoder.transform(rows, np.arange(len(rows)))
        trusted = encoded.X, clean.labels.texts
    kind, percentile = settings["filter"], settings["percentile"]
    return X, judge(kind, percentile, X, rows.labels.texts, trusted)


def _write_judged(session, rows, judgement, kept, rejected):
    if kept:
        wanted = np.flatnonzero(judgement.kept)
        _write(session, kept, rows.taken(wanted, {}), len(wanted))
    if rejected:
        wanted = np.flatnonzero(~judgement.kept)
        extra = {
            "skpoison_row": wanted + 1,
            "skpoison_score": judgement.scores[wanted],
            "skpoison_reason": judgement.reasons(wanted),
        }
        _write(session, rejected, rows.taken(wanted, extra), len(wanted))


def run_attack(session, data, *, read, settings, outputs):
    """Read, attack, show and write.

    Parameters
    ----------
    session : Session
        Where to show.
    data : str or None
        The file of clean rows.
    read : dict
        Arguments of :func:`read_sample`.
    settings : Settings
        The defense, the learner and one epsilon.
    outputs : dict
        ``output``, ``plot``, ``json``, ``force`` and ``formulas``.
    """
    _check_outputs(outputs)
    with session.step(f"Reading {data or 'the digits'}"):
        sample = read_sample(data, **read)
    tell_of_columns(session, sample.data, sample.encoded, settings.domain)
    _warn_of_percentile(settings.percentile)
    output = _output(outputs, "output", sample.data)
    with session.step("Looking for the attack"):
        from ._attacking import attack

        bound, poison, numbers = attack(sample, settings)
    _warn_if_short([{**numbers, "epsilon": settings.epsilons[0]}], settings)
    from ._report import show_attack

    show_attack(session, numbers)
    if sample.encoder.has_text:
        between = (
            ""
            if settings.domain != "real"
            else "the attack's rows lie between the words of real rows; "
        )
        warn(f"{between}the file has a column for each word.")
    _write(session, output, sample.data.poison(poison), len(poison.labels))
    if outputs["plot"]:
        from ._picture import draw_attack

        with _drawing(session, outputs) as where:
            draw_attack(*where, bound, sample, settings)
    write_json(numbers | _sampled(read, sample), outputs["json"], outputs["force"])


def _check_outputs(outputs):
    keys = ("output", "rejected", "plot", "json")
    paths = [outputs[key] for key in keys if outputs.get(key)]
    for path in paths:
        check_free(path, outputs["force"])
        if paths.count(path) > 1:
            raise DataError(f"Two outputs cannot go to the same place, {path!r}.")
    if outputs["plot"]:
        from ._picture import check_matplotlib

        check_matplotlib()


@contextlib.contextmanager
def _drawing(session, outputs):
    """Say that a picture is drawn, and that it has been written."""
    with session.step("Drawing"):
        yield outputs["plot"], outputs["force"]
    session.say(f"Picture written to {outputs['plot']}.")


def _output(outputs, name, data):
    path = outputs.get(name)
    if path is None:
        return None
    return Output(path, data, force=outputs["force"], formulas=outputs["formulas"])


def _write(session, output, content, n_rows):
    output.write(content, typer.get_binary_stream("stdout"))
    if output.path != "-":
        session.say(f"{n_rows:,} rows written to {output.path}.")
    if output.n_escaped:
        warn(
            f"{output.n_escaped:,} cells that a spreadsheet would run as formulas got "
            "an apostrophe in front; --keep-formulas leaves them as they are."
        )


def _warn_of_percentile(percentile):
    if percentile <= 1:
        warn(
            f"--percentile is in percent: {percentile:g} lets through {percentile:g} % "
            f"of each class, --percentile {100 * percentile:g} lets through "
            f"{100 * percentile:g} %."
        )


def _say_how_few(session, epsilons, n_rows):
    few = [f"{e:g}" for e in epsilons if e > 0 and n_poison_rows(e, n_rows) == 0]
    if few:
        session.say(
            f"Epsilon {', '.join(few)} of {n_rows:,} rows is less than one row: nobody "
            "can add so few."
        )


def _warn_if_short(bounds, settings):
    short = [row["epsilon"] for row in bounds if not row["converged"]]
    if short:
        listed = ", ".join(f"{epsilon:g}" for epsilon in short)
        warn(
            f"for epsilon {listed} the solver stopped before upper and lower bound "
            f"came as close as asked for (--tol {settings.tol:g}). The upper bounds "
            "hold all the same; a larger --max-iter may lower them."
        )


def _sampled(read, sample):
    """Return how the rows were read and held out, for the JSON."""
    held = {"test": read["test"], "test_share": read["test_share"]}
    if read["test"] is not None:
        held["test_share"] = None
    return {"reading": _read(read["options"], sample.encoded.encoding) | held}


def _read(options, encoding):
    """Return how files were read and columns turned into numbers, for the JSON."""
    return {
        "format": options.format,
        "target": options.target,
        "header": options.header,
        "decimal_comma": options.decimal_comma,
        "drop": list(options.drop),
        "scale": encoding.scale,
        "categorical": list(encoding.categorical),
        "text_columns": list(encoding.text),
        "text_weights": encoding.weights if encoding.text else None,
    }


def write_json(numbers, path, force):
    """Write numbers as JSON to a file, or to standard output for ``-``."""
    if path is None:
        return
    text = json.dumps(numbers, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    if path == "-":
        typer.echo(text, nl=False)
        return
    with whole_file(path, force) as file:
        file.write(text.encode())
