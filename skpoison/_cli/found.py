"""What ``skpoison filter`` prints: counts, reasons and the most suspicious rows."""

from rich.text import Text

from skpoison._words import one_line, percent_text

from .report import new_table
from .suspicion import TESTS

N_WORST = 20


def show_suspicions(session, source, numbers):
    """Print the results of ``skpoison filter --filter auto``."""
    session.console.print(_classes_table(source, numbers["classes"]))
    found = numbers["rows"]
    if not found:
        session.say(
            f"Nothing suspicious was found: all {numbers['n_rows']:,} rows are kept. "
            "Poison that looks like honest rows of its label is not detected; skpoison "
            "certify bounds the damage it can do."
        )
        return
    n_rejected = numbers["n_rows"] - numbers["n_kept"]
    session.console.print(_reasons_table(numbers["classes"]))
    show_worst(session, numbers)
    session.say(
        f"Rejected: {n_rejected:,} of {numbers['n_rows']:,} rows. "
        f"{_conclusion(numbers['verdict'])}"
    )


def _conclusion(verdict):
    """Say how far the number of rejected rows can be trusted."""
    if verdict is None:
        return (
            "Honest but unusual rows can be among them, and poison that looks like "
            "honest rows of its label is not: review the rows before you drop them."
        )
    if verdict["is_likely_poisoned"]:
        return (
            "How many rows are bad is estimated in the verdict above; rejected rows "
            "beyond that are probably honest but unusual. Review the rows before you "
            "drop them."
        )
    return (
        "As there is no clear sign of poison, most of them are probably honest but "
        "unusual: review the rows before you drop them."
    )


def _classes_table(source, classes):
    headers = ["label", "rows", "kept", "rejected", "share\nrejected"]
    table = new_table(one_line(source), headers)
    for row in classes:
        counts = row["n_rows"], row["n_kept"], row["n_rejected"]
        cells = [f"{n:,}" for n in counts] + [percent_text(row["contamination"])]
        table.add_row(Text(one_line(row["label"])), *cells)
    return table


def _reasons_table(classes):
    table = new_table("What was found", ["reason", "rows"])
    table.add_column("what it means")
    for test in classes[0]["rejected_by"]:
        n = sum(row["rejected_by"][test] for row in classes)
        if n:
            table.add_row(test, f"{n:,}", TESTS[test])
    return table


def show_worst(session, numbers):
    """Print the most suspicious of the rejected rows."""
    if numbers["rows"]:
        n_rejected = numbers["n_rows"] - numbers["n_kept"]
        session.console.print(_worst_table(numbers["rows"], n_rejected))


def worst(rows):
    """Choose the most suspicious rows, and the first with each reason.

    Examples
    --------
    >>> rows = [{"test": "far"}] * 30 + [{"test": "label"}] * 2
    >>> [row["test"] for row in worst(rows)].count("far")
    19
    """
    first = {row["test"]: at for at, row in reversed([*enumerate(rows)])}
    rest = [at for at in range(len(rows)) if at not in first.values()]
    chosen = sorted([*first.values(), *rest][: max(N_WORST, len(first))])
    return [rows[at] for at in chosen]


def _worst_table(rows, n_rejected):
    shown = worst(rows)
    title = "Rejected rows, most suspicious first"
    if n_rejected > len(shown):
        title = f"The {len(shown)} most suspicious of {n_rejected:,} rejected rows"
    if shown != rows[: len(shown)]:
        title += ", and the first with each reason"
    table = new_table(title, ["label", "row", "suspicion"])
    table.add_column("reason")
    for row in shown:
        table.add_row(
            Text(one_line(row["label"], longest=24)),
            f"{row['row']:,}",
            f"{row['suspicion']:.2f}",
            Text(one_line(row["reason"])),
        )
    return table
