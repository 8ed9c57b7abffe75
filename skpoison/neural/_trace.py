"""Tracing predictions of networks to training rows.

:func:`skpoison.trace` leads here where it is given a net.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import clone

from skpoison._fitted import is_fitted
from skpoison._labels import encode_labels
from skpoison._words import counted
from skpoison.neural._alignment import Checkpoints, alignment, last_features
from skpoison.neural._rows import check_no_dataset, without_tensor
from skpoison.neural._seeded import seeded
from skpoison.tracing._columns import Columns
from skpoison.tracing._goal import Goal, label_goal, range_goal
from skpoison.tracing._groups import groups_by
from skpoison.tracing._removal import Removal, Search, grow, set_first, shrink
from skpoison.tracing._result import Trace
from skpoison.tracing._scores import Evidence, joint
from skpoison.tracing._shared import shared_by
from skpoison.tracing._space import Space, inputs_of_last, last_step
from skpoison.tracing._training import Training
from skpoison.tracing._verify import Verifier

__all__ = ["trace_net"]

METHODS = ("gradient", "knn_shapley", "retrain")
AUTO = ("gradient", "knn_shapley")
N_SEEDS = 2  # trainings in which a removal must work
MOST_SEEDS = 5  # that are tried to find so many that err
MOST_TRIES = 8  # of sets that are shrunk
MOST_GROUPS = 5  # sources, or other values, without which nets are trained
MORE = 3  # half of which times as many rows are removed where a set is not confirmed


def trace_net(
    estimator: Any,
    X: Any,
    y: Any,
    X_target: Any,
    y_target: Any,
    *,
    sample_weight: Any,
    method: str,
    columns: Columns,
    limit: int,
    n_jobs: int | None,
    random_state: np.random.RandomState,
) -> Trace:
    """Trace predictions of a net; parameters are those of :func:`skpoison.trace`.

    A removal must work in trainings from several seeds, of which some had no say in
    choosing it, and that of as many random rows of the same labels must not.
    """
    _check(estimator, method)
    if sample_weight is not None:
        raise ValueError("sample_weight is not supported by nets; pass None.")
    X, y, X_target = map(_as_array, (X, y, X_target), ("X", "y", "X_target"))
    training = NetTraining(estimator, X, y, random_state)
    before = _before(estimator, training, X_target, y_target, random_state)
    goal = before.goal
    evidence = NetEvidence(training, before.net, X_target, goal, random_state, n_jobs)
    verifier = NetVerifier(training, X_target, before)
    names = AUTO if method == "auto" else (method,)
    removal, reason = _removal(names, evidence, verifier, limit)
    order = evidence.order(names[0])
    rows = None if removal is None else order[np.isin(order, removal.rows)]
    blamed = order[:limit]
    shared = shared_by(blamed if rows is None else rows, evidence, verifier, columns)
    groups = groups_by(blamed, verifier, columns, MOST_GROUPS)
    name = names[0] if removal is None else removal.ranking
    return Trace(
        ranking_=set_first(order, rows),
        contributions_=evidence.scores(names[0]),
        scores_=evidence.by_method,
        method_=name,
        removal_set_=rows,
        reason_=reason,
        prediction_=before.predictions,
        removed_prediction_=None if rows is None else verifier.predicted(rows),
        X_target=X_target,
        y_target=goal.wanted,
        tolerance_=getattr(goal, "tolerance", None),
        max_removed_=limit,
        n_fits_=training.n_fits,
        shared_=shared,
        groups_=groups,
    )


def _check(estimator, method):
    """Refuse what nets do not have, and nets that cannot be trained anew."""
    if method not in ("auto", *METHODS):
        raise ValueError(f"method must be one of {METHODS} for nets; got {method!r}.")
    net = last_step(estimator)
    if isinstance(net.module, torch.nn.Module) and is_fitted(net):
        raise ValueError(
            "estimator has a module that is an instance, which keeps what it has "
            "learned from the rows that are to be removed. Give the module's class, "
            "with its parameters as module__NAME=, or a net that is not fitted."
        )


def _as_array(data, name):
    check_no_dataset(data, name)
    return np.asarray(without_tensor(data))


class NetTraining(Training):
    """Training rows, and trainings of a net without some of them, from a seed."""

    def __init__(
        self, estimator: Any, X: Any, y: Any, random_state: np.random.RandomState
    ):
        super().__init__(estimator, X, y, None, random_state)
        self.labels = np.ravel(self.labels)
        self.seed = 0

    def fit(self, removed: np.ndarray | None = None) -> Any:
        """Train a clone without these rows."""
        with seeded(self.seed):
            return super().fit(removed)

    def fit_with_checkpoints(self) -> Any:
        """Train a clone on all rows, which remembers its parameters."""
        bare = self.template
        self.template = clone(bare)
        net = last_step(self.template)
        if net.callbacks != "disable":
            net.set_params(callbacks=[*(net.callbacks or []), Checkpoints()])
        try:
            return self.fit()
        finally:
            self.template = bare


class Before(NamedTuple):
    """A net that errs, what is predicted, what would be right, and seeds.

    With each of the seeds, a net that is trained on all rows errs on all targets. Fresh
    seeds are left for the end.
    """

    net: Any
    predictions: np.ndarray
    goal: Goal
    seeds: list[int]
    fresh: list[int]


def _before(estimator, training, X_target, y_target, random_state):
    """Train nets on all rows until some err as the estimator does."""
    said = None
    if is_fitted(last_step(estimator)):
        said = np.ravel(estimator.predict(X_target))
        if training.is_classifier:
            encode_labels(training.labels, estimator.classes_, whose="estimator")
    goal, erring = None, {}
    most = np.iinfo(np.int32).max
    drawn = random_state.randint(most, size=MOST_SEEDS + N_SEEDS).tolist()
    for seed in drawn[:MOST_SEEDS]:
        training.seed = seed
        net = training.fit_with_checkpoints()
        found = np.ravel(net.predict(X_target))
        said = found if said is None else said
        goal = goal or _goal_of(training, net, said, y_target)
        if not goal.met(found).any():
            erring[seed] = net
        if len(erring) == N_SEEDS:
            break
    if not erring:
        raise ValueError(
            f"estimator predicts wrong, but none of {MOST_SEEDS} nets that were "
            "trained on X and y from other seeds does: the error comes from the random "
            "numbers of its training, or X and y are not what it was trained on."
        )
    seeds = list(erring)
    return Before(erring[seeds[0]], said, goal, seeds, drawn[MOST_SEEDS:])


def _goal_of(training, net, said, y_target):
    """Return what would be right, of numbers by the errors on training rows."""
    if training.is_classifier:
        return label_goal(net.classes_, said, y_target)
    errors = training.labels - np.ravel(net.predict(training.X))
    return range_goal(errors, said, y_target)


class NetVerifier(Verifier):
    """Trainings without sets of rows, from several seeds."""

    def __init__(self, training: NetTraining, X_target: Any, before: Before):
        training.seed = before.seeds[0]
        super().__init__(training, X_target, before.goal)
        self.seeds, self.fresh = before.seeds, before.fresh
        self._confirmed: dict[bytes, bool] = {}

    def works(self, rows: np.ndarray) -> bool:
        """Say whether all targets are predicted right, whatever the seed."""
        if not super().is_right(rows).all():
            return False
        key = np.sort(rows).tobytes()
        if key not in self._confirmed:
            self._confirmed[key] = self._agree(rows, self.seeds[1:])
        return self._confirmed[key]

    def is_confirmed(self, rows: np.ndarray) -> bool:
        """Say whether trainings from seeds that no set was chosen by agree."""
        return self.works(rows) and self._agree(rows, self.fresh)

    def is_right(self, rows: np.ndarray) -> np.ndarray:
        """Return which targets are predicted right, whatever the seed."""
        found = super().is_right(rows)
        for seed in self.seeds[1:]:
            if found.any():
                found &= self._met(rows, seed)
        return found

    def _agree(self, rows, seeds):
        return all(self._met(rows, seed).all() for seed in seeds)

    def _met(self, rows, seed):
        self.training.seed = seed
        try:
            model = self.training.fit(rows)
        finally:
            self.training.seed = self.seeds[0]
        return self.goal.met(np.ravel(model.predict(self.X_target)))


class NetEvidence(Evidence):
    """A net's view of its training rows, by the features of its last layer."""

    linear = None
    influence = None

    def _spaces(self) -> list[Space]:
        self.net = last_step(self.model)
        self.inputs = inputs_of_last(self.model, self.training.X, self.X_target)
        features = (last_features(self.net, some) for some in self.inputs)
        return [Space(*(some.double().cpu().numpy() for some in features))]

    def scores(self, name: str) -> np.ndarray:
        """Return scores by a method; gradients are those at checkpoints."""
        if name == "gradient" and name not in self.by_method:
            states = _states_of(self.net)
            products = alignment(self.net, states, *self.inputs)
            self.by_method[name] = joint(products * self.pushes)
        return super().scores(name)


