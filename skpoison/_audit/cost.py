"""How long an audit takes and how much memory, before it begins."""

import time

import numpy as np
from scipy import sparse

from skpoison._defaults import default_filter

from .inputs import Inputs
from .measure import PartPlan, defense_part
from .plan import Plan
from .profile import n_bytes

# Values stored in X from which an estimate is worth its time.
BIG = 2_000_000
PILOT_ROWS = 600
# Beyond X itself: rows of folds, poison, what filters and solvers hold.
TIMES_DENSE, TIMES_SPARSE = 3.0, 8.0


def estimate(inputs: Inputs, plan: Plan) -> str | None:
    """Estimate time and memory for big data; finding out takes as long for small."""
    X = inputs.X
    stored = X.nnz if sparse.issparse(X) else X.size
    if stored < BIG:
        return None
    n_attacked = len(np.unique(np.concatenate([np.union1d(*f) for f in plan.folds])))
    n_parts = len(plan.defenses) * len(plan.folds)
    seconds = _pilot(inputs, plan) * n_parts * n_attacked / _n_pilot(inputs, plan)
    memory = n_bytes(X) * (TIMES_SPARSE if sparse.issparse(X) else TIMES_DENSE)
    return (
        f"{X.shape[0]:,} rows of {X.shape[1]:,} features: this takes "
        f"{_duration(seconds)} and {_size(memory)} of memory beside the data "
        f"({_size(n_bytes(X))})."
    )


def _n_pilot(inputs, plan):
    return min(PILOT_ROWS, len(plan.folds[0][0]))


def _pilot(inputs, plan):
    """Attack one defense on a few rows, and return how long it takes."""
    n_rows = _n_pilot(inputs, plan)
    rng = np.random.default_rng(plan.seed)
    train = rng.permutation(plan.folds[0][0])[:n_rows]
    # A row of each class at least, or there is nothing to train.
    firsts = np.unique(inputs.codes, return_index=True)[1]
    rows = np.union1d(train, firsts)
    part = PartPlan(plan.attacks, plan.estimator, plan.reference, plan.seed)
    X, y, every = inputs.X[rows], inputs.y[rows], np.arange(len(rows))
    begun = time.perf_counter()
    defense_part(
        "", "pilot", default_filter(plan.percentiles[-1]), part, X, y, every, every
    )
    return time.perf_counter() - begun


def _duration(seconds):
    """Say how long something takes, roughly.

    Examples
    --------
    >>> _duration(40), _duration(400), _duration(9000)
    ('less than a minute', 'about 7 minutes', 'about 2.5 hours')
    """
    if seconds < 60:
        return "less than a minute"
    if seconds < 90 * 60:
        minutes = round(seconds / 60)
        return f"about {minutes} {'minute' if minutes == 1 else 'minutes'}"
    return f"about {seconds / 3600:.1f} hours"


def _size(n_bytes):
    """Say how much memory something takes.

    Examples
    --------
    >>> _size(3 * 2**20), _size(5 * 2**30)
    ('3 MiB', '5.0 GiB')
    """
    if n_bytes >= 2**30:
        return f"{n_bytes / 2**30:.1f} GiB"
    return f"{max(round(n_bytes / 2**20), 1)} MiB"
