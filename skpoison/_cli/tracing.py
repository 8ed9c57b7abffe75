"""What ``skpoison trace`` computes."""

from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np
import typer
from scipy.sparse import issparse
from sklearn import ensemble, linear_model, neighbors, svm
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch

from skpoison import __version__, trace
from skpoison._io import DataError, load
from skpoison._io.read import load_test
from skpoison._words import label_text, name_text
from skpoison.tracing._held_out import usual_error
from skpoison.tracing._result import COPIES

from . import by as groups
from .certificate import few_threads
from .columns import complete
from .sample import warn_of_labels

MAX_ITER = 10_000
# With penalties of 1 / C.
LINEAR = {
    "logistic": lambda C: linear_model.LogisticRegression(C=C, max_iter=MAX_ITER),
    "svm": lambda C: svm.LinearSVC(loss="hinge", C=C, max_iter=MAX_ITER),
    "svm-squared": lambda C: svm.LinearSVC(C=C, max_iter=MAX_ITER),
    "ridge": lambda C: linear_model.RidgeClassifier(alpha=1.0 / C),
}
OTHERS = {
    "forest": ensemble.RandomForestClassifier,
    "boosting": ensemble.HistGradientBoostingClassifier,
    "neighbors": neighbors.KNeighborsClassifier,
}
LINEAR_OF_QUANTITIES = {"ridge": lambda C: linear_model.Ridge(alpha=1.0 / C)}
OTHERS_OF_QUANTITIES = {
    "forest": ensemble.RandomForestRegressor,
    "boosting": ensemble.HistGradientBoostingRegressor,
    "neighbors": neighbors.KNeighborsRegressor,
}
LONGEST_CELL, MOST_CELLS = 200, 3


@dataclass(frozen=True)
class Settings:
    """The options of the command."""

    case: str
    learner: str | None
    C: float | None
    method: str
    max_removed: int | float
    tolerance: float | None
    by: str | None
    seed: int


class EncodedRows(TransformerMixin, BaseEstimator):
    """Turns positions of rows into their numbers; those of cases go on counting.

    Scales and words are learned from the rows that it is fitted on.
    """

    def __init__(self, rows, cases, encoding):
        self.rows = rows
        self.cases = cases
        self.encoding = encoding

    def __sklearn_clone__(self):
        return EncodedRows(self.rows, self.cases, self.encoding)  # without copies

    def fit(self, X, y=None):
        """Learn from training rows."""
        self.encoder_ = self.rows.encoder(X[:, 0], self.encoding)
        return self

    def transform(self, X):
        """Return the rows at these positions: training rows or cases, not both."""
        places = X[:, 0]
        if len(places) and places[0] >= len(self.rows):
            return self.encoder_.transform(self.cases, places - len(self.rows))
        return self.encoder_.transform(self.rows, places)


class Problem(NamedTuple):
    """Training rows and cases, as they were read, and the learner."""

    rows: object
    cases: object
    encoded: object
    learner: object

    @property
    def y(self):
        """The labels of the training rows, as text, or quantities."""
        return self.rows.labels.targets

    @property
    def X(self):
        """The positions of the training rows."""
        return np.arange(len(self.rows))[:, np.newaxis]

    @property
    def X_case(self):
        """The positions of the cases."""
        return np.arange(len(self.cases))[:, np.newaxis] + len(self.rows)

    def model(self):
        """Return the unfitted learner on rows that it encodes by itself."""
        encode_rows = EncodedRows(self.rows, self.cases, self.encoded.encoding)
        return make_pipeline(encode_rows, self.learner)


class Found(NamedTuple):
    """What was found.

    `predicted` is what the model says of each case; `wrong` are the positions of those
    that were traced; `tolerance` is how far off a quantity is right.
    """

    trace: object
    predicted: np.ndarray
    wrong: np.ndarray
    tolerance: float | None

    @property
    def contributions(self):
        """The contributions of all rows, relative to the largest one."""
        found = self.trace.contributions_
        return np.maximum(found, 0.0) / (float(found.max()) or 1.0)


def read(data, case, by, reading):
    """Read training rows and cases, which may lack labels."""
    options = replace(reading.options, aside=(by,) if by else ())
    rows = complete(load(data, options), reading.encoding)
    if by:
        groups.check_column(rows, by)
    labels = rows.labels
    if not labels.is_quantity:
        labels.check_classes()
        labels.refuse_names()
    warn_of_labels(labels)
    may_lack = replace(options, unlabeled=not labels.is_quantity)
    cases = load_test(case, rows, may_lack, new_labels=labels.is_quantity)
    return rows, complete(cases, reading.encoding, rows)


