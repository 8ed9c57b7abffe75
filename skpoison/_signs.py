"""What speaks for poison in a table: wrong labels, copies, far rows, digits.

Honest tables hold rejected rows, too: classes overlap, columns have heavy tails, people
send the same row twice. So each kind of evidence counts only beyond what honest tables
show. The limits were chosen on real tables, clean and with planted rows (docs/audit.md
says which).
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skpoison._words import counted, percent_text

# Quantile of the normal distribution that intervals of shares are made with.
Z = 1.96
# Groups of fewer rows are no attack.
FEW = 5
# Labels: the share of each predicted class's rows that models are surest of. There,
# wrong labels are as frequent as anywhere, and honest contradictions rare.
SUREST = 0.3
MOST_HONEST = 0.035  # contradictions among the surest rows of the purest class
SKILL = 0.4  # of the errors of a constant, how many the models avoid
FEWEST_JUDGED = 40  # rows, and this share of all:
LEAST_JUDGED = 0.03
FEWEST_LABELS = 0.005  # of all, that are rejected; one row or two are no attack
# Or: without the rejected rows, few of the contradictions are left; of many ones, or of
# what a constant would contradict.
LEFT, FEWEST_WRONG = 0.25, 0.03
LEFT_OF_CONSTANT, FEWEST_REJECTED = 0.1, 0.01
MOST_OF_CLASS = 0.3
OF_SURE = 0.4  # of the contradictions among sure rows, how many are rejected of all
# Shares of all rows, beyond which there are more than honest tables have.
MANY_COPIES, MANY_FAR, MANY_FINE = 0.015, 0.02, 0.005
MOST_COPIES = 0.25
# Far: times as far out as nine tenths of the rows, in half of the columns.
TIMES_AS_FAR = 2.0
FEWEST_COLUMNS, FEWEST_VALUES = 4, 6
ONE_LABEL = 0.9  # of rows that belong together
# Digits: so many more decimals than nine tenths of a column's values.
MORE_DECIMALS, MOST_DECIMALS = 2, 3
# Of the rows with more decimals in any column, those that have them in several; fewer
# are of columns that were computed, or measured, in several ways.
IN_SEVERAL = 0.7


class Evidence(NamedTuple):
    """One kind of evidence."""

    name: str
    is_strong: bool  # beyond what honest tables show
    rows: np.ndarray  # mask of the rows that it speaks against
    text: str
    limit: float = 1.0  # share of all rows, up to which honest tables have such rows
    scores: np.ndarray | None = None  # suspicion by row, where it differs
    reasons: np.ndarray | None = None  # why, by row, where that differs

    @property
    def suspicion(self) -> np.ndarray:
        """By row: one half at the limit, and near 1 far beyond it."""
        if self.scores is not None:
            return self.scores
        share = float(self.rows.mean())
        return np.full(len(self.rows), share / (share + self.limit))


def wilson(count: float, total: float) -> tuple[float, float]:
    """Return Wilson's interval of a share.

    Examples
    --------
    >>> [round(end, 3) for end in wilson(10, 100)]
    [0.055, 0.174]
    """
    if not total:
        return 0.0, 1.0
    share, spread = count / total, Z * Z / total
    middle = share + spread / 2
    half = Z * np.sqrt(share * (1 - share) / total + spread / (4 * total))
    low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
    return max(float(low), 0.0), min(float(high), 1.0)


def judged_rows(codes, probabilities, left):
    """Rows that models have judged: which, their codes, and what the models say."""
    judged = left & ~np.isnan(probabilities).any(axis=1)
    return judged, codes[judged], probabilities[judged]


def weights_of_drawn(codes: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """How many rows each drawn one stands for, on the average one.

    Rare classes are drawn more often than others.

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    >>> weights_of_drawn(codes, np.array([1, 1, 0, 0, 0, 0, 1, 1], dtype=bool))
    array([1.5, 1.5, 0.5, 0.5])
    """
    weights = np.bincount(codes) / np.maximum(np.bincount(codes[drawn]), 1)
    weights = weights[codes[drawn]]
    return weights / weights.mean() if len(weights) else weights


def contradictions_of_sure(codes, said, weights=None):
    """The share of contradictions in the purer half of classes: value and lower end.

    Of each class that models predict, the rows are looked at that they are surest of.
    ``weights`` say how many rows each stands for, on the average one.
    """
    weights = np.ones(len(codes)) if weights is None else weights
    top, sure = said.argmax(axis=1), said.max(axis=1)
    fewest = max(FEWEST_JUDGED, LEAST_JUDGED * len(codes))
    found = []
    for code in range(said.shape[1]):
        rows = np.flatnonzero(top == code)
        if len(rows) < fewest:
            continue
        rows = rows[np.argsort(-sure[rows], kind="stable")]
        rows = rows[: max(int(SUREST * len(rows)), 30)]
        wrong, total = weights[rows[codes[rows] != code]].sum(), weights[rows].sum()
        found.append((wrong / total, wrong, total))
    if not found:
        return None
    purer = sorted(found)[: max(len(found) // 2, 1)]
    wrong, total = (sum(one[at] for one in purer) for at in (1, 2))
    return wrong / total, wilson(wrong, total)[0]


def wrong_labels(codes, tests, probabilities, left):
    if probabilities is None or np.ndim(probabilities) != 2:
        return None
    judged, known, said = judged_rows(codes, probabilities, left)
    if len(known) < FEWEST_JUDGED:
        return None
    rejected = left & np.isin(tests, ["label", "cluster"])
    n_rejected = int(rejected.sum())
    # Of large tables, models have judged a sample.
    if n_rejected < max(1, FEWEST_LABELS * len(known)):
        return None
    wrong = said.argmax(axis=1) != known
    kept = wrong[~rejected[judged]]
    rest = kept.mean() if len(kept) else 1.0
    constant = 1 - np.bincount(known).max() / len(known)
    purest = contradictions_of_sure(known, said)
    # Where models are sure, rejected labels are as frequent as contradictions.
    share = n_rejected / len(known)
    has_skill = wrong.mean() <= (1 - SKILL) * constant
    if is_everywhere(purest) and has_skill and share >= OF_SURE * purest[0]:
        why = (
            f"even where models are sure, {percent_text(purest[0])} of the labels "
            "contradict them, whatever the class"
        )
    elif _are_alone(wrong.mean(), rest, constant, rejected, codes):
        why = (
            f"without them, models that contradict {percent_text(wrong.mean())} of "
            f"the labels contradict {percent_text(rest)}"
        )
    else:
        return None
    if not _know_enough(said, known):
        return None
    labels = counted(n_rejected, "label")
    verb = "contradicts" if n_rejected == 1 else "contradict"
    text = f"{labels} {verb} models that did not see the row, and {why}"
    return Evidence("labels", True, rejected, text)


def is_everywhere(purest: tuple[float, float] | None) -> bool:
    """Whether more of the surest rows contradict than honest ones do."""
    return purest is not None and purest[1] > MOST_HONEST


def _know_enough(said, codes):
    # Not before it is needed: the command line starts without the filters.
    from skpoison.filters._label_noise import tells_noise

    return tells_noise(said, codes)


def _are_alone(wrong, rest, constant, rejected, codes):
    """Whether rejected rows are most of what models contradict, in no class too many.

    A class may have honest rows that models cannot tell from another one: these are a
    large part of it more often than wrong labels are.
    """
    n_rejected = rejected.sum()
    shares = np.bincount(codes[rejected], minlength=codes.max() + 1) / np.bincount(
        codes
    )
    if shares.max() > MOST_OF_CLASS:
        return False
    if wrong - rest >= FEWEST_WRONG and rest <= LEFT * wrong:
        return True
    fewest = max(FEW, FEWEST_REJECTED * len(codes))
    return n_rejected >= fewest and rest <= LEFT_OF_CONSTANT * constant


def near_copies(tests, probabilities):
    rows = tests == "copies"
    n_copies = int(rows.sum())
    if n_copies < FEW:
        return None
    n_judged = 0
    if probabilities is not None:
        n_judged = int(np.sum(~np.isnan(probabilities).any(axis=1)))
    n_judged = n_judged or len(tests)
    # A large part of a sample says that its rows are coarse, not that they were sent.
    is_strong = MANY_COPIES * n_judged < n_copies <= MOST_COPIES * n_judged
    text = f"{n_copies:,} rows are near copies, more of one row than chance allows"
    return Evidence("copies", is_strong, rows, text)


def far_rows(columns, codes, labels, tests):
    """Rows out of all proportion in half of the columns, of one label or rejected.

    Rows without labels have none of their own.
    """
    if columns is None or columns.shape[1] < FEWEST_COLUMNS:
        return None
    away = np.abs(columns - np.median(columns, axis=0))
    usual = np.quantile(away, 0.9, axis=0)
    if np.sum(usual > 0) < FEWEST_COLUMNS:
        return None
    times = np.median(away[:, usual > 0] / usual[usual > 0], axis=1)
    rows = times > TIMES_AS_FAR
    n_far = int(rows.sum())
    if n_far < FEW:
        return None
    most = np.bincount(codes[rows], minlength=len(labels))
    is_one = len(labels) > 1 and most.max() >= ONE_LABEL * n_far
    is_strong = n_far > MANY_FAR * len(codes)
    is_strong &= bool(is_one or np.mean(tests[rows] != "") > 0.5)
    n_alike = "all" if most.max() == n_far else f"{most.max():,}"
    whose = f", {n_alike} of them labeled {labels[most.argmax()]}" if is_one else ""
    text = f"{n_far:,} rows lie far out in half of the columns at once{whose}"
    return Evidence("far rows", is_strong, rows, text, MANY_FAR)


def varied_columns(values):
    """The dense columns that hold more than a few values."""
    if sparse.issparse(values) or values.shape[1] == 0:
        return None
    values = np.asarray(values, dtype=np.float64)
    some = [len(np.unique(column)) >= FEWEST_VALUES for column in values.T]
    return values[:, some]


def fine_digits(columns, tests):
    """Rows that are written with other digits than the rest, in several columns.

    Rows that were computed (mixed of others, moved, disturbed) have decimals that
    recorded ones have not. AutoFilter rejects rows that have them in most columns; many
    rows together are conspicuous if they have them in two.
    """
    rejected = tests == "digits"
    is_strong, rows = False, rejected
    if columns is not None:
        is_strong, rows = _finer_together(columns)
    if not is_strong:
        # One finer digit in a few columns says nothing.
        rows = rejected if rejected.sum() >= FEW else rows
        is_strong = rejected.sum() >= max(FEW, MANY_FINE * len(rows))
    if rows.sum() < FEW:
        return None
    rows = rows | rejected if is_strong else rows
    n_rows = int(rows.sum())
    text = f"{n_rows:,} rows have more decimals than all others, as computed rows do"
    return Evidence("digits", bool(is_strong), rows, text, MANY_FINE)


def _finer_together(columns):
    """Whether many rows have more decimals than others, and which these are."""
    finer = np.zeros(len(columns), dtype=int)
    much = np.zeros(len(columns), dtype=bool)
    for column in columns.T:
        more = _more_decimals(column)
        if more is not None:
            finer += more > 0
            much |= more >= MORE_DECIMALS
    rows = much & (finer > 1)
    is_strong = (
        rows.sum() >= FEW
        and rows.sum() > MANY_FINE * len(rows)
        and rows.sum() >= IN_SEVERAL * np.sum(finer > 0)
    )
    # Where there are such rows, one column with more decimals gives others away.
    return is_strong, finer > 0 if is_strong else rows


def _more_decimals(column):
    """How many more decimals values have than usual; None where that says nothing.

    The most frequent value is left out: many columns are zero nearly everywhere. What
    fills gaps has one value, what was computed has many.
    """
    found, places, counts = np.unique(column, return_inverse=True, return_counts=True)
    others = places != counts.argmax()
    if others.sum() < FEWEST_JUDGED:
        return None
    decimals = _decimals(found)[places]
    usual = np.quantile(decimals[others], 0.9, method="higher")
    if usual > MOST_DECIMALS:
        return None
    more = np.where(others, decimals - usual, 0)
    fine = more > 0
    if fine.any() and len(np.unique(column[fine])) < 0.5 * fine.sum():
        return None
    return more


def _decimals(values):
    """How many decimals numbers are written with, 7 for seven and more.

    Examples
    --------
    >>> _decimals(np.array([3.0, 0.25, 1 / 3])).tolist()
    [0, 2, 7]
    """
    decimals = np.full(len(values), 7)
    for n in range(6, -1, -1):
        exact = np.abs(np.round(values, n) - values)
        decimals[exact <= 1e-9 * np.maximum(1, np.abs(values))] = n
    return decimals


def contradicting_rows(values, codes):
    """Rows that are equal to a row with another label."""
    # Not before it is needed: the command line starts without the filters.
    from skpoison.filters._copies import distinct_rows

    groups = np.asarray(distinct_rows(values)[1])
    pairs = np.unique(np.column_stack([groups, codes]), axis=0)
    n_labels = np.bincount(pairs[:, 0])
    rows = n_labels[groups] > 1
    if rows.sum() < FEW:
        return None
    text = f"{int(rows.sum()):,} rows are equal to a row with another label"
    return Evidence("equal rows", False, rows, text)


def rejected_rows(tests):
    """What AutoFilter rejects, which it does of honest rows, too."""
    rows = tests != ""
    if not rows.any():
        return None
    text = f"AutoFilter rejects {counted(int(rows.sum()), 'row')}"
    return Evidence("rejected rows", False, rows, text)
