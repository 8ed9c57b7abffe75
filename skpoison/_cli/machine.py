"""What other programs read of ``filter`` and ``audit``, and what stops a pipeline."""

import json
from dataclasses import dataclass
from typing import Annotated

import typer

from skpoison._reports.reasons import OF_LABELS, taxa_of_reasons
from skpoison._words import counted, label_text

from .limits import count_judged, count_reported, exit_code, limits, tell
from .options import OUTPUT, option


@dataclass
class Machine:
    """Reports for other programs, and limits for pipelines."""

    fail_on: Annotated[
        list[str] | None,
        option(
            OUTPUT,
            "LIMIT",
            "Exit with code 3 beyond it: 'suspicious>0.5%'.",
            "--fail-on",
            common=True,
            callback=limits,
        ),
    ] = None
    sarif: Annotated[
        str | None,
        option(
            OUTPUT,
            "FILE",
            "Write the suspicious rows as SARIF, the format of security tools.",
            "--sarif",
        ),
    ] = None
    cyclonedx: Annotated[
        str | None,
        option(
            OUTPUT,
            "FILE",
            "Write a bill of materials as CycloneDX: the data with hashes, what was "
            "found in them, and the model card of an audit.",
            "--cyclonedx",
        ),
    ] = None

    def __post_init__(self):
        self.fail_on = self.fail_on or []

    @property
    def needs_rows(self):
        """Whether reports say where rows are, and what they hold."""
        return any(path is not None for path in self.paths)

    @property
    def paths(self):
        """Files that are written."""
        return (self.sarif, self.cyclonedx)

    def check(self):
        """Raise an error if something is missing that reports need."""
        if self.cyclonedx is not None:
            from skpoison._reports.cyclonedx import check_library

            check_library()

    def report_filter(self, session, outputs, rows, trusted, judged, weighed):
        """Write what a filter found; return what ``--json`` writes of it.

        `weighed` is the verdict on the table, if there is one, and `trusted` the rows
        that the filter was fitted on, if there are any.
        """
        counts = count_judged(judged, rows.labels, weighed and weighed.rows)
        checked = [limit.check(counts) for limit in self.fail_on]
        taxa = taxonomies(counts, weighed)
        is_bad = weighed.is_likely if weighed else None
        if self.sarif is not None:
            self._write_sarif(
                session,
                outputs,
                "filter",
                rows,
                findings_of(judged, rows.labels),
                verdict=weighed.text if is_bad else None,
                rules=tuple(judged.rejected_by),
                exit_code=exit_code(checked),
            )
        if self.cyclonedx is not None:
            facts = facts_of("filter", counts, taxa, is_bad)
            self._write_cyclonedx(session, outputs, rows, facts, trusted)
        return {"limits": checked, "taxonomies": taxa}

    def report_audit(self, session, outputs, rows, report):
        """Write what an audit found; return what was compared with limits.

        `rows` are the data, if they are needed.
        """
        counts = count_reported(report)
        checked = [limit.check(counts) for limit in self.fail_on]
        verdict = report["verdict"]
        is_bad = verdict["is_likely_poisoned"]
        if self.sarif is not None:
            findings = findings_of_audit(report["suspicious"]["rows"])
            self._write_sarif(
                session,
                outputs,
                "audit",
                rows,
                findings,
                verdict=verdict["text"] if is_bad else None,
                rules=OF_LABELS,
                notes=notes_on(report["suspicious"], len(findings)),
                exit_code=exit_code(checked),
            )
        if self.cyclonedx is not None:
            from skpoison._reports.cyclonedx import card_of

            facts = facts_of("audit", counts, report["taxonomies"], is_bad)
            card = card_of(report)
            self._write_cyclonedx(session, outputs, rows, facts, card=card)
        return checked

    def _write_sarif(self, session, outputs, command, data, findings, **what):
        from skpoison._reports.sarif import sarif

        log = sarif(command, data, findings, **what)
        text = json.dumps(log, indent=2, allow_nan=False, ensure_ascii=False)
        write_told(session, outputs, self.sarif, text + "\n")

    def _write_cyclonedx(self, session, outputs, data, facts, *others, **more):
        from skpoison._reports.cyclonedx import cyclonedx

        text = cyclonedx(data, facts, *others, **more)
        write_told(session, outputs, self.cyclonedx, text)

    def stop(self, checked):
        """Say which limits are exceeded, and exit accordingly."""
        tell(checked)
        if code := exit_code(checked):
            raise typer.Exit(code)


def write_told(session, outputs, path, text):
    """Write a file and say so."""
    from .files import write_text

    write_text(path, text, outputs.force)
    if path != "-":
        session.say(f"Written to {path}.")


def notes_on(suspicious, n_listed):
    """Say how many rejected rows of an audit are not listed."""
    n_rejected = suspicious["n_rejected"]
    if n_rejected is None or n_rejected <= n_listed:
        return []
    return [
        f"AutoFilter rejects {counted(n_rejected, 'row')}, of which the {n_listed:,} "
        "most suspicious are results; --top lists more."
    ]


def facts_of(command, counts, taxa, is_likely_poisoned):
    """Return what was found as the properties of a component."""
    from skpoison._reports.cyclonedx import taxa_properties

    found = {"command": command, "rows": sum(counts.n_rows)}
    for quantity, values in counts.by.items():
        if values is not None:
            found[f"rows:{quantity}"] = sum(values)
    if is_likely_poisoned is not None:
        found["likely-poisoned"] = is_likely_poisoned
    return found | taxa_properties(taxa)


def taxonomies(counts, weighed):
    """Return what was tried and found, by the entries of public taxonomies."""
    n_rows = {name: counts.of(name)[0] for name in counts.reasons}
    return taxa_of_reasons(n_rows, is_likely_poisoned=weighed and weighed.is_likely)


def findings_of(judged, labels):
    """Return rejected rows as a report has them, the most suspicious first."""
    from skpoison._reports.sarif import Finding

    rows = judged.rejected
    texts = [label_text(value) for value in labels.values]
    return [
        Finding(
            int(row),
            texts[labels.codes[row]],
            tuple(str(judged.tests[row]).split(" and "))
            if judged.tests[row]
            else ("review",),
            reason,
            float(judged.suspicion[row]),
            label_text(judged.suggested[row]),
        )
        for row, reason in zip(rows, judged.reason_of(rows), strict=True)
    ]


def findings_of_audit(rows):
    """Return the rows that AutoFilter rejects, of those that an audit lists."""
    from skpoison._reports.sarif import Finding

    return [
        Finding(
            row["position"],
            row["label"],
            (row["test"],),
            row["reason"],
            row["suspicion"],
            row["suggested_label"] or "",
        )
        for row in rows
        if row["test"] is not None
    ]
