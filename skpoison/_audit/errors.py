"""Whether few training rows are behind the worst errors on held-out rows."""

import time
import warnings
from typing import Any

import numpy as np
from sklearn.base import clone

from skpoison import trace
from skpoison._words import label_text, one_line
from skpoison.filters._folds import class_probabilities

from .inputs import Inputs
from .plan import Outcome, Plan
from .pointwise import SHOWN_ERRORS
from .progress import Progress
from .types import Errors, TracedError

MOST_TRACED = 3
MAX_REMOVED = 0.01  # of the training rows
FITS = 60  # what tracing one error may take, for the budget


def traced_errors(inputs: Inputs, plan: Plan, progress: Progress) -> Outcome:
    """Trace the worst errors on the held-out rows of the first fold."""
    train, test = plan.folds[0]
    found: Errors = {
        "n_train": len(train),
        "n_test": len(test),
        "n_wrong": None,
        "max_removed": max(int(MAX_REMOVED * len(train)), 1),
        "worst": [],
        "reason": None,
    }
    progress.begin("Tracing errors", MOST_TRACED)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _trace_worst(inputs, plan, found, progress)
        except ValueError as error:
            found["reason"] = one_line(error, SHOWN_ERRORS)
    left_out = []
    if found["reason"]:
        left_out.append({"what": "traced errors", "reason": found["reason"]})
    return Outcome(found, left_out, sorted({str(one.message) for one in caught}))


def _trace_worst(inputs, plan, found, progress):
    train, test = plan.folds[0]
    X, y = inputs.X[train], inputs.codes[train]
    begun = time.perf_counter()
    model = clone(plan.estimator).fit(X, y)
    seconds = time.perf_counter() - begun
    said = model.predict(inputs.X[test])
    wrong = _worst_first(model, inputs, test, said)
    found["n_wrong"] = len(wrong)
    for place in wrong[:MOST_TRACED]:
        if not plan.clock.has(FITS * seconds):
            found["reason"] = plan.clock.reason
            return
        row, right = test[place], inputs.codes[test[place]]
        result = trace(
            model,
            X,
            y,
            inputs.X[[row]],
            [right],
            max_removed=found["max_removed"],
            n_jobs=plan.n_jobs,
            random_state=plan.seed,
        )
        found["worst"].append(_told(inputs, train, row, said[place], result))
        progress.advance()


def _worst_first(model, inputs, test, said):
    """Return places of errors among held-out rows, those that are surest first."""
    codes = inputs.codes[test]
    wrong = np.flatnonzero(said != codes)
    names = "predict_proba", "decision_function"
    if not len(wrong) or not any(hasattr(model, name) for name in names):
        return wrong
    sure = class_probabilities(model, inputs.X[test[wrong]], len(model.classes_))
    everyone = np.arange(len(wrong))
    where = {int(code): i for i, code in enumerate(model.classes_)}
    own = np.array([where[int(code)] for code in codes[wrong]], dtype=np.intp)
    lead = sure.max(axis=1) - sure[everyone, own]
    return wrong[np.argsort(-lead, kind="stable")]


def _told(
    inputs: Inputs, train: np.ndarray, row: int, said: Any, result
) -> TracedError:
    removed = result.removal_set_
    label, predicted = (
        label_text(inputs.classes[code]) for code in (inputs.codes[row], said)
    )
    return {
        "row": int(row) + 1,
        "label": label,
        "predicted": predicted,
        "n_removed": None if removed is None else len(removed),
        "removed": [] if removed is None else (train[removed] + 1).tolist(),
        "p_value": None if removed is None else result.p_value_,
    }