def learner(settings, labels, X):
    """Return the learner that the options name, for rows like these."""
    is_quantity = labels.is_quantity
    linear = LINEAR_OF_QUANTITIES if is_quantity else LINEAR
    others = OTHERS_OF_QUANTITIES if is_quantity else OTHERS
    name = settings.learner or ("ridge" if is_quantity else "logistic")
    if name in linear:
        return linear[name](1.0 if settings.C is None else settings.C)
    if name not in others:
        raise DataError(
            f"The target {labels.name!r} is a quantity, and --learner {name} predicts "
            f"classes; use one of {', '.join([*linear, *others])}."
        )
    if settings.C is not None:
        raise typer.BadParameter(
            f"goes with linear learners only, not with {name}.", param_hint="'--C'"
        )
    if name == "boosting" and issparse(X):
        raise DataError(
            "The rows are sparse (texts or many categories), which --learner boosting "
            "does not take; use another learner."
        )
    made = others[name]()
    if "random_state" in made.get_params():
        made.set_params(random_state=settings.seed)
    return made


def trace_cases(problem, settings, jobs):
    """Fit the learner, and trace the cases that it predicts wrong."""
    wanted = problem.cases.labels and problem.cases.labels.targets
    with few_threads(problem.encoded.X):
        model = problem.model().fit(problem.X, problem.y)
        predicted = model.predict(problem.X_case)
        tolerance = _tolerance(problem, settings, jobs)
        wrong = np.flatnonzero(_is_wrong(predicted, wanted, tolerance))
        if not len(wrong):
            raise DataError(
                f"The model, {problem.learner!r}, predicts all rows of "
                f"{problem.cases.source} right{_within(tolerance)}, so that there is "
                f"nothing to trace; {_choices(tolerance)} the model that erred."
            )
        found = trace(
            model,
            problem.X,
            problem.y,
            problem.X_case[wrong],
            _targets(wanted, wrong, tolerance),
            method=settings.method.replace("-", "_"),
            by=_columns_by(problem.rows, settings.by),
            max_removed=settings.max_removed,
            n_jobs=jobs,
            random_state=settings.seed,
        )
    found = replace(_in_file(found, problem.rows.row_numbers), tolerance_=tolerance)
    return Found(found, predicted, wrong, tolerance)


def _tolerance(problem, settings, jobs):
    """How far off a quantity a prediction is right: as told, or the usual error."""
    if not problem.rows.labels.is_quantity:
        if settings.tolerance is None:
            return None
        raise typer.BadParameter(
            f"is for quantities; the target {problem.rows.labels.name!r} holds labels.",
            param_hint="'--tolerance'",
        )
    if settings.tolerance is not None:
        return settings.tolerance
    return usual_error(problem.model(), problem.X, problem.y, settings.seed, jobs)


def _is_wrong(predicted, wanted, tolerance):
    """Return which cases are wrong."""
    if wanted is None:
        return np.ones(len(predicted), dtype=bool)
    if tolerance is None:
        return predicted != wanted
    return ~((predicted >= wanted - tolerance) & (predicted <= wanted + tolerance))


def _within(tolerance):
    return "" if tolerance is None else f" (within {tolerance:.4g})"


def _choices(tolerance):
    if tolerance is None:
        return "--learner and --C choose"
    return "--tolerance sets what is right, --learner and --C"


def _targets(wanted, wrong, tolerance):
    """What would be right: labels, or the lowest and highest numbers."""
    if wanted is None:
        return None
    if tolerance is None:
        return wanted[wrong]
    return wanted[wrong, np.newaxis] + tolerance * np.array([-1.0, 1.0])


def _in_file(found, numbers):
    """Return a trace in which near copies are of the row with a number in its file."""
    return replace(
        found,
        shared_=[
            Bunch(**one | {"value": int(numbers[one.value])})
            if one.column == COPIES
            else one
            for one in found.shared_
        ],
    )


def _columns_by(rows, name):
    if name is None:
        return None
    texts, codes = groups.values_of(rows.column(name))
    return {name: np.array(texts)[codes]}


def describe(problem, settings, found, top):
    """Return what ``--json`` writes."""
    result = found.trace
    numbers = problem.rows.row_numbers
    removed = result.removal_set_
    return {
        "skpoison": __version__,
        "command": "trace",
        "data": {
            "source": problem.rows.source,
            "n_rows": len(problem.rows),
            "n_features": int(problem.encoded.X.shape[1]),
            "cases": problem.cases.source,
        },
        "settings": asdict(settings),
        "estimator": " ".join(repr(problem.learner).split()),
        "cases": _cases(problem, found),
        "is_found": removed is not None,
        "summary": result.summary(),
        "method": result.method_.replace("_", "-"),
        "max_removed": result.max_removed_,
        "tolerance": found.tolerance,
        "p_value": result.p_value_,
        "n_fits": result.n_fits_,
        "removal_set": None if removed is None else numbers[removed].tolist(),
        "shared": [_shared(one) for one in result.shared_],
        "groups": [{**one, "value": label_text(one.value)} for one in result.groups_],
        "rows": _blamed(problem, found, top, settings.by),
    }


