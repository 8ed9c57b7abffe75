"""What other programs read of ``filter`` and ``audit``, and what stops a pipeline."""

import json
from dataclasses import dataclass
from typing import Annotated

import typer

from skpoison._reports.reasons import OF_LABELS, taxa_of_reasons
from skpoison._words import counted, label_text

from .limits import count_reported, exit_code, limits, tell
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

    def __post_init__(self):
        self.fail_on = self.fail_on or []

    @property
    def needs_rows(self):
        """Whether reports say where rows are, and what they hold."""
        return self.sarif is not None

    @property
    def paths(self):
        """Files that are written."""
        return (self.sarif,)

    def write_sarif(self, session, outputs, command, data, findings, **what):
        """Write the file of ``--sarif``, if it is wanted."""
        if self.sarif is None:
            return
        from skpoison._reports.sarif import sarif

        from .files import write_text

        log = sarif(command, data, findings, **what)
        text = json.dumps(log, indent=2, allow_nan=False, ensure_ascii=False)
        write_text(self.sarif, text + "\n", outputs.force)
        if self.sarif != "-":
            session.say(f"Written to {self.sarif}.")

    def report_filter(self, session, outputs, rows, judged, weighed, counts):
        """Write what a filter found, and compare it with the limits.

        `weighed` is the verdict on the table, if there is one.
        """
        checked = [limit.check(counts) for limit in self.fail_on]
        self.write_sarif(
            session,
            outputs,
            "filter",
            rows,
            findings_of(judged, rows.labels),
            verdict=weighed.text if weighed and weighed.is_likely else None,
            rules=tuple(judged.rejected_by),
            exit_code=exit_code(checked),
        )
        return checked

    def report_audit(self, session, outputs, rows, report):
        """Write what an audit found, and compare it with the limits.

        `rows` are the data, if they are needed.
        """
        counts = count_reported(report)
        checked = [limit.check(counts) for limit in self.fail_on]
        suspicious, verdict = report["suspicious"], report["verdict"]
        findings = findings_of_audit(suspicious["rows"])
        notes = []
        n_rejected = suspicious["n_rejected"]
        if n_rejected is not None and n_rejected > len(findings):
            notes.append(
                f"AutoFilter rejects {counted(n_rejected, 'row')}, of which the "
                f"{len(findings):,} most suspicious are results; --top lists more."
            )
        self.write_sarif(
            session,
            outputs,
            "audit",
            rows,
            findings,
            verdict=verdict["text"] if verdict["is_likely_poisoned"] else None,
            rules=OF_LABELS,
            notes=notes,
            exit_code=exit_code(checked),
        )
        return checked

    def stop(self, checked):
        """Say which limits are exceeded, and exit accordingly."""
        tell(checked)
        if code := exit_code(checked):
            raise typer.Exit(code)


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
