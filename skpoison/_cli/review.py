"""What a person decided about rejected rows: read, applied and compared."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.text import Text
from scipy.stats import binomtest

from skpoison._io import DataError
from skpoison._io.errors import quoted
from skpoison._io.output import harmless
from skpoison._io.own import VERDICT
from skpoison._io.review import cell_text, read_review
from skpoison._words import counted, label_text, percent_text

from .report import new_table

VERDICTS = ("keep", "drop", "relabel")
# Verdicts that say that the filter was right to reject a row.
BAD = ("drop", "relabel")
MOST_LISTED = 5


@dataclass(frozen=True)
class Review:
    """Verdicts on some rows; "" for all others.

    `codes` are the positions of the labels that rows have after the review.
    """

    verdicts: np.ndarray
    codes: np.ndarray

    def applied(self, judged):
        """Return which rows are kept after the review."""
        kept = judged.kept | np.isin(self.verdicts, ("keep", "relabel"))
        return kept & (self.verdicts != "drop")


def check_paths(path, outputs):
    """Raise an error if verdicts would be replaced by what is written."""
    written = [Path(out).resolve() for out in outputs if out not in (None, "-")]
    if path is not None and Path(path).resolve() in written:
        raise DataError(
            f"Verdicts in {path!r} would be lost if rows were written there; name "
            "another file."
        )


def load_review(path, rows, numbers, options):
    """Read verdicts on rows, which have numbers.

    Raises
    ------
    DataError
        If the file is not a review of these rows, or verdicts cannot be understood.
    """
    found = read_review(path, options.header, options.max_size)
    positions = {int(number): i for i, number in enumerate(numbers)}
    verdicts = np.full(len(rows), "", dtype=object)
    codes, seen, problems = rows.labels.codes.copy(), {}, []
    for line in found:
        try:
            row, verdict, code = _decision(line, positions, rows.labels)
            if row in seen:
                raise DataError(f"the row {line.row} is in {seen[row].place} already")
        except DataError as error:
            problems.append(f"{line.place}: {error}")
            continue
        seen[row], verdicts[row], codes[row] = line, verdict, code
    problems = problems or _of_other_rows(seen, rows)
    if problems:
        more = len(problems) - MOST_LISTED
        rest = f"; and {more:,} more" if more > 0 else ""
        raise DataError(f"{path}, " + "; ".join(problems[:MOST_LISTED]) + rest + ".")
    return Review(verdicts, codes)


def _decision(line, positions, labels):
    row = positions.get(_number(line.row))
    if row is None:
        raise DataError(f"there is no row {line.row!r} (skpoison_row) in the data")
    verdict = line.verdict.strip().lower()
    own = label_text(labels.values[labels.codes[row]])
    if line.labels.get(labels.name) is not None:
        _check_label(line.labels[labels.name], own, line.row)
    if verdict not in ("", *VERDICTS):
        raise DataError(
            f"the verdict {line.verdict!r} is none of {', '.join(VERDICTS)}, and not "
            "empty"
        )
    if verdict != "relabel":
        return row, verdict, labels.codes[row]
    return row, verdict, _new_code(line.suggested, own, labels)


def _of_other_rows(lines, rows):
    """Say which lines hold other cells than the rows that they are about.

    Programs for tables write dates and numbers in their own way: where most cells of a
    line differ, the line is about another row.
    """
    content = rows.taken(np.array(list(lines), dtype=np.intp), {})
    names = getattr(content, "column_names", None)
    if names is None:
        return []
    problems = []
    for line, cells in zip(lines.values(), content.to_pylist(), strict=True):
        known = [name for name in names if name in line.labels]
        differ = [n for n in known if not _is_same(line.labels[n], cells[n])]
        if 2 * len(differ) > len(known):
            problems.append(
                f"{line.place}: row {line.row} has {differ[0]} "
                f"{line.labels[differ[0]]!r} there and {cell_text(cells[differ[0]])!r} "
                "in the data; give the data that were reviewed, in their order"
            )
    return problems


def _is_same(given, cell):
    """Whether a cell of a review is that of the data, up to the digits written."""
    own = cell_text(cell)
    if given.strip() in (own.strip(), harmless(own).strip()):
        return True
    numbers = _as_number(given), _as_number(own)
    are_numbers = all(isinstance(number, float) for number in numbers)
    return are_numbers and math.isclose(*numbers, rel_tol=1e-4)


def _number(text):
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return None


def _check_label(given, own, number):
    """Raise an error if a row has another label in the review than in the data."""
    if given.strip() in (own, harmless(own)) or _as_number(given) == _as_number(own):
        return
    raise DataError(
        f"row {number} has the label {given!r} there and {own!r} in the data; give the "
        "data that were reviewed, and put new labels into skpoison_suggested_label"
    )


def _as_number(text):
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return text


def _new_code(wanted, own, labels):
    texts = labels.value_texts
    for code, text in enumerate(texts):
        if wanted.strip() in (text, harmless(text)) or (
            _as_number(wanted) == _as_number(text)
        ):
            if text == own:
                raise DataError(f"relabel needs another label than the row's, {own!r}")
            return code
    raise DataError(
        f"relabel takes the label from skpoison_suggested_label, where {wanted!r} is "
        f"none of {quoted(texts)}"
    )


def judged_after(judged, review):
    """Return what was found, with the rows kept that are kept after the review."""
    kept = review.applied(judged)

    def reason_of(rows):
        reasons = judged.reason_of(rows)
        return [reason or "review: dropped" for reason in reasons]

    return replace(judged, kept=kept, reason_of=reason_of)


def kept_rows(rows, wanted, review=None):
    """Return kept rows as they are written, with the labels of a review."""
    content = rows.taken(wanted, {})
    if review is None:
        return content
    changed = review.codes[wanted] != rows.labels.codes[wanted]
    if not changed.any():
        return content
    # The label as it is written comes from the first row that has it.
    first = np.unique(rows.labels.codes, return_index=True)
    of_code = dict(zip(first[0].tolist(), first[1].tolist(), strict=True))
    donors = wanted.copy()
    donors[changed] = [of_code[code] for code in review.codes[wanted[changed]]]
    return rows.relabeled(content, rows.taken(donors, {}))


def score(judged, review):
    """Compare verdicts with what the filter said: what ``--json`` writes."""
    verdicts, rejected = review.verdicts, ~judged.kept
    reviewed, bad = verdicts != "", np.isin(verdicts, BAD)
    n, n_right = int((reviewed & rejected).sum()), int((bad & rejected).sum())
    interval = binomtest(n_right, n).proportion_ci(method="wilson") if n else None
    kept = review.applied(judged)
    return {
        "n_reviewed": int(reviewed.sum()),
        "n_rejected_reviewed": n,
        "n_right": n_right,
        "precision": n_right / n if n else None,
        "precision_interval": [interval.low, interval.high] if n else None,
        "n_undecided": int((rejected & ~reviewed).sum()),
        "n_missed": int((bad & ~rejected).sum()),
        "n_relabeled": int((verdicts == "relabel").sum()),
        "n_kept": int(kept.sum()),
        "by_test": [
            _of_test(test, verdicts[judged.tests == test])
            for test in dict.fromkeys(judged.tests[rejected & reviewed].tolist())
        ],
    }


def _of_test(test, verdicts):
    counts = {verdict: int((verdicts == verdict).sum()) for verdict in VERDICTS}
    return {"test": test, **counts}


def show_score(session, found, n_rows):
    """Print how right the filter was, and what is kept now."""
    n = found["n_rejected_reviewed"]
    if n:
        table = new_table("Reviewed rejected rows", ["reason", *VERDICTS])
        for one in found["by_test"]:
            table.add_row(Text(one["test"]), *(f"{one[v]:,}" for v in VERDICTS))
        session.console.print(table)
        low, high = (percent_text(end) for end in found["precision_interval"])
        caveat = (
            " This is for the reviewed rows only: the most suspicious ones are usually "
            "reviewed first."
        )
        session.say(
            f"The filter was right about {found['n_right']:,} of "
            f"{counted(n, 'reviewed row')} that it rejected "
            f"({percent_text(found['precision'])}, 95 % interval {low} to {high})."
            f"{caveat if found['n_undecided'] else ''}"
        )
    n_kept_reviewed = found["n_reviewed"] - n
    if n_kept_reviewed:
        session.say(
            f"Of {counted(n_kept_reviewed, 'reviewed row')} that it keeps, "
            f"{found['n_missed']:,} should have been rejected. The run that wrote the "
            "verdicts' file rejected them: had it other options?"
        )
    undecided = found["n_undecided"]
    rest = f" Still rejected, for lack of a verdict: {counted(undecided, 'row')}."
    session.say(
        f"After the review {found['n_kept']:,} of {counted(n_rows, 'row')} are kept, "
        f"{found['n_relabeled']:,} with a new label.{rest if undecided else ''}"
    )


def verdict_column(rows, review=None):
    """Return the column for verdicts on rejected rows, with those that there are."""
    if review is None:
        return {VERDICT: [""] * len(rows)}
    return {VERDICT: review.verdicts[rows].tolist()}
