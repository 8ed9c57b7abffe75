"""What ``skpoison audit`` computes and shows."""

import contextlib
import time

import numpy as np
import typer
from rich.text import Text

from skpoison._audit.defenses import MAX_ITER, default_estimator, weights_of
from skpoison._audit.inputs import Inputs, checked
from skpoison._audit.progress import Progress
from skpoison._audit.run import run
from skpoison._audit.summary import value_text
from skpoison._defaults import default_cleaner
from skpoison._words import NONE, counted, name_text, one_line, percent_text

from .certificate import few_threads
from .columns import encode, unscaled_rows
from .judgement import build_filter
from .kinds import WITH_PERCENTILE
from .learners import LEARNERS
from .report import new_table
from .sample import read_data, warn_of_labels

LISTED = 5
# Classes whose recalls are shown, and the characters of their labels.
NAMED, LONGEST_LABEL = 3, 9
# Of a defense, before its name is cut.
SHORTEST_NAME = 12
# Of what the rule says of a defense.
LONGEST_WORD = len("recommended")
# Seconds after which a line says how far a stage is, where no terminal shows bars.
PATIENCE = 10.0


def estimator(learner, class_weight, inputs):
    """Return the learner that the options name."""
    weight = None if class_weight == "none" else class_weight
    if learner.learner != "svm":
        named = LEARNERS["binary"][learner.learner].estimator(learner.C)
        named.set_params(class_weight=weights_of(inputs.codes, weight))
        return named.set_params(max_iter=MAX_ITER)
    if learner.rho is None:
        return default_estimator(inputs.codes, weight).set_params(C=learner.C)
    if class_weight == "balanced":
        raise typer.BadParameter(
            "only the learner of --C weights classes; leave out --rho.",
            param_hint="'--class-weight'",
        )
    from skpoison import NormConstrainedSVC

    return NormConstrainedSVC(rho=learner.rho)


def filters(kinds, reference):
    """Return filters by name, which reject as many rows as an attacker sends."""
    keep = round(100 / (1 + reference), 1)
    return {
        kind: default_cleaner()
        if kind == "auto"
        else build_filter(kind, keep if kind in WITH_PERCENTILE else None)
        for kind in kinds
    }


def read_encoded(name, reading):
    """Read rows (None: scikit-learn's digits) and turn them into numbers."""
    data = read_data(name, reading.options, reading.encoding)
    data.labels.check_classes()
    data.labels.refuse_quantities()
    warn_of_labels(data.labels)
    encoded = encode(data, np.arange(len(data)), reading.encoding)
    if encoded.encoder.scaled:
        encoded = encoded._replace(unscaled=unscaled_rows(data, encoded))
    return data, encoded


def as_inputs(data, encoded):
    """Return rows and labels as an audit takes them."""
    classes, codes = np.unique(data.labels.texts, return_inverse=True)
    names, done = list(map(str, encoded.encoder.names)), encoded.encoding.scale
    unscaled = None if encoded.unscaled is None else checked(encoded.unscaled)
    X, source = checked(encoded.X), name_text(data.source)
    return Inputs(
        X, classes, codes, names, None, done, source, unscaled, encoded.columns
    )


def run_shown(session, inputs, plan):
    """Audit, and show how far it is."""
    with few_threads(inputs.X), contextlib.ExitStack() as bars:
        return run(inputs, plan, ShownProgress(session, bars))


class ShownProgress(Progress):
    """Progress on the bars of a session; `bars` closes the last, whatever happens."""

    is_wanted = True

    def __init__(self, session, bars):
        super().__init__()
        self._session, self._bars, self._advance = session, bars, None
        self._last = time.monotonic()

    def say(self, text):
        """Tell what an audit of big data will take."""
        if not self._session.quiet:
            typer.echo(one_line(text), err=True)

    def begin(self, stage, total):
        """Begin a stage on a bar of its own; without a terminal, say so in a line."""
        self._bars.close()
        self._advance = self._bars.enter_context(self._session.count(stage, total))
        self._stage, self._done, self._total = stage, 0, total
        self._told(f"{stage}: {counted(total, 'part')}")

    def advance(self):
        """One more part is done."""
        self._advance()
        self._done += 1
        if time.monotonic() - self._last >= PATIENCE:
            share = self._done / max(self._total, 1)
            self._told(
                f"{self._stage}: {self._done:,} of {self._total:,} ({share:.0%})"
            )

    def _told(self, text):
        """Write a line where no terminal shows bars."""
        self._last = time.monotonic()
        if not self._session.shows_bars:
            self.say(text)


