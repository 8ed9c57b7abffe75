"""What an audit is to do: shares of poison, defenses, attacks, learner."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_memory

from skpoison.base import BaseFilter

BOTH = "sphere & slab"
UNDEFENDED = "no defense"
MAX_ITER = 2000


class Plan(NamedTuple):
    """What an audit is to do.

    Parameters
    ----------
    epsilons : list of float
        Shares of poison for the bounds, rising.
    percentiles : list of float
        Percentiles of the sphere and slab defense, rising.
    reference : float
        Share of poison by which defenses are compared.
    estimator : classifier
        The model.
    learner : dict
        ``C`` or ``rho`` of the learner that bounds speak of.
    is_own_learner : bool
        Whether that learner is the model itself.
    filters : dict
        Further defenses by name.
    attacks : dict
        Attacks by name.
    positive : int
        Position of the label that stands against the others in the bounds.
    folds : list of (ndarray, ndarray)
        Rows to train on and rows to test on.
    n_jobs : int or None
        How many parts are done at once.
    memory : joblib.Memory
        What keeps finished parts.
    seed : int
        Seed of everything that is drawn.
    top : int
        How many suspicious rows are listed.
    moving_seconds : float
        How long bounds on moving centroids may be begun.
    left_out : list of dict
        What is not done, and why.
    """

    epsilons: list
    percentiles: list
    reference: float
    estimator: object
    learner: dict
    is_own_learner: bool
    filters: dict
    attacks: dict
    positive: int
    folds: list
    n_jobs: int | None
    memory: object
    seed: int
    top: int
    moving_seconds: float
    left_out: list

    @property
    def defenses(self):
        """All defenses by name: sphere and slab at each percentile, then the others."""
        return {name_of(p): both(p) for p in self.percentiles} | self.filters


def name_of(percentile):
    """Return what the sphere and slab defense at a percentile is called."""
    return f"{BOTH} {percentile:g}"


def both(percentile):
    """Return sphere and slab at a percentile."""
    from skpoison.filters import FilterIntersection, SlabFilter, SphereFilter

    return FilterIntersection(
        [("sphere", SphereFilter(percentile)), ("slab", SlabFilter(percentile))]
    )


def default_estimator():
    """Return the model that is audited where none is given."""
    return LinearSVC(loss="hinge", max_iter=MAX_ITER)


def is_number(value):
    """Tell whether a value is a real number and no truth value."""
    return isinstance(value, Real) and not isinstance(value, bool)


def numbers_between(name, values, low, high, *, open_low=False):
    """Return distinct numbers in rising order, or say which is no good.

    Parameters
    ----------
    name : str
        What errors call them.
    values : float or array-like
        The numbers.
    low, high : float
        Their limits.
    open_low : bool, default=False
        Whether `low` itself is out.

    Returns
    -------
    values : list of float
        The numbers.
    """
    values = np.unique(np.atleast_1d(np.asarray(values, dtype=np.float64)))
    fits = (values > low if open_low else values >= low) & (values <= high)
    if values.ndim != 1 or not len(values) or not fits.all():
        left = "above" if open_low else "from"
        raise ValueError(
            f"{name} must be one or more numbers {left} {low:g} to {high:g}; got "
            f"{values.tolist()}."
        )
    return values.tolist()


def check_count(name, value, least):
    """Return a whole number, or say what is wrong with it."""
    good = isinstance(value, Integral) and not isinstance(value, bool)
    if not good or value < least:
        raise ValueError(
            f"{name} must be a whole number, {least} at least; got {value!r}."
        )
    return int(value)


def learner_of(estimator):
    """Return the learner that bounds speak of, and whether it is the model itself.

    Parameters
    ----------
    estimator : classifier
        The model.

    Returns
    -------
    learner : dict
        ``C`` or ``rho``.
    is_own : bool
        False where bounds speak of ``LinearSVC(loss="hinge", C=1)`` in its place.
    """
    from skpoison.attacks._learners import hinge_learner_of

    try:
        learner = hinge_learner_of(estimator, "audit")
    except ValueError:
        return {"C": 1.0}, False
    return ({"C": learner.C} if learner.rho is None else {"rho": learner.rho}), True


def seeded(thing, seed):
    """Return a clone that draws from a seed wherever it would draw at random.

    Parameters
    ----------
    thing : estimator
        A model, a filter or an attack.
    seed : int
        The seed; what has one of its own keeps it.

    Returns
    -------
    thing : estimator
        The clone. What is frozen in it stays as it is.
    """
    thing = clone(thing)
    params = {"": thing, **thing.get_params(deep=True)}
    frozen = [name for name, v in params.items() if isinstance(v, FrozenEstimator)]
    unset = {
        name: seed
        for name, value in params.items()
        if name.rpartition("__")[-1] == "random_state"
        and value is None
        and not any(name.startswith(f"{one}__" if one else "") for one in frozen)
    }
    if unset:
        thing.set_params(**unset)
    return thing


def default_filters(percentile):
    """Return defenses beside sphere and slab, each keeping a share of every class.

    Parameters
    ----------
    percentile : float
        The share that they keep, in percent.

    Returns
    -------
    filters : dict of str to filter
        The filters by name.
    """
    from skpoison import filters as f

    return {
        "mahalanobis": f.MahalanobisFilter(percentile),
        "subspace": f.SubspaceFilter(percentile),
        "neighbors": f.NeighborsFilter(percentile),
        "neighbor labels": f.NeighborsFilter(percentile, criterion="labels"),
        "loss": f.LossFilter(percentile),
        "spectral": f.SpectralFilter(percentile),
        "sever": f.SeverFilter(percentile),
    }


def default_attacks(learner, estimator, n_classes):
    """Return attacks by name, as far as they can be made on so many classes.

    Parameters
    ----------
    learner : dict
        ``C`` or ``rho`` of the learner that is attacked.
    estimator : classifier
        The model.
    n_classes : int
        Number of classes.

    Returns
    -------
    attacks : dict of str to attack
        The attacks.
    """
    from skpoison.attacks import LabelFlipAttack, MinMaxAttack

    flips = {"flips": LabelFlipAttack(strategy="feasible")}
    if n_classes > 2:
        return flips | {"random flips": LabelFlipAttack(strategy="random")}
    own = learner_of(estimator)[1]
    alfa = LabelFlipAttack(strategy="alfa", estimator=estimator if own else None)
    return {"min-max": MinMaxAttack(**learner), **flips, "alfa flips": alfa}


def check_things(name, things, kind, described):
    """Return things by name, or say which one is none of the kind.

    Parameters
    ----------
    name : str
        What errors call them.
    things : dict
        Filters or attacks by name.
    kind : callable
        Tells whether a thing is one.
    described : str
        What it should have been.

    Returns
    -------
    things : dict
        The same, with names as text.
    """
    if not isinstance(things, dict):
        raise TypeError(
            f"{name} must be a dict from names to {described}; got {things!r}."
        )
    for key, thing in things.items():
        if isinstance(thing, type):
            raise TypeError(
                f"{name}[{key!r}] is the class {thing.__name__}; make one of it: "
                f"{thing.__name__}()."
            )
        if not kind(thing):
            raise TypeError(f"{name}[{key!r}] must be {described}; got {thing!r}.")
    return {str(key): thing for key, thing in things.items()}


def make_plan(inputs, *, estimator, filters, attacks, epsilons, percentiles, reference,
              positive, cv, random_state, memory, n_jobs, max_rows, top,
              moving_seconds):  # fmt: skip
    """Check what is wanted, and fill in what was not said.

    Parameters
    ----------
    inputs : Inputs
        Rows and labels.
    estimator, filters, attacks, epsilons, percentiles, reference, positive, cv, \
    random_state, memory, n_jobs, max_rows, top, moving_seconds : object
        As :func:`skpoison.audit` takes them.

    Returns
    -------
    plan : Plan
        What to do.
    """
    seed = check_count("random_state", random_state, 0)
    estimator = seeded(_classifier(estimator), seed)
    if not is_number(reference):
        raise ValueError(f"reference must be one number; got {reference!r}.")
    (reference,) = numbers_between("reference", reference, 0, 1, open_low=True)
    learner, own = learner_of(estimator)
    left_out = []
    wanted = _filters(inputs, filters, reference, left_out)
    wanted_attacks = _attacks(inputs, attacks, learner, estimator)
    epsilons = numbers_between("epsilons", epsilons, 0, 1)
    return Plan(
        epsilons=sorted({*epsilons, reference}),
        percentiles=_percentiles(percentiles),
        reference=reference,
        estimator=estimator,
        learner=learner,
        is_own_learner=own,
        filters={name: seeded(f, seed) for name, f in wanted.items()},
        attacks={
            name: seeded(_sending(a, reference), seed)
            for name, a in wanted_attacks.items()
        },
        positive=_positive(inputs, positive),
        folds=_enough(_folds(inputs, cv, seed, max_rows, left_out), reference),
        n_jobs=n_jobs,
        memory=check_memory(memory),
        seed=seed,
        top=check_count("top", top, 0),
        moving_seconds=_seconds(moving_seconds),
        left_out=left_out,
    )


def _classifier(estimator):
    if estimator is None:
        return default_estimator()
    if isinstance(estimator, type):
        raise TypeError(
            f"estimator must be a classifier; got the class {estimator.__name__}. "
            f"Make one of it: {estimator.__name__}()."
        )
    if not hasattr(estimator, "fit") or not is_classifier(estimator):
        raise TypeError(f"estimator must be a classifier; got {estimator!r}.")
    return estimator


def _percentiles(percentiles):
    found = numbers_between("percentiles", percentiles, 0, 100, open_low=True)
    if max(found) <= 1:
        raise ValueError(
            f"percentiles are percentages, such as 70 or 90; got {found}, which would "
            "keep one row of a hundred at most."
        )
    return found


def _sending(attack, reference):
    """Return an attack that sends as much poison as defenses are compared by."""
    if "epsilon" in attack.get_params(deep=False):
        return clone(attack).set_params(epsilon=reference)
    return attack


def _enough(folds, reference):
    """Return folds, if there are rows enough in each to send poison along."""
    from skpoison.bounds._attack import n_poison_rows

    n_rows = min(len(train) for train, _ in folds)
    if n_poison_rows(reference, n_rows) < 1:
        raise ValueError(
            f"reference={reference} of the {n_rows} rows that a fold is trained on is "
            f"less than one row, so that no attack could send any; it must be "
            f"{1 / n_rows:.2g} at least."
        )
    return folds


def _seconds(seconds):
    if not is_number(seconds) or not seconds >= 0:
        raise ValueError(f"moving_seconds must not be negative; got {seconds!r}.")
    return float(seconds)


def _attacks(inputs, attacks, learner, estimator):
    if attacks is None:
        return default_attacks(learner, estimator, len(inputs.classes))
    if not attacks:
        raise ValueError("attacks must hold at least one attack; got none.")
    return check_things(
        "attacks", attacks, lambda a: hasattr(a, "fit_resample"), "attacks"
    )


MOST_ROWS_FOR_NEIGHBORS = 50_000


def _filters(inputs, filters, reference, left_out):
    if filters is not None:
        found = check_things(
            "filters", filters, lambda f: isinstance(f, BaseFilter), "skpoison filters"
        )
        return _new_names(found)
    # As many rows as an attacker sends are rejected: epsilon counts clean rows only.
    found = default_filters(round(100 / (1 + reference), 1))
    if inputs.X.shape[0] > MOST_ROWS_FOR_NEIGHBORS:
        for name in ("neighbors", "neighbor labels"):
            del found[name]
            left_out.append(
                {
                    "what": f"filter {name}",
                    "reason": "its time grows with the square of the number of rows, "
                    f"and there are more than {MOST_ROWS_FOR_NEIGHBORS:,}; give "
                    "filters= to use it all the same",
                }
            )
    return found


def _new_names(filters):
    """Return filters, unless one is called what the audit calls one of its own."""
    for name in filters:
        if name == UNDEFENDED or name.startswith(f"{BOTH} "):
            raise ValueError(
                f"filters must have names of their own; {name!r} is what the audit "
                "calls a defense that it measures anyway."
            )
    return filters


def _positive(inputs, positive):
    """Return the position of the label that stands against the others."""
    if positive is None:
        if len(inputs.classes) == 2:
            return 1
        return int(np.argmax(np.bincount(inputs.codes)))
    for code, label in enumerate(inputs.classes.tolist()):
        if label == positive or inputs.labels[code] == str(positive):
            return code
    raise ValueError(
        f"positive must be one of the labels {inputs.labels}; got {positive!r}."
    )


def _folds(inputs, cv, seed, max_rows, left_out):
    """Return pairs of rows to train on and rows to test on."""
    rows = _drawn(inputs, max_rows, seed, left_out)
    y = inputs.y[rows]
    if isinstance(cv, Integral):
        check_count("cv", cv, 2)
        counts = np.bincount(inputs.codes[rows], minlength=len(inputs.classes))
        rare = int(np.argmin(counts))
        if counts[rare] < cv:
            raise ValueError(
                f"The class {inputs.labels[rare]!r} has {counts[rare]} rows, fewer "
                f"than the {cv} folds of the cross-validation. Merge or leave out so "
                "small a class, or take fewer folds (cv). Numbers that are measured, "
                "not labels, cannot be audited."
            )
        splitter = StratifiedKFold(int(cv), shuffle=True, random_state=seed)
    else:
        splitter = check_cv(cv, y, classifier=True)
    folds = splitter.split(inputs.X[rows], y)
    return [(rows[train], rows[test]) for train, test in folds]


def _drawn(inputs, max_rows, seed, left_out):
    """Return the rows on which attacks are measured: all, or some of each class."""
    n_rows = len(inputs.codes)
    if max_rows is None or check_count("max_rows", max_rows, 10) >= n_rows:
        return np.arange(n_rows)
    rng = np.random.default_rng(seed)
    parts = []
    for code in range(len(inputs.classes)):
        of_class = np.flatnonzero(inputs.codes == code)
        # A small class is kept whole: a share of it would be too few to fold.
        n_drawn = max(round(max_rows * len(of_class) / n_rows), min(len(of_class), 30))
        parts.append(rng.choice(of_class, n_drawn, replace=False))
    rows = np.sort(np.concatenate(parts))
    if len(rows) == n_rows:
        return rows
    shares = np.bincount(inputs.codes[rows]) / len(rows)
    listed = ", ".join(
        f"{label} {share:.1%}"
        for label, share in zip(inputs.labels, shares, strict=True)
    )
    left_out.append(
        {
            "what": f"attacks on {n_rows - len(rows):,} of {n_rows:,} rows",
            "reason": f"attacks and defenses are measured on {len(rows):,} rows drawn "
            f"from all classes (max_rows), of small ones up to 30: {listed}; bounds "
            "and suspicious rows come from all rows",
        }
    )
    return rows
