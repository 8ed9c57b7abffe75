"""Which of the assumptions behind a certificate the data violate."""

import numpy as np
from scipy import sparse

from skpoison._columns import times_text
from skpoison._whole_rows import n_poison_rows
from skpoison._words import counted, epsilon_text, loss_text, percent_text

from .defenses import name_of
from .inputs import Inputs
from .plan import Plan
from .types import Assumption, Bounds, Data, NoAttack, Percentile, Recommendation

HOLDS, WATCH, VIOLATED, UNTESTED = "holds", "watch", "violated", "not tested"
# Shares of the rise that a bound allows from which a doubt is worth a word.
MUCH, SOME = 1.0, 0.25
# Copies of one row, as a share of all rows, that look as if they had been sent.
MANY_COPIES = 0.01
FEW_COPIES = 5
# Standard errors of the distance between class means below which it may be chance.
UNCERTAIN = 4.0
COPIES = "no row has many copies"


def assumptions(
    inputs: Inputs,
    plan: Plan,
    data: Data,
    bounds: Bounds,
    clean: NoAttack,
    rows: list[Percentile],
    recommendation: Recommendation,
) -> list[Assumption]:
    """Hold the data against what a certificate assumes."""
    row = _row_to_judge(rows, recommendation)
    return [
        _agreement(plan, bounds, clean, row),
        _outliers(plan, bounds, row),
        _learner(plan, bounds),
        _two_classes(inputs, data),
        _scale(data),
        _direction(inputs, plan),
        _balance(plan, data),
        _copies(data),
        _contradictions(data),
        _domain(data),
        _fixed(bounds, recommendation),
        _trust(),
    ]


def _row_to_judge(rows, recommendation):
    """The percentile with a certificate that does best, or else the largest."""
    wanted = recommendation["certified_percentile"]
    chosen = [row for row in rows if row["percentile"] == wanted]
    return chosen[0] if chosen else rows[-1]


def _found(name, status, text, **numbers) -> Assumption:
    return {"name": name, "status": status, "text": text, "numbers": numbers}


def _judged(part, whole):
    """Compare a doubt with the rise that the bound allows."""
    if part > MUCH * whole:
        return VIOLATED
    return WATCH if part > SOME * whole else HOLDS


def _agreement(plan, bounds, clean, row):
    gap = max(clean["test_loss"] - clean["train_loss"], 0.0)
    rise = max(row["upper_bound"] - bounds["no_attack_loss"], 0.0)
    status = _judged(gap, rise)
    text = (
        f"Without an attack, the loss on held-out rows is {loss_text(gap)} above the "
        f"loss on training rows. The bound allows an attacker to raise the training "
        f"loss by {loss_text(rise)} ({epsilon_text(plan.reference)} poison, percentile "
        f"{row['percentile']:g})."
    )
    if status == VIOLATED:
        text += (
            " Training and test loss differ by more than that, so the bound says "
            "little about new rows: use more rows or a stronger penalty."
        )
    return _found(
        "training and test loss agree",
        status,
        text,
        train_loss=clean["train_loss"],
        test_loss=clean["test_loss"],
        gap=gap,
        rise=rise,
    )


def _outliers(plan, bounds, row):
    name = "rows that the filter rejects matter little"
    cost = row["cost_loss"]
    if cost is None:
        return _found(name, UNTESTED, "The filter could not be measured.")
    cost = max(cost, 0.0)
    rise = max(row["upper_bound"] - bounds["no_attack_loss"], 0.0)
    text = (
        f"At percentile {row['percentile']:g} the filter keeps "
        f"{percent_text(row['kept_share'])} of the rows. A model trained on those has "
        f"a held-out loss of {loss_text(row['clean_loss'])} on all clean rows, "
        f"{loss_text(cost)} more than one trained on all. The bound assumes that all "
        "clean rows are kept."
    )
    status = _judged(cost, rise)
    numbers = {"cost": cost, "rise": rise, "kept_share": row["kept_share"]}
    return _found(name, status, text, **numbers)


def _learner(plan, bounds):
    name = "the bound applies to the model"
    learner = plan.learner.text
    if bounds["applies_to_estimator"]:
        return _found(name, HOLDS, f"The bound is for the model, a {learner}.")
    text = (
        "Bounds exist for linear models without class weights only. These are for a "
        f"{learner}, not for {type(plan.estimator).__name__}, on which attacks are "
        "measured."
    )
    if getattr(plan.estimator, "class_weight", None) is not None:
        text = (
            f"The bound is for a {learner} whose classes have equal weights, not for "
            "the model, which weights them."
        )
    return _found(name, VIOLATED, text)


def _two_classes(inputs, data):
    name = "there are two classes"
    if len(inputs.classes) == 2:
        return _found(name, HOLDS, "There are two classes.", n_classes=2)
    text = (
        f"There are {len(inputs.classes)} classes, but the bound is for two: for a "
        f"model that separates {data['positive']} from all others, and a filter with "
        "these two classes; skpoison certify bounds all classes at once. Filters and "
        "attacks are measured with all classes, except attacks for two classes, which "
        "are left out."
    )
    return _found(name, VIOLATED, text, n_classes=len(inputs.classes))