def show(session, report):
    """Print the main things."""
    # Then, what to do with a model that is useless anyway.
    n_first = 2 if report["recommendation"]["model_is_useless"] else 1
    for sentence in report["summary"][:n_first]:
        session.say(sentence)
    data, settings = report["data"], report["settings"]
    n_classes = len(data["classes"])
    session.say(
        f"{data['source']}: {counted(data['n_rows'], 'row')}, "
        f"{counted(data['n_features'], 'feature')}, {counted(n_classes, 'label')}. "
        f"Attacks send {counted(100 * settings['reference'], 'poison row')} per 100 "
        "clean rows."
    )
    session.console.print(_defenses(report))
    session.console.print(_suspects(report))
    for sentence in report["summary"][n_first:]:
        session.say(sentence)


def _defenses(report):
    found = report["recommendation"]
    shown = found["metric_shown"]
    # Compared by the error, the worst error would be there twice.
    errors = [] if found["metric"] == "error" else ["worst\nerror"]
    headers = ["defense", "under\nattack", "no\nattack", "cost", *errors]
    table = new_table(f"Defenses, by the {shown} under the worst attack", headers)
    # Names and what the rule says go on in another line before a number is cut.
    table.columns[0].no_wrap = False
    table.columns[0].min_width = SHORTEST_NAME
    table.add_column(_recall_header(report), justify="right", no_wrap=True)
    table.add_column("attacks\nthat\nknow it", justify="right", no_wrap=True)
    table.add_column("by the rule", min_width=LONGEST_WORD)
    for row in report["ranking"]:
        table.add_row(
            Text(one_line(row["defense"])),
            value_text(found, row["worst"]),
            value_text(found, row["clean"]),
            value_text(found, row["cost"]),
            *(percent_text(row["worst_error"]) for _ in errors),
            "/".join(map(_whole_percent, row["worst_recalls"][:NAMED])),
            f"{row['n_adaptive']}/{row['n_attacks']}",
            row["status"],
        )
    constant = value_text(found, found["constant"])
    table.add_row("a constant", constant, constant)
    return table


def _recall_header(report):
    """Name the classes in the order of the recalls beneath."""
    labels = [one_line(one["label"], LONGEST_LABEL) for one in report["classes"]]
    shown = labels[:NAMED]
    is_short = len("/".join(shown)) <= LONGEST_LABEL
    names = ("/" if is_short else "/\n").join(shown)
    return Text(f"recall, %\nattacked\n{names}")


def _whole_percent(share):
    return NONE if share is None else f"{100 * share:.0f}"


def _suspects(report):
    table = new_table("The most suspicious rows", ["row", "label", "beyond", "why"])
    table.columns[1].justify = table.columns[3].justify = "left"
    table.columns[3].no_wrap = False
    n_filters = len(report["suspicious"]["filters"])
    for row in report["suspicious"]["rows"][:LISTED]:
        table.add_row(
            f"{row['row']:,}",
            Text(row["label"]),
            f"{row['n_beyond']} of {n_filters}",
            Text(_why(row)),
        )
    return table


def _why(row):
    """The reason if it is rejected, or else that of a filter that it is beyond.

    A row within all thresholds has the reason of the filter that ranks it highest.
    """
    if row["reason"] is not None:
        return f"rejected: {row['reason']}"
    beyond = [one for one in row["reasons"] if one["beyond"]]
    first = (beyond or row["reasons"])[0]
    return f"{first['filter']}: {first['text']}"
