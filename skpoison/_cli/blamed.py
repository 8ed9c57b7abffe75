"""What ``skpoison trace`` prints: the cases, the blamed rows, and what they share."""

from rich.text import Text

from skpoison._words import counted, name_text, one_line, percent_text
from skpoison.tracing._result import CONTRADICTED

from .report import new_table

LONGEST_LABEL, LONGEST_CELLS, MOST_CASES, MOST_SHARED = 24, 100, 20, 10


def show(session, numbers):
    """Print the results of ``trace``."""
    cases = numbers["cases"]
    session.say(
        f"{name_text(numbers['data']['source'])}: "
        f"{counted(numbers['data']['n_rows'], 'training row')}, "
        f"{counted(numbers['data']['n_features'], 'feature')}. The model is "
        f"{numbers['estimator']}."
    )
    session.console.print(_cases_table(cases))
    n_right = sum(not one["is_wrong"] for one in cases)
    if n_right:
        session.say(
            f"{counted(n_right, 'case')} of {len(cases):,} {_is(n_right)} predicted "
            "right already, and not traced."
        )
    if numbers["rows"]:
        session.console.print(_rows_table(numbers))
    session.say(_how_rows_count(numbers["data"]))
    shared = [one for one in numbers["shared"] if one["column"] != CONTRADICTED]
    if shared:
        session.console.print(_shared_table(shared, numbers["is_found"]))
    session.say(numbers["summary"])
    _say_how(session, numbers)


def _how_rows_count(data):
    """Which files the numbers of rows and cases are of."""
    of_rows, of_cases = name_text(data["source"]), name_text(data["cases"])
    return f"Rows of {of_rows} and cases of {of_cases} are counted from 1."


def _is(number):
    return "is" if number == 1 else "are"


def _cases_table(cases):
    table = new_table("What the model says of the cases", ["case", "it says", "right"])
    table.add_column("without\nthe rows", justify="right")
    table.add_column("text or cells")
    wrong_first = sorted(cases, key=lambda one: not one["is_wrong"])
    for one in wrong_first[:MOST_CASES]:
        right = "another" if one["right"] is None else _label(one["right"])
        without = "–" if one["without"] is None else _label(one["without"])
        said = _label(one["predicted"])
        table.add_row(
            f"{one['row']:,}",
            said,
            right,
            without,
            Text(one_line(one["cells"], LONGEST_CELLS)),
        )
    if len(cases) > MOST_CASES:
        table.add_row("…")
    return table


def _label(value):
    if isinstance(value, float):
        return Text(f"{value:.4g}")
    return Text(one_line(value, LONGEST_LABEL))


def _rows_table(numbers):
    title = "The rows that are blamed most"
    table = new_table(title, ["row", "rank", "label", "contribution"])
    table.add_column("removed")
    by = numbers["settings"]["by"]
    if by:
        table.add_column(Text(one_line(by, LONGEST_LABEL)))
    table.add_column("text or cells")
    for one in numbers["rows"]:
        table.add_row(
            f"{one['row']:,}",
            f"{one['rank']:,}",
            _label(one["label"]),
            f"{one['contribution']:.2f}",
            "yes" if one["is_removed"] else "",
            *([_label(one["by"])] if by else []),
            Text(one_line(one["cells"], LONGEST_CELLS)),
        )
    return table


def _shared_table(shared, is_found):
    which = "removed rows" if is_found else "rows blamed most"
    table = new_table(f"What the {which} share", ["column", "value"])
    first = "removed\nrows" if is_found else "blamed\nrows"
    for header in (first, "of\nthese", "of all\nrows", "chance"):
        table.add_column(header, justify="right")
    for one in shared[:MOST_SHARED]:
        table.add_row(
            Text(one_line(one["column"], 40)),
            Text(one_line(one["value"], 40)),
            f"{one['n_rows']:,}",
            percent_text(one["share"]),
            percent_text(one["share_of_all"]),
            f"{one['p_value']:.1g}",
        )
    return table


def _say_how(session, numbers):
    fits = counted(numbers["n_fits"], "fit")
    if not numbers["is_found"]:
        session.say(
            f"Tried with {fits}. --max-removed allows more rows; --learner and "
            "--method choose another model and another ranking."
        )
        return
    session.say(f"This was verified by fitting the model again ({fits} in all).")
