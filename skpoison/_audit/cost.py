"""How long an audit takes and how much memory, before it begins."""

import time

import numpy as np
from scipy import sparse

from skpoison._defaults import default_filter

from .crafting import PartPlan, craft_part, told_part
from .defenses import ANYWHERE
from .folds import enough, folds_of
from .inputs import Inputs
from .measure import defense_part
from .plan import Plan
from .profile import n_bytes, n_stored
from .progress import Progress
from .training import Fold

# Values stored in X from which an estimate is worth its time.
BIG, MANY_ROWS = 100_000, 2000  # of rows, the same
PILOT_ROWS = 300
# Of a budget, the part for attacks; and how many rows they need at least.
ATTACKING, FEWEST_ROWS = 0.5, 300
# Beyond X itself: rows of folds, poison, what filters and solvers hold.
TIMES_DENSE, TIMES_SPARSE = 3.0, 8.0


def within_budget(
    inputs: Inputs, plan: Plan, progress: Progress, is_shown: bool
) -> Plan:
    """Estimate time and memory, and attack fewer rows where that takes too long.

    Nothing is estimated where finding out takes as long as all the rest.
    """
    X = inputs.X
    is_small = n_stored(X) < BIG and X.shape[0] < MANY_ROWS
    if is_small or not (is_shown or plan.clock.budget):
        return plan
    n_attacked = len(plan.rows)
    n_rows = min(PILOT_ROWS, len(plan.folds[0][0]))
    crafting, defending = _pilot(inputs, plan, n_rows)
    each = (len(plan.percentiles) + 2) * crafting + len(plan.defenses) * defending
    seconds = each * len(plan.folds) * n_attacked / n_rows
    memory = n_bytes(X) * (TIMES_SPARSE if sparse.issparse(X) else TIMES_DENSE)
    progress.say(
        f"{X.shape[0]:,} rows of {X.shape[1]:,} features: this takes "
        f"{_duration(seconds)} and {_size(memory)} of memory beside the data "
        f"({_size(n_bytes(X))})."
    )
    if plan.clock.has(seconds / ATTACKING):
        return plan
    wanted = int(n_attacked * ATTACKING * max(plan.clock.left(), 0) / seconds)
    return _with_fewer_rows(inputs, plan, max(wanted, FEWEST_ROWS), progress)


def _with_fewer_rows(inputs, plan, max_rows, progress):
    """Draw fewer rows to attack; splitters of one's own keep all of theirs."""
    if plan.cv is None or max_rows >= len(plan.rows):
        return plan
    try:
        folds, left = folds_of(inputs, plan.cv, plan.seed, max_rows)
        enough(folds, plan.reference)
    except ValueError:  # too few rows for attacks: the folds of the budget do the rest
        return plan
    kept = [one for one in plan.left_out if not one["what"].startswith("attacks on")]
    why = plan.clock.reason
    left = [one | {"reason": f"{why}: {one['reason']}"} for one in left]
    progress.say(f"Attacks are run on about {max_rows:,} rows, for {why}.")
    return plan._replace(folds=folds, left_out=kept + left)


def _pilot(inputs, plan, n_rows):
    """Make and send attacks on a few rows; return how long each of the two takes."""
    rng = np.random.default_rng(plan.seed)
    train = rng.permutation(plan.folds[0][0])[:n_rows]
    # A row of each class at least, or there is nothing to train.
    firsts = np.unique(inputs.codes, return_index=True)[1]
    rows = np.union1d(train, firsts)
    X, y, codes = inputs.X[rows], inputs.y[rows], inputs.codes[rows]
    fold = Fold(X, y, X, codes, inputs.classes, plan.metric.positive)
    part = PartPlan(plan.attacks, plan.estimator, plan.seed)
    defense = default_filter(plan.percentiles[-1])
    begun = time.perf_counter()
    made = craft_part("", "free", ANYWHERE, None, list(plan.attacks), part, fold)
    crafted = time.perf_counter()
    told = told_part("", "pilot", defense, part, fold)
    told["told"] = dict.fromkeys(plan.attacks, False)
    defense_part("", "pilot", defense, told, [made], part, fold)
    return crafted - begun, time.perf_counter() - crafted


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
