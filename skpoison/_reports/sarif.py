"""What filters and audits found, as SARIF 2.1.0: the format of security tools."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skpoison import __version__
from skpoison._io.lines import spans_of_lines
from skpoison._words import name_text, one_line

from .frameworks import FRAMEWORKS, TAXA
from .places import fingerprints, uri_of
from .reasons import REASONS, VERDICT, VERDICT_ID, Reason

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
    "sarif-schema-2.1.0.json"
)
# Suspicions from which a row is an error, or a warning; below, it is a note.
ERROR, WARNING = 0.9, 0.7
FINGERPRINT = "skpoisonRow/v1"
LONGEST_REASON = 400
MIME_TYPES = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "jsonl": "application/jsonl",
    "svmlight": "text/plain",
    "parquet": "application/vnd.apache.parquet",
    "npz": "application/zip",
}
TAGS = ["machine-learning", "data-poisoning"]


class Finding(NamedTuple):
    """A row that is rejected, given by its position in the data that were read.

    `tests` are the reasons, the first of which is the rule; `suggested` is empty where
    no label is suggested.
    """

    position: int
    label: str
    tests: tuple[str, ...]
    reason: str
    suspicion: float
    suggested: str = ""


def sarif(
    command: str,
    data: Any,
    findings: Sequence[Finding],
    *,
    verdict: str | None = None,
    rules: Sequence[str] = (),
    notes: Sequence[str] = (),
    exit_code: int = 0,
) -> dict[str, Any]:
    """Return a SARIF log.

    Parameters
    ----------
    command : str
        The command that looked for rows.
    data : TableData or ArrayData
        The rows that were read.
    findings : sequence of Finding
        Rejected rows, the most suspicious first.
    verdict : str, default=None
        Why the table is likely poisoned, if it is.
    rules : sequence of str
        Reasons that were looked for; those of findings are added.
    notes : sequence of str
        What a reader must know about the findings.
    exit_code : int, default=0
        What the command exits with.

    Returns
    -------
    log : dict
        The log, as JSON has it.
    """
    found = dict.fromkeys([*rules, *(one.tests[0] for one in findings)])
    of_rule = {name: REASONS[name] for name in found} | {VERDICT_ID: VERDICT}
    places = {name: index for index, name in enumerate(of_rule)}
    where = _locations(data, findings)
    results = [] if verdict is None else [_of_table(data, verdict, places)]
    hashes = fingerprints(data, _positions(findings))
    for finding, location, digest in zip(findings, where, hashes, strict=True):
        result = _result(finding, int(data.row_numbers[finding.position]), places)
        result["locations"] = [location]
        result["partialFingerprints"] = {FINGERPRINT: digest}
        results.append(result)
    invocation: dict[str, Any] = {"executionSuccessful": True, "exitCode": exit_code}
    if notes:
        invocation["toolExecutionNotifications"] = [
            {"level": "note", "message": {"text": plain(text)}} for text in notes
        ]
    run = {
        "tool": {"driver": _driver(of_rule)},
        "automationDetails": {"id": f"skpoison/{command}/"},
        "invocations": [invocation],
        "artifacts": _artifacts(data),
        "taxonomies": [_taxonomy(framework) for framework in FRAMEWORKS],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def plain(text: str) -> str:
    """Return text from data as a message: neither a link nor a place for arguments.

    Examples
    --------
    >>> plain("[here](https://example.org) {0}")
    '[here] (https://example.org) {{0}}'
    """
    safe = one_line(text, LONGEST_REASON).replace("](", "] (")
    return safe.replace("{", "{{").replace("}", "}}")


def level_of(suspicion: float) -> str:
    """Return the level of a row with some suspicion."""
    if suspicion >= ERROR:
        return "error"
    return "warning" if suspicion >= WARNING else "note"


def _positions(findings):
    return np.array([one.position for one in findings], dtype=np.intp)


def _result(finding, row, places):
    rule = finding.tests[0]
    reason = plain(finding.reason).rstrip(".")
    why = reason[:1].upper() + reason[1:]
    label = plain(name_text(finding.label))
    properties = {
        "row": row,
        "label": finding.label,
        "suspicion": finding.suspicion,
        "reasons": list(finding.tests),
    }
    if finding.suggested:
        properties["suggestedLabel"] = finding.suggested
    return {
        "ruleId": rule,
        "ruleIndex": places[rule],
        "level": "error" if rule == "review" else level_of(finding.suspicion),
        "rank": 100 * finding.suspicion,
        "message": {"text": f"Row {row:,}, labeled {label}, is suspicious. {why}."},
        "properties": properties,
    }


def _of_table(data, verdict, places):
    result = {
        "ruleId": VERDICT_ID,
        "ruleIndex": places[VERDICT_ID],
        "level": "error",
        "message": {"text": plain(verdict)},
    }
    artifact = _artifact_location(data)
    if artifact:
        result["locations"] = [{"physicalLocation": {"artifactLocation": artifact}}]
    return result


def _locations(data, findings):
    rows = _positions(findings)
    spans = spans_of_lines(data, rows) or [None] * len(rows)
    artifact = _artifact_location(data)
    for number, span in zip(data.row_numbers[rows].tolist(), spans, strict=True):
        name = f"row {number}"
        location: dict[str, Any] = {
            "logicalLocations": [{"name": name, "fullyQualifiedName": name}]
        }
        if artifact:
            physical = location["physicalLocation"] = {"artifactLocation": artifact}
            if span:
                physical["region"] = {"startLine": span[0], "endLine": span[1]}
        yield location


def _artifact_location(data):
    source = data.origin
    if source is None:
        return None
    if source.name == "-":
        return {"uri": "stdin", "index": 0}
    uri = uri_of(source.name)
    base = {} if uri.startswith("file:") else {"uriBaseId": "%SRCROOT%"}
    return {"uri": uri, **base, "index": 0}


def _artifacts(data):
    location = _artifact_location(data)
    if location is None:
        return []
    del location["index"]
    hashes, size = data.origin.hashes("sha256")
    artifact = {
        "location": location,
        "length": size,
        "roles": ["analysisTarget"],
        "hashes": {"sha-256": hashes["sha256"]},
    }
    if data.origin.compression is None:
        artifact["mimeType"] = MIME_TYPES[data.origin.format]
    return [artifact]


def _driver(of_rule):
    return {
        "name": "skpoison",
        "version": __version__,
        "rules": [_rule(name, reason) for name, reason in of_rule.items()],
        "supportedTaxonomies": [
            {"name": framework.name, "index": index}
            for index, framework in enumerate(FRAMEWORKS)
        ],
    }


def _rule(name: str, reason: Reason) -> dict[str, Any]:
    text = f"{reason.why} {reason.action}"
    level = "error" if reason is VERDICT else "warning"
    return {
        "id": name,
        "name": reason.name,
        "shortDescription": {"text": reason.sentence},
        "fullDescription": {"text": f"{reason.sentence} {reason.why}"},
        "help": {"text": text, "markdown": f"{reason.why}\n\n{reason.action}"},
        "helpUri": HELP_URI,
        "defaultConfiguration": {"level": level},
        "relationships": [
            {"target": _reference(taxon), "kinds": ["relevant"]}
            for taxon in reason.taxa
        ],
        "properties": {"tags": TAGS},
    }


HELP_URI = TAXA["AML.T0020"].url
_PLACES = {
    taxon.id: (at, index)
    for at, framework in enumerate(FRAMEWORKS)
    for index, taxon in enumerate(framework.taxa)
}


def _reference(taxon):
    at, index = _PLACES[taxon]
    component = {"name": FRAMEWORKS[at].name, "index": at}
    return {"id": taxon, "index": index, "toolComponent": component}


def _taxonomy(framework):
    return {
        "name": framework.name,
        "version": framework.version,
        "organization": framework.organization,
        "informationUri": framework.url,
        "shortDescription": {"text": f"{framework.name} {framework.version}"},
        "isComprehensive": False,
        "taxa": [
            {
                "id": taxon.id,
                "name": taxon.name,
                "shortDescription": {"text": taxon.text},
                "helpUri": taxon.url,
            }
            for taxon in framework.taxa
        ],
    }