def _states_of(net):
    """Return the parameters that a net remembers, by epoch."""
    found = [one for _, one in net.callbacks_ if isinstance(one, Checkpoints)]
    return found[0].states_ if found else {}


def _removal(names, evidence, verifier, limit):
    """Return a removal set, or None and the reason for that."""
    search = Search(verifier.works)
    orders = ({name: evidence.order(name)} for name in names)
    found = next(filter(None, (grow(one, search, limit) for one in orders)), None)
    if found is None:
        return None, (
            f"No set of up to {counted(limit, 'row')} was found without which nets "
            f"predict right in {counted(len(verifier.seeds), 'training')} (along the "
            f"rankings {', '.join(names)}): the error is not the doing of few rows."
        )
    rows = shrink(found.rows, verifier.works, MOST_TRIES)
    rows = _confirmed(rows, evidence.order(found.ranking), verifier, limit)
    if rows is None:
        return None, (
            f"Without sets of up to {counted(limit, 'row')} some nets predict right, "
            "but not those that are trained from other seeds: the error is near the "
            "border."
        )
    if verifier.works(_as_many(rows, evidence)):
        return None, (
            f"Without {counted(len(rows), 'row')} nets predict right, but also without "
            "as many rows drawn at random from those of the same labels: the error is "
            "near the border, and not the doing of these rows."
        )
    return Removal(rows, found.ranking), None


def _confirmed(rows, order, verifier, limit):
    """Add rows of a ranking until further seeds confirm the set; None beyond a limit.

    The smallest set that works from some seeds just does so.
    """
    while not verifier.is_confirmed(rows):
        if len(rows) >= limit:
            return None
        size = min(max(len(rows) + 1, len(rows) * MORE // 2), limit)
        others = order[~np.isin(order, rows)]
        rows = np.append(rows, others[: size - len(rows)])
    return order[np.isin(order, rows)]


def _as_many(rows, evidence):
    """Draw as many other rows, of the same labels as far as there are enough."""
    labels = evidence.training.labels
    order = evidence.random_state.permutation(len(labels))
    order = order[~np.isin(order, rows)]
    drawn = []
    for label in np.unique(labels[rows]):
        wanted = np.count_nonzero(labels[rows] == label)
        drawn.append(order[labels[order] == label][:wanted])
    drawn = np.concatenate(drawn)
    others = order[~np.isin(order, drawn)]
    return np.concatenate([drawn, others[: len(rows) - len(drawn)]])