def _scale(data):
    name = "no column dominates distances"
    widest, done = data["widest"], data["transformed"]
    numbers, text = {}, ""
    if widest is not None:
        numbers = {key: widest[key] for key in ("times_median", "share")}
        text = (
            f"column {widest['name']} spreads {times_text(widest['times_median'])} "
            "times as far as the median of the others and holds "
            f"{percent_text(widest['share'])} of the squared distances"
        )
    if done != "none":
        before = f", since {text} as it is" if text else ""
        text = (
            f"After the transformation of the columns ({done}) no column does{before}. "
            "It was fitted on all rows. In use, fit it on trusted rows, before the "
            "filter."
        )
        return _found(name, HOLDS, text, **numbers)
    if widest is None:
        text = "No column spreads much farther than the others."
        return _found(name, HOLDS, text)
    text = (
        f"{text[0].upper()}{text[1:]}. Filters that measure distances see little else: "
        "scale the columns."
    )
    return _found(name, WATCH, text, **numbers)


def _direction(inputs, plan):
    """Compare the distance between the class means with what chance would make it."""
    name = "the class means are well separated"
    positive = inputs.codes == plan.positive
    means, errors = [], []
    for rows in (positive, ~positive):
        mean, variance = _moments(inputs.X[rows])
        means.append(mean)
        errors.append(variance / rows.sum())
    distance = float(np.linalg.norm(means[0] - means[1]))
    chance = float(np.sqrt(sum(errors)))
    certain = distance > UNCERTAIN * chance
    text = (
        f"The means of the two classes are {loss_text(distance)} apart; their standard "
        f"errors alone would put them {loss_text(chance)} apart."
    )
    if not certain:
        text += (
            " The direction of the slab is uncertain: other rows could give another."
        )
    status = HOLDS if certain else WATCH
    return _found(name, status, text, distance=distance, standard_error=chance)


def _moments(X):
    """Return the mean of rows and the sum of the variances of their columns."""
    mean = np.asarray(X.mean(axis=0), dtype=np.float64).ravel()
    squares = X.multiply(X).sum() if sparse.issparse(X) else np.einsum("ij,ij", X, X)
    return mean, max(float(squares) / X.shape[0] - float(mean @ mean), 0.0)


def _balance(plan, data):
    name = "every class outnumbers the poison"
    smallest = min(data["classes"], key=lambda one: one["n_rows"])
    n_poison = n_poison_rows(plan.reference, data["n_rows"])
    text = (
        f"The smallest class, {smallest['label']}, has "
        f"{counted(smallest['n_rows'], 'row')}; "
        f"{epsilon_text(plan.reference)} poison is {counted(n_poison, 'row')} in all."
    )
    status = HOLDS
    if n_poison >= smallest["n_rows"] / 2:
        status = VIOLATED if n_poison >= smallest["n_rows"] else WATCH
        text += (
            " All of them can have that label; a filter fitted to the poisoned rows "
            "then follows the poison."
        )
    return _found(
        name, status, text, n_poison=n_poison, smallest_class=smallest["n_rows"]
    )


def _copies(data):
    most = data["most_repeated"]
    if most is None:
        return _found(
            COPIES, HOLDS, "No row occurs twice with the same label.", n_repeated=0
        )
    text = (
        f"{data['n_repeated']:,} of the rows repeat an earlier one with the same "
        f"label. The most frequent, with {most['n_copies']:,} copies, is row "
        f"{most['row']:,}, counted from one (label {most['label']})."
    )
    many = max(FEW_COPIES, MANY_COPIES * data["n_rows"])
    status = WATCH if most["n_copies"] > many else HOLDS
    if status == WATCH:
        text += " The strongest attacks known consist of few rows in many copies."
    numbers = {"n_repeated": data["n_repeated"], "n_copies": most["n_copies"]}
    return _found(COPIES, status, text, **numbers)


def _contradictions(data):
    name = "equal rows have equal labels"
    count = data["n_contradicting"]
    if not count:
        return _found(name, HOLDS, "Equal rows have equal labels.", n_contradicting=0)
    text = f"{count:,} rows are equal to a row with another label."
    status = WATCH if count > MANY_COPIES * data["n_rows"] else HOLDS
    return _found(name, status, text, n_contradicting=count)


def _domain(data):
    name = "an attacker can send any numbers"
    kinds = data["kinds"]
    limited = {k: kinds[k] for k in ("binary", "count", "nonnegative") if kinds[k]}
    varying = sum(kinds.values()) - kinds["constant"]
    if not limited:
        return _found(name, HOLDS, "The columns hold numbers of both signs.")
    listed = ", ".join(f"{count:,} {kind}" for kind, count in limited.items())
    text = (
        f"Of {varying:,} columns that vary, some hold restricted values only "
        f"({listed}). If an attacker can send no others, the bound is valid but loose: "
        "CertifiedBound(domain=...) gives a tighter one."
    )
    return _found(name, HOLDS, text, **limited, varying=varying)


def _fixed(bounds, recommendation):
    name = "centroids and radii are fixed"
    shown = recommendation["certified_percentile"]
    moving = any(curve["defense"] != "fixed" for curve in bounds["curves"])
    text = (
        "The bound is for a filter whose centroids and radii are computed from these "
        "rows, taken for clean, and then fixed. A filter that is fitted to poisoned "
        "rows is not certified; what attacks do to it is measured here."
    )
    if moving:
        text += " Bounds with moving centroids are given beside it."
    if shown is not None:
        text += (
            f" Errors and losses of {name_of(shown)} are those of the fitted filter."
        )
    return _found(name, UNTESTED, text)


def _trust():
    return _found(
        "the rows are clean",
        UNTESTED,
        "All figures take these rows for clean, which nothing can prove. Review the "
        "suspicious rows first, and audit again without those that are wrong.",
    )
