"""What defenses are compared by: metrics of held-out rows, all of them lower-is-better.

Every metric takes weights of rows, so that resampled rows can be measured at once.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.utils import assert_all_finite

NAMES = ("error", "balanced-error", "recall@SHARE", "auc", "average-precision", "cost")
# A class is rare below this share of what it would have if all were equally large.
RARE = 0.5


class Answers(NamedTuple):
    """What a model says of held-out rows, and what is right."""

    codes: np.ndarray  # (n_rows,) the right classes
    said: np.ndarray  # (n_rows,) the predicted ones
    scores: np.ndarray  # (n_rows,) how much speaks for the positive class


class Metric(NamedTuple):
    """A metric.

    ``of(answers, weights)`` takes weights of shape (n_draws, n_rows) and returns
    n_draws values.
    """

    name: str
    shown: str  # what the value is called in tables and sentences
    of: Callable[[Answers, np.ndarray], np.ndarray]
    n_classes: int
    positive: int  # position of the class that scores speak for
    costs: np.ndarray  # (n_classes, n_classes): of the true class, the predicted one

    def value(self, answers: Answers) -> float:
        """The metric of all rows."""
        return float(self.of(answers, np.ones((1, len(answers.codes))))[0])

    def constant(self, codes: np.ndarray) -> list[Answers]:
        """What models answer that always predict one class."""
        zeros = np.zeros(len(codes))
        return [
            Answers(codes, np.full(len(codes), code), zeros)
            for code in range(self.n_classes)
        ]

    def best_constant(self, folds: list[np.ndarray]) -> list[Answers]:
        """The answers of the constant with the lowest mean over the folds."""
        options = zip(*map(self.constant, folds), strict=True)
        return list(min(options, key=lambda one: np.mean([self.value(a) for a in one])))


def recalls(answers: Answers, n_classes: int) -> list[float | None]:
    """The share of each class's rows that is predicted right; None without rows."""
    right = answers.said == answers.codes
    return [
        float(right[answers.codes == code].mean())
        if np.any(answers.codes == code)
        else None
        for code in range(n_classes)
    ]


def metric_of(
    name: str, counts: np.ndarray, positive: int, labels: list[str], costs=None
) -> Metric:
    """Return a metric by name, or say what is wrong with the name.

    ``"auto"`` is the error, and the balanced error where a class is rare. `costs` maps
    pairs of a true and a predicted label to what a row costs.
    """
    n_classes = len(counts)
    if not isinstance(name, str):
        raise ValueError(f"metric must be one of {_allowed()}; got {name!r}.")
    if costs is not None and name not in ("auto", "cost"):
        raise ValueError(f"costs belong to metric='cost'; got metric={name!r}.")
    if name == "auto":
        name = "balanced-error" if is_unequal(counts) else "error"
        name = "cost" if costs is not None else name
    matrix = _matrix(costs, labels) if name == "cost" else 1.0 - np.eye(n_classes)
    common = {"n_classes": n_classes, "positive": positive, "costs": matrix}
    if name == "error":
        return Metric(name, "error", _error, **common)
    if name == "balanced-error":
        return Metric(name, "balanced error", _balanced, **common)
    if name == "cost":

        def cost(answers, weights):
            return _mean(matrix[answers.codes, answers.said], weights)

        return Metric(name, "cost per row", cost, **common)
    if name in RANKING or re.fullmatch(r"recall@[0-9.]+", name):
        if n_classes > 2:
            raise ValueError(
                f"metric={name!r} is for two classes; y has {n_classes}. Choose error, "
                "balanced-error or cost."
            )
        return _ranking(name, common)
    raise ValueError(f"metric must be one of {_allowed()}; got {name!r}.")


def _allowed():
    return ", ".join(("auto", *NAMES))


def limit_text(metric: str, amount: float) -> str:
    """Write the most that a defense may cost by a metric.

    Examples
    --------
    >>> limit_text("error", 0.01), limit_text("cost", 0.5)
    ('1 point', '0.5 a row')
    """
    if metric == "cost":
        return f"{amount:g} a row"
    points = 100 * amount
    return f"{points:g} {'point' if points == 1 else 'points'}"


def is_unequal(counts: np.ndarray) -> bool:
    """Tell whether a class is so rare that errors would say little of it."""
    return bool(counts.min() < RARE * counts.sum() / len(counts))


