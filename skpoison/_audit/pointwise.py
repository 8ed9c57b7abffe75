"""How many rows it takes to change predictions of the model, fitted in parts."""

import warnings

import numpy as np

from skpoison import PartitionedClassifier, certified_radius
from skpoison._words import one_line
from skpoison.pointwise import certified_accuracy
from skpoison.pointwise._shown import parts_for, round_numbers

from .inputs import Inputs
from .plan import Outcome, Plan
from .progress import Progress
from .types import Predictions

SHOWN_ERRORS = 600


def predictions(inputs: Inputs, plan: Plan, progress: Progress) -> Outcome:
    """Certify the held-out rows of the first fold against insertions and deletions."""
    progress.begin("Certifying predictions", 1)
    train, test = plan.folds[0]
    n_parts = parts_for(len(train))
    model = PartitionedClassifier(plan.estimator, n_parts, n_jobs=plan.n_jobs)
    found: Predictions = {
        "n_parts": n_parts,
        "n_train": len(train),
        "n_test": len(test),
        "accuracy": None,
        "median_radius": None,
        "curve": [],
        "reason": None,
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if plan.clock.has(0.0):
            found |= _certified(model, inputs, train, test)
        else:
            found["reason"] = plan.clock.reason
    progress.advance()
    left_out = []
    if found["reason"]:
        left_out.append({"what": "single predictions", "reason": found["reason"]})
    return Outcome(found, left_out, sorted({str(one.message) for one in caught}))


def _certified(model, inputs, train, test):
    X, y = inputs.X[test], inputs.codes[test]
    try:
        model.fit(inputs.X[train], inputs.codes[train])
    except ValueError as error:
        return {"reason": one_line(error, SHOWN_ERRORS)}
    radii = certified_radius(model, X, attack="insert_delete")
    predicted = model.predict(X)
    at = round_numbers(int(radii.max()))
    plain, fair = (
        certified_accuracy(radii, y, predicted, at, balanced=balanced)
        for balanced in (False, True)
    )
    return {
        "accuracy": float(np.mean(predicted == y)),
        "median_radius": float(np.median(np.where(predicted == y, radii, 0))),
        "curve": [
            {
                "n_rows": n_rows,
                "certified_accuracy": float(share),
                "balanced_certified_accuracy": float(balanced),
            }
            for n_rows, share, balanced in zip(at, plain, fair, strict=True)
        ],
    }