def _cases(problem, found):
    labels = problem.cases.labels
    wanted = None if labels is None else _as_json(labels.targets)
    texts = cells(problem.cases, np.arange(len(problem.cases)), problem.encoded.plan)
    without = _by_case(found, found.trace.removed_prediction_, _as_json)
    probability = _by_case(found, found.trace.probability_, _pairs)
    removed_probability = _by_case(found, found.trace.removed_probability_, _pairs)
    wrong = set(found.wrong.tolist())
    return [
        {
            "row": int(problem.cases.row_numbers[i]),
            "predicted": predicted,
            "right": None if wanted is None else wanted[i],
            "is_wrong": i in wrong,
            "without": without.get(i),
            "probability": probability.get(i),
            "removed_probability": removed_probability.get(i),
            "cells": texts[i],
        }
        for i, predicted in enumerate(_as_json(found.predicted))
    ]


def _by_case(found, values, written):
    """What is known of each traced case, by its position."""
    if values is None:
        return {}
    return dict(zip(found.wrong.tolist(), written(values), strict=True))


def _pairs(values):
    return [
        dict(zip(("predicted", "right"), one, strict=True)) for one in values.tolist()
    ]


def _as_json(values):
    return [v if isinstance(v, float) else label_text(v) for v in values.tolist()]


def _shared(one):
    value = one.value
    return {**one, "value": value if isinstance(value, bool) else label_text(value)}


def _blamed(problem, found, top, by):
    """Return the removed rows, and others that are blamed, from the most responsible.

    Contributions are relative to the largest one.
    """
    result, contributions = found.trace, found.contributions
    removed = set(() if result.removal_set_ is None else result.removal_set_.tolist())
    ranking = result.ranking_.tolist()
    others = [row for row in ranking if row not in removed and contributions[row] > 0]
    shown = removed | set(others[:top])
    ranks = [(rank, row) for rank, row in enumerate(ranking, 1) if row in shown]
    places = np.array([row for _, row in ranks], dtype=np.intp)
    texts = cells(problem.rows, places, problem.encoded.plan)
    labels = _as_json(problem.y[places])
    columns = _columns_by(problem.rows, by)
    groups_of = columns[by][places].tolist() if by else [None] * len(places)
    return [
        {
            "row": int(problem.rows.row_numbers[row]),
            "rank": rank,
            "label": label,
            "by": group,
            "contribution": float(contributions[row]),
            "is_removed": row in removed,
            "cells": text,
        }
        for (rank, row), label, group, text in zip(
            ranks, labels, groups_of, texts, strict=True
        )
    ]


def written(problem, found, listed):
    """Return blamed rows as they are written, with what was found of them."""
    places = {int(number): i for i, number in enumerate(problem.rows.row_numbers)}
    rows = np.array([places[one["row"]] for one in listed], dtype=np.intp)
    return problem.rows.taken(
        rows,
        {
            "skpoison_row": np.array([one["row"] for one in listed], dtype=np.intp),
            "skpoison_rank": np.array([one["rank"] for one in listed], dtype=np.intp),
            "skpoison_contribution": np.array([one["contribution"] for one in listed]),
            "skpoison_removed": np.array([one["is_removed"] for one in listed]),
        },
    )


def cells(data, rows, plan):
    """Return what rows hold in words: their texts, or else their first cells."""
    if not hasattr(data, "table"):
        X = data.X[rows[:, np.newaxis], np.arange(min(MOST_CELLS, data.X.shape[1]))]
        X = X.toarray() if issparse(X) else X
        return [_joined(data.columns, values) for values in X.tolist()]
    named = [one.name for one in plan.of_kind("text")]
    names = [name for name in data.columns if name not in data.whole_columns]
    names = (named or names)[:MOST_CELLS]
    there = [name for name in names if name in data.table.column_names]
    found = data.table.select(there).take(rows).to_pylist()
    if named:
        return [" | ".join(map(_cell, one.values())) for one in found]
    return [_joined(one, one.values()) for one in found]


def _joined(names, values):
    pairs = zip(names, values, strict=False)
    return ", ".join(f"{name_text(name)}={_cell(value)}" for name, value in pairs)


def _cell(value):
    if value is None:
        return ""
    return name_text(
        f"{value:.4g}" if isinstance(value, float) else value, LONGEST_CELL
    )
