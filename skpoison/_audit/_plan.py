"""What an audit is to do: shares of poison, defenses, attacks, learner."""

from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_memory

from skpoison._defaults import default_filter
from skpoison.base import BaseFilter

from ._checks import (
    check_count,
    check_things,
    classifier,
    is_number,
    new_names,
    numbers_between,
    percentiles_of,
    seconds_of,
)
from ._defenses import (
    default_attacks,
    default_filters,
    learner_of,
    name_of,
    seeded,
)
from ._folds import enough, folds_of


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
        return {name_of(p): default_filter(p) for p in self.percentiles} | self.filters


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
    estimator = seeded(classifier(estimator), seed)
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
        percentiles=percentiles_of(percentiles),
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
        folds=enough(folds_of(inputs, cv, seed, max_rows, left_out), reference),
        n_jobs=n_jobs,
        memory=check_memory(memory),
        seed=seed,
        top=check_count("top", top, 0),
        moving_seconds=seconds_of(moving_seconds),
        left_out=left_out,
    )


def _sending(attack, reference):
    """Return an attack that sends as much poison as defenses are compared by."""
    if "epsilon" in attack.get_params(deep=False):
        return clone(attack).set_params(epsilon=reference)
    return attack


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
        return new_names(found)
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
