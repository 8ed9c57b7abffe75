"""``skpoison audit``, from file to report."""

import contextlib
from dataclasses import replace

import numpy as np
import typer
from rich.text import Text

from skpoison._audit.defenses import default_estimator
from skpoison._audit.inputs import Inputs, checked
from skpoison._audit.plan import make_plan
from skpoison._audit.progress import Progress
from skpoison._audit.run import run
from skpoison._io import DataError, load
from skpoison._io._array import digits
from skpoison._io._write import check_free, whole_file
from skpoison._words import loss_text, name_text, percent_text

from ._certify import few_threads
from ._columns import encode, tell_of_columns
from ._report import _table
from ._session import plain

LISTED = 5


def run_audit(session, data, *, read, learner, wanted, outputs):
    """Read, audit, show and write.

    Parameters
    ----------
    session : Session
        Where to show.
    data : str or None
        The file; None stands for scikit-learn's digits.
    read : dict
        ``options`` and ``encoding``.
    learner : dict
        ``C`` and ``rho``, one of which is None.
    wanted : dict
        What :func:`skpoison.audit` takes.
    outputs : dict
        ``html``, ``json``, ``suspicious`` and ``force``.
    """
    _check_outputs(outputs)
    with session.step(f"Reading {data or 'the digits'}"):
        rows, encoded = read_encoded(data, **read)
    tell_of_columns(session, rows, encoded)
    inputs = as_inputs(rows, encoded)
    del rows, encoded
    everything = {"filters": None, "attacks": None, **wanted}
    plan = make_plan(inputs, estimator=_estimator(**learner), **everything)
    with few_threads(inputs), contextlib.ExitStack() as bars:
        report = run(inputs, plan, ShownProgress(session, bars))
    show(session, report)
    for name, text in (
        ("html", report._html),
        ("json", report._json),
        ("suspicious", report._csv),
    ):
        _write(session, outputs[name], text, outputs["force"])
    if not any(outputs[name] for name in ("html", "json", "suspicious")):
        session.say("--html FILE writes the whole report, for a browser.")


def _check_outputs(outputs):
    paths = [outputs[name] for name in ("html", "json", "suspicious") if outputs[name]]
    for path in paths:
        check_free(path, outputs["force"])
        if paths.count(path) > 1:
            raise DataError(f"Two outputs cannot go to the same place, {path!r}.")


def _write(session, path, text, force):
    if path is None:
        return
    if path == "-":
        typer.echo(text(), nl=False)
        return
    with whole_file(path, force) as file:
        file.write(text().encode("utf-8", "backslashreplace"))
    session.say(f"Written to {path}.")


def _estimator(C, rho):
    if rho is None:
        return default_estimator().set_params(C=C)
    from skpoison import NormConstrainedSVC

    return NormConstrainedSVC(rho=rho)


def read_encoded(name, options, encoding):
    """Read rows and turn them into numbers.

    Parameters
    ----------
    name : str or None
        The file; None stands for scikit-learn's digits.
    options : Options
        How to read it.
    encoding : Encoding
        How columns become numbers.

    Returns
    -------
    data : TableData or ArrayData
        The rows.
    encoded : Encoded
        The same as numbers, and as they were before they were scaled.
    """
    data = digits() if name is None else load(name, options)
    data.labels.check_classes()
    rows = np.arange(len(data))
    encoded = encode(data, rows, encoding)
    if encoded.encoder.scaled and encoded.unscaled is None:
        unscaled = data.encoder(rows, replace(encoding, scale="none"))
        encoded = encoded._replace(unscaled=unscaled.transform(data, rows))
    return data, encoded


def as_inputs(data, encoded):
    """Return rows and labels as an audit takes them."""
    classes, codes = np.unique(data.labels.texts, return_inverse=True)
    names, done = list(map(str, encoded.encoder.names)), encoded.encoding.scale
    unscaled = None if encoded.unscaled is None else checked(encoded.unscaled)
    X, source = checked(encoded.X), name_text(data.source)
    return Inputs(X, classes, codes, names, None, done, source, unscaled)


class ShownProgress(Progress):
    """Progress on the bars of a session.

    Parameters
    ----------
    session : Session
        Where to show.
    bars : contextlib.ExitStack
        Closes the last bar, whatever happens.
    """

    is_wanted = True

    def __init__(self, session, bars):
        super().__init__()
        self._session, self._bars, self._advance = session, bars, None

    def say(self, text):
        """Tell what an audit of big data will take."""
        if not self._session.quiet:
            typer.echo(plain(text), err=True)

    def begin(self, stage, total):
        """Begin a stage on a bar of its own."""
        self._bars.close()
        self._advance = self._bars.enter_context(self._session.count(stage, total))

    def advance(self):
        """One more part is done."""
        self._advance()


def show(session, report):
    """Print the main things.

    Parameters
    ----------
    session : Session
        Where to print.
    report : AuditReport
        What was found.
    """
    data, settings = report["data"], report["settings"]
    n_classes = len(data["classes"])
    session.say(
        f"{data['source']}: {data['n_rows']:,} rows, {data['n_features']:,} features, "
        f"{n_classes} labels. Attacks send {100 * settings['reference']:g} poison rows "
        "for every 100 clean ones."
    )
    session.console.print(_defenses(report))
    session.console.print(_suspects(report))
    for sentence in report["summary"]:
        session.say(sentence)


def _defenses(report):
    headers = ["defense", "worst\nerror", "worst\nloss", "no attack:\nerror", "loss"]
    headers.append("attacks\nthat know it")
    table = _table("Defenses, by the error under the worst attack", headers)
    for row in report["ranking"]:
        table.add_row(
            Text(plain(row["defense"])),
            percent_text(row["worst_error"]),
            loss_text(row["worst_loss"]),
            percent_text(row["clean_error"]),
            loss_text(row["clean_loss"]),
            f"{row['n_adaptive']} of {row['n_attacks']}",
        )
    return table


def _suspects(report):
    table = _table("The most suspicious rows", ["row", "label", "beyond", "why"])
    table.columns[1].justify = table.columns[3].justify = "left"
    table.columns[3].no_wrap = False
    n_filters = len(report["suspicious"]["filters"])
    for row in report["suspicious"]["rows"][:LISTED]:
        first = row["reasons"][0]
        table.add_row(
            f"{row['row']:,}",
            Text(row["label"]),
            f"{row['n_beyond']} of {n_filters}",
            Text(f"{first['filter']}: {first['text']}"),
        )
    return table
