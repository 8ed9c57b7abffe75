"""The limits of ``--fail-on``: how many suspicious rows a pipeline lets through."""

import re
from dataclasses import dataclass
from fractions import Fraction

import typer

from skpoison._io import DataError
from skpoison._io.errors import quoted
from skpoison._reports.reasons import OF_AUTO, OF_LABELS
from skpoison._words import counted, label_text, name_text, percent_text

from .kinds import PUBLISHED
from .options import STOP
from .session import warn

SUSPICIOUS, PLANTED = "suspicious", "planted"
# The label of rows whose targets are quantities.
ALL = "all"
# What an audit rejects rows for, and what it counts.
OF_REASONS = (*OF_LABELS, "others")
OF_AUDIT = (SUSPICIOUS, PLANTED, *OF_REASONS)
FORM = re.compile(
    r"(?P<quantity>[a-z-]+)\s*(\[(?P<label>.*)\])?\s*(?P<sign>>=?)\s*"
    r"(?P<number>\d+(\.\d*)?|\.\d+)\s*(?P<percent>%?)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Limit:
    """A number of rows, or a share, that must not be exceeded, or not be reached.

    `label` is None for the rows of all labels. `share` or `number` is None.
    """

    text: str
    quantity: str
    label: str | None
    is_reached: bool
    number: Fraction
    is_percent: bool

    def check(self, counts):
        """Compare with what was counted; return what ``--json`` writes."""
        n_rows, total = counts.of(self.quantity, self.label)
        value = Fraction(100 * n_rows, total or 1) if self.is_percent else n_rows
        exceeded = value >= self.number if self.is_reached else value > self.number
        return {
            "limit": self.text,
            "n_rows": n_rows,
            "of": total,
            "share": n_rows / total if total else 0.0,
            "is_exceeded": bool(exceeded),
        }


@dataclass(frozen=True)
class Counts:
    """How many rows each label has, and how many of these are bad for which reason.

    `by` maps quantities to counts for each label. A quantity that is None could not be
    computed.
    """

    labels: list
    n_rows: list
    by: dict

    @property
    def reasons(self):
        """The reasons among the quantities."""
        return [name for name in self.by if name not in (SUSPICIOUS, PLANTED)]

    def of(self, quantity, label=None):
        """Return how many rows there are of a quantity, and of how many."""
        found = self.by.get(quantity, [0] * len(self.labels))
        if found is None:
            raise DataError(
                f"The limit on {quantity!r} cannot be checked: there is nothing to "
                "compare with it."
            )
        if label is None:
            return sum(found), sum(self.n_rows)
        at = self.labels.index(label)
        return found[at], self.n_rows[at]


def limits(texts):
    """Return limits, from texts such as ``suspicious>0.5%``."""
    return [_limit(text) for text in texts or ()]


def _limit(text):
    found = FORM.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(
            f"{text!r} is no limit. A limit is a quantity, > or >=, and a number of "
            "rows or a percentage, between quotes: 'suspicious>0.5%' or "
            "'label[spam]>=10'."
        )
    number, is_percent = Fraction(found["number"]), bool(found["percent"])
    if is_percent and number > 100:
        raise typer.BadParameter(f"{text!r}: no share exceeds 100 %.")
    return Limit(
        text.strip(),
        found["quantity"],
        found["label"],
        found["sign"] == ">=",
        number,
        is_percent,
    )


def check_quantities(wanted, possible, where):
    """Refuse limits on quantities that are not computed."""
    for limit in wanted:
        if limit.quantity not in possible:
            raise typer.BadParameter(
                f"{limit.text!r}: {where} counts no {limit.quantity!r}, only "
                f"{', '.join(possible)}.",
                param_hint="'--fail-on'",
            )


def check_labels(wanted, labels):
    """Refuse limits on labels that no row has."""
    for limit in wanted:
        if limit.label is not None and limit.label not in labels:
            raise typer.BadParameter(
                f"{limit.text!r}: there are no rows labeled {limit.label!r}; the "
                f"labels are {quoted(labels)}.",
                param_hint="'--fail-on'",
            )


def labels_of(labels):
    """Return the labels of rows, as limits name them."""
    if labels.is_quantity:
        return [ALL]
    return [name_text(label_text(value)) for value in labels.values]


def of_filter(kind, trusted):
    """Return the quantities that ``skpoison filter`` counts."""
    if kind == "auto":
        if trusted:
            return (SUSPICIOUS, *OF_AUTO)
        return (SUSPICIOUS, PLANTED, *OF_AUTO)
    if kind in PUBLISHED:
        members = ("sphere", "slab") if kind == "both" else (kind,)
        return (SUSPICIOUS, *members)
    return (SUSPICIOUS, kind)


def count_judged(judged, labels, planted=None):
    """Count rows that are rejected, by label and reason.

    `planted` is the mask of rows that strong evidence speaks against; without one,
    limits on them cannot be checked.
    """
    import numpy as np

    rejected = ~judged.kept
    masks = {SUSPICIOUS: rejected}
    masks |= {test: mask & rejected for test, mask in judged.rejected_by.items()}
    if planted is not None:
        masks[PLANTED] = planted
    texts = labels_of(labels)
    codes = np.zeros_like(labels.codes) if labels.is_quantity else labels.codes

    def by_label(codes):
        return np.bincount(codes, minlength=len(texts)).tolist()

    by = {name: by_label(codes[mask]) for name, mask in masks.items()}
    return Counts(texts, by_label(codes), {PLANTED: None} | by)


def count_reported(report):
    """Count rows that an audit reports, by label and reason."""
    classes = report["suspicious"]["classes"]
    planted = {one["label"]: one["n_rows"] for one in report["verdict"]["classes"]}
    by = {PLANTED: [planted.get(one["label"], 0) for one in classes]}
    if report["suspicious"]["n_rejected"] is None:
        by |= dict.fromkeys((SUSPICIOUS, *OF_REASONS))
    else:
        by[SUSPICIOUS] = [one["n_rejected"] for one in classes]
        by |= {
            reason: [one["rejected_by"].get(reason, 0) for one in classes]
            for reason in OF_REASONS
        }
    labels = [one["label"] for one in classes]
    return Counts(labels, [one["n_rows"] for one in classes], by)


def warn_of_share(wanted, checked, kind, percentile):
    """Warn of limits that tables without poison exceed, as the filter's share does."""
    if percentile is None:
        return
    share = 100.0 - percentile
    small = [
        limit.text
        for limit, one in zip(wanted, checked, strict=True)
        if (
            limit.number if limit.is_percent else limit.number * 100 / max(one["of"], 1)
        )
        < share
    ]
    if small:
        warn(
            f"--filter {kind} rejects {share:g} % of each class by design, of rows "
            f"without poison, too, so that {quoted(small)} says little. Use --filter "
            "auto, or limits above this share."
        )


def tell(checked):
    """Say on standard error which limits are exceeded."""
    for one in checked:
        if one["is_exceeded"]:
            typer.echo(
                f"Limit exceeded: {one['limit']}: {one['n_rows']:,} of "
                f"{counted(one['of'], 'row')} ({percent_text(one['share'])}).",
                err=True,
            )


def exit_code(checked):
    """Return what a command exits with."""
    return STOP if any(one["is_exceeded"] for one in checked) else 0