def _matrix(costs, labels):
    """Return what each pair of a true and a predicted label costs; 0 if not given."""
    if not costs:
        raise ValueError(
            "metric='cost' needs costs: a dict from pairs of a true and a predicted "
            "label to numbers, such as {('spam', 'ham'): 5, ('ham', 'spam'): 1}."
        )
    matrix = np.zeros((len(labels), len(labels)))
    for pair, value in costs.items():
        try:
            true, said = (labels.index(str(one)) for one in pair)
        except (TypeError, ValueError):
            raise ValueError(
                f"costs must map pairs of two of the labels {labels} to numbers; got "
                f"{pair!r}."
            ) from None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value < np.inf or true == said:
            raise ValueError(
                f"costs[{pair!r}] must be a finite number, 0 or more, for two "
                f"different labels; got {value!r}."
            )
        matrix[true, said] = value
    for said in np.flatnonzero(~matrix.any(axis=0)):
        other = labels[0 if said else 1]
        raise ValueError(
            f"costs must hold a number above 0 for each predicted label; always "
            f"predicting {labels[said]!r} would cost nothing: add "
            f"{(other, labels[said])!r}, what it costs to predict {labels[said]!r} "
            f"for a row of {other!r} (on the command line {other}:{labels[said]}=1)."
        )
    return matrix


def _mean(values, weights):
    return weights @ values / weights.sum(axis=1)


def _error(answers, weights):
    return _mean((answers.said != answers.codes).astype(float), weights)


def _balanced(answers, weights):
    wrong = answers.said != answers.codes
    rates = []
    for code in np.unique(answers.codes):
        own = answers.codes == code
        totals = weights @ own
        # A draw without rows of the class says nothing of it.
        rates.append(
            np.divide(
                weights @ (own & wrong),
                totals,
                out=np.full(len(weights), np.nan),
                where=totals > 0,
            )
        )
    return np.nanmean(rates, axis=0)


def _by_score(is_positive, scores, weights):
    """The weights of positives and of all rows at each score, the highest first."""
    levels, places = np.unique(-scores, return_inverse=True)
    totals = np.bincount(places, weights, len(levels))
    return np.bincount(places, weights * is_positive, len(levels)), totals


# scikit-learn's functions check what they are given, which for a few hundred draws of
# each model takes forty times as long as the sums.
def _auc(is_positive, scores, weights):
    """The area under the ROC curve."""
    assert_all_finite(scores)
    found, totals = _by_score(is_positive, scores, weights)
    others = totals - found
    below = others.sum() - np.cumsum(others)
    return found @ (below + others / 2) / (found.sum() * others.sum())


def _average_precision(is_positive, scores, weights):
    """The mean of the precision over the positives."""
    assert_all_finite(scores)
    found, totals = _by_score(is_positive, scores, weights)
    return found @ (np.cumsum(found) / np.cumsum(totals)) / found.sum()


RANKING = {
    "auc": ("1 − AUC", _auc),
    "average-precision": ("1 − average precision", _average_precision),
}


def _ranking(name, common):
    if name in RANKING:
        shown, score = RANKING[name]
    else:
        share = float(name.partition("@")[2])
        if not 0 < share < 1:
            raise ValueError(
                "metric='recall@SHARE' needs a share between 0 and 1, that of the rows "
                f"with the highest scores; got {name!r}."
            )
        shown = f"positives missed by the top {100 * share:g} %"

        def score(is_positive, scores, weights):
            return _recall_at(share, is_positive, scores, weights)

    def missed(answers, weights):
        is_positive = answers.codes == common["positive"]
        return np.array([_one(score, is_positive, answers.scores, w) for w in weights])

    return Metric(name, shown, missed, **common)


def _one(score, is_positive, scores, weights):
    there = weights > 0
    if len(np.unique(is_positive[there])) < 2:
        return np.nan
    return 1 - score(is_positive[there], scores[there], weights[there])


def _recall_at(share, is_positive, scores, weights):
    """Share of the positives among the highest scores; ties count in part.

    Examples
    --------
    >>> import numpy as np
    >>> positive, even = np.array([True, True, False, False]), np.ones(4)
    >>> float(_recall_at(0.25, positive, np.array([3.0, 1, 2, 0]), even))
    0.5
    >>> float(_recall_at(0.25, positive, np.zeros(4), even))
    0.25
    """
    found, totals = _by_score(is_positive, scores, weights)
    left = share * totals.sum() - (np.cumsum(totals) - totals)
    taken = np.clip(left / totals, 0, 1)
    return taken @ found / found.sum()
