"""What ``skpoison filter`` prints: counts, reasons and the most suspicious rows."""

from rich.text import Text

from skpoison._io.errors import quoted
from skpoison._words import name_text, one_line, percent_text

from .report import new_table
from .session import warn
from .suspicion import TESTS

N_WORST = 20
# A class with less than this part of an even share of the rows is rare; so large a
# share of it, and so many times that of all others, is more than bad luck.
RARE, MUCH, TIMES = 0.5, 0.1, 5
# Share of the rows beyond which rejected ones need not be honest for the most part.
MANY = 0.05


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
    for text in rare_ones_rejected(numbers["classes"]):
        warn(text)
    session.console.print(_reasons_table(numbers["classes"]))
    show_worst(session, numbers)
    session.say(
        f"Rejected: {n_rejected:,} of {numbers['n_rows']:,} rows. "
        f"{_conclusion(numbers, n_rejected / numbers['n_rows'])}"
    )


def rare_ones_rejected(classes):
    """Say of which rare classes much more is rejected than of the others.

    Models know few rows of them, and honest ones that are hard to predict look like
    rows with a wrong label.

    Examples
    --------
    >>> classes = [
    ...     {"label": "n", "n_rows": 900, "n_rejected": 3},
    ...     {"label": "y", "n_rows": 50, "n_rejected": 14},
    ... ]
    >>> next(rare_ones_rejected(classes))[:57]
    "14 of the 50 rows of the rare label 'y' are rejected, and"
    """
    n_rows = sum(one["n_rows"] for one in classes)
    n_rejected = sum(one["n_rejected"] for one in classes)
    for one in classes:
        rest = n_rows - one["n_rows"], n_rejected - one["n_rejected"]
        if one["n_rows"] >= RARE * n_rows / len(classes) or not one["n_rows"]:
            continue
        share, of_rest = one["n_rejected"] / one["n_rows"], rest[1] / rest[0]
        if share >= MUCH and share >= TIMES * of_rest:
            yield (
                f"{one['n_rejected']:,} of the {one['n_rows']:,} rows of the rare "
                f"label {name_text(one['label'], 40)!r} are rejected, and "
                f"{percent_text(of_rest)} of all others. Models know few rows of a "
                "rare class, so that honest ones can look wrong: without them, fewer "
                "of the class are found. Review these rows (--rejected) first."
            )


def _conclusion(numbers, share):
    """Say how far the number of rejected rows can be trusted, a share of all."""
    verdict, by = numbers["verdict"], numbers.get("by")
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
    out = [one["value"] for one in by["groups"] if one["stands_out"]] if by else []
    if out:
        return (
            "There is no clear sign of poison in the table as a whole, but more rows "
            f"are rejected than by chance where {by['column']} is {quoted(out)}: "
            "review these first."
        )
    if share > MANY:
        return (
            "There is no clear sign of poison, but up to "
            f"{percent_text(verdict['share_high'])} of the rows may be bad: where "
            "classes overlap, wrong labels and honest ones look alike. Review the rows "
            "before you drop them."
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
