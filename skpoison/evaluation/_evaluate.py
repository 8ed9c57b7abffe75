"""Errors and losses with and without an attack, with and without a defense."""

from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone, is_regressor
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import mean_absolute_error, mean_squared_error
from sklearn.utils import Bunch, _safe_indexing, check_consistent_length
from sklearn.utils.validation import indexable

from skpoison._column_types import RowsLike
from skpoison._fitted import fit_clone
from skpoison._judging import (
    check_detector,
    find_kept,
    find_kept_by_clone,
    judges_targets,
)
from skpoison._warn import warn
from skpoison.evaluation._losses import check_known, held_out_loss
from skpoison.meta import set_attack_filter

TRAININGS = ("clean", "poisoned", "filtered_poisoned", "filtered_clean")
FITTED_ON = ("poisoned", "clean")
# What there is to measure where an attack can be made.
MEASURED = (
    *("error_poisoned", "loss_poisoned"),
    *("error_filtered_poisoned", "loss_filtered_poisoned"),
    *("poison_rejected", "clean_rejected"),
)


class TrainTest(NamedTuple):
    """Clean training and test rows."""

    X: RowsLike
    y: ArrayLike
    X_test: RowsLike
    y_test: ArrayLike


def evaluate_attack(
    attack: BaseEstimator | dict[str, BaseEstimator],
    defense: BaseEstimator | dict[str, BaseEstimator | None] | None,
    estimator: BaseEstimator,
    X: RowsLike,
    y: ArrayLike,
    X_test: RowsLike,
    y_test: ArrayLike,
    *,
    epsilons: ArrayLike | None = None,
    adaptive: bool = True,
    fit_filter_on: str = "poisoned",
    error_score: float | str = np.nan,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Bunch:
    """Measure the effect of attacks on an estimator, with and without defenses.

    For every combination of attack, defense and epsilon, the estimator is trained four
    times: on the clean rows, on clean and poison rows, and on the rows that the defense
    keeps of each.

    Parameters
    ----------
    attack : attack or dict of str to attack
        One attack or several by name.
    defense : filter, None or dict of str to filter or None
        One filter or several by name. None keeps all rows; attacks then use their own
        filter.
    estimator : classifier or regressor
        The estimator to train.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Clean training rows.
    y : array-like of shape (n_samples,)
        Their labels or targets.
    X_test : {array-like, sparse matrix} of shape (n_test, n_features)
        Clean test rows.
    y_test : array-like of shape (n_test,)
        Their labels or targets.
    epsilons : array-like of shape (n_epsilons,), default=None
        Values of `epsilon` for each attack. None means the attack's own.
    adaptive : bool, default=True
        Whether each attack adapts to the defense, which then replaces the attack's own
        ``filter``. With False, each attack uses its own filter. This is required for
        defenses that cannot score new rows, such as :class:`~skpoison.EPICFilter`.
    fit_filter_on : {"poisoned", "clean"}, default="poisoned"
        ``"poisoned"``: the defense is fitted on clean and poison rows together, as is
        common in practice. ``"clean"``: it is fitted on the clean rows and fixed, as
        certified bounds assume. In both cases the attacker knows the clean rows.
    error_score : "raise" or float, default=nan
        Value for the results of an attack that is impossible against a defense (for
        example, one without a feasible set); a
        :class:`~sklearn.exceptions.FitFailedWarning` is issued. With ``"raise"``, the
        error is raised. If no attack is possible at all, the error is always raised.
    n_jobs : int, default=None
        Number of combinations to run in parallel with joblib.
    verbose : int, default=0
        Verbosity of joblib.

    Returns
    -------
    results : :class:`~sklearn.utils.Bunch`
        Arrays with an entry for each combination: ``attack`` and ``defense``, their
        names; ``epsilon``; ``n_poison``, the number of poison rows; ``error_...`` and
        ``loss_...`` on the test rows after training on ``clean``, ``poisoned``,
        ``filtered_poisoned`` and ``filtered_clean`` rows; ``poison_rejected`` and
        ``clean_rejected``, the fractions of poison and clean rows that the defense
        rejects; ``leverage``, the increase of the defended estimator's error divided
        by epsilon (NaN at 0). ``frame`` has the same results as a DataFrame, or is None
        if pandas is not installed.

    Raises
    ------
    ValueError
        If no attack is possible, or a parameter is invalid.
    TypeError
        If `attack` or `defense` has an invalid type.

    Warns
    -----
    FitFailedWarning
        If some attacks are impossible, with the reasons.

    See Also
    --------
    skpoison.inspection.RobustnessDisplay : Plots the results.
    skpoison.PoisonedClassifier : The same under cross-validation.

    Notes
    -----
    The error of a classifier is the share of rows that it gets wrong, and its loss that
    of :func:`held_out_loss`; those of a regressor are its mean absolute and its mean
    squared error.

    References
    ----------
    .. [1] J. Steinhardt, P. W. Koh and P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NeurIPS 2017, section 5.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skpoison import SphereFilter
    >>> from skpoison.attacks import LabelFlipAttack
    >>> from skpoison.evaluation import evaluate_attack
    >>> X, y = make_blobs(400, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> results = evaluate_attack(
    ...     LabelFlipAttack(0.3, random_state=0),
    ...     SphereFilter(70),
    ...     LogisticRegression(),
    ...     X[:300], y[:300], X[300:], y[300:],
    ... )
    >>> float(results.poison_rejected[0]) > 0.5
    True
    >>> bool(results.loss_filtered_poisoned[0] < results.loss_poisoned[0])
    True
    """
    if isinstance(error_score, str) and error_score != "raise":
        raise ValueError(
            f"error_score must be 'raise' or a number; got {error_score!r}."
        )
    if fit_filter_on not in FITTED_ON:
        raise ValueError(
            f"fit_filter_on must be one of {FITTED_ON}; got {fit_filter_on!r}."
        )
    check_consistent_length(X_test, y_test)
    X, y = indexable(X, y)
    data = TrainTest(X, y, X_test, y_test)
    attacks, defenses = _named_attacks(attack), _named_defenses(defense)
    if not is_regressor(estimator):
        check_known(y_test, np.unique(np.asarray(data.y)), "y_test")
    plan = _plan(attacks, defenses, epsilons)
    without = _measure(estimator, data.X, data.y, data)
    kept = {name: _filtered_clean(f, estimator, data) for name, f in defenses}
    rows = Parallel(n_jobs=n_jobs, verbose=verbose)(
        delayed(_try_one)(names, *pair, estimator, data, fit_filter_on, adaptive)
        for names, *pair in plan
    )
    rows = _filled(rows, error_score)
    return _as_bunch([without | kept[row["defense"]] | row for row in rows])


def _named_attacks(attack):
    """Return pairs of a name and an attack; a single one has the name of its class."""
    named = attack.items() if isinstance(attack, dict) else [(None, attack)]
    for _, sampler in named:
        if isinstance(sampler, type) or not hasattr(sampler, "fit_resample"):
            raise TypeError(
                "attack must be an attack (with fit_resample), or a dict from names "
                f"to attacks; got {sampler!r}."
            )
    return [(name or type(sampler).__name__, sampler) for name, sampler in named]


def _named_defenses(defense):
    """Return pairs of a name and a filter, or None."""
    named = defense.items() if isinstance(defense, dict) else [(None, defense)]
    for _, filter_ in named:
        if filter_ is not None and not _is_filter(filter_):
            hint = "; pass its filter" if hasattr(filter_, "filter") else ""
            raise TypeError(
                "defense must be a filter (with fit_predict), None, or a dict from "
                f"names to these; got {filter_!r}{hint}."
            )
        if filter_ is not None:
            check_detector(filter_)
    return [
        (name or ("none" if filter_ is None else type(filter_).__name__), filter_)
        for name, filter_ in named
    ]


def _is_filter(thing):
    is_frozen = isinstance(thing, FrozenEstimator)
    return not isinstance(thing, type) and hasattr(
        thing, "decision_function" if is_frozen else "fit_predict"
    )


def _plan(attacks, defenses, epsilons):
    """Return names, an attack with its epsilon, and a filter."""
    plan = []
    for attack_name, attack in attacks:
        shares = [attack.epsilon] if epsilons is None else np.ravel(epsilons).tolist()
        for defense_name, filter_ in defenses:
            for epsilon in shares:
                names = {
                    "attack": attack_name,
                    "defense": defense_name,
                    "epsilon": epsilon,
                }
                plan.append((names, attack, filter_))
    if not plan:
        raise ValueError(
            "At least one attack, one defense and one epsilon are required."
        )
    return plan


def _measure(estimator, X, y, data, name="clean"):
    """Train, and return test error and loss under the name of the training rows."""
    fitted = fit_clone(estimator, X, y)
    if is_regressor(estimator):
        predicted = fitted.predict(data.X_test)
        return {
            f"error_{name}": float(mean_absolute_error(data.y_test, predicted)),
            f"loss_{name}": float(mean_squared_error(data.y_test, predicted)),
        }
    wrong = np.asarray(fitted.predict(data.X_test)) != np.asarray(data.y_test)
    return {
        f"error_{name}": float(wrong.mean()),
        f"loss_{name}": held_out_loss(fitted, data.X_test, data.y_test),
    }


def _cut(X: RowsLike, y: ArrayLike, kept: np.ndarray) -> tuple[Any, Any]:
    rows = np.flatnonzero(kept)
    return _safe_indexing(X, rows), _safe_indexing(y, rows)


def _filtered_clean(filter_, estimator, data):
    """Measure the cost of a filter without an attack."""
    kept = _kept(filter_, data.X, data.y, estimator)
    return _measure(estimator, *_cut(data.X, data.y, kept), data, "filtered_clean")


def _shown(filter_, y, estimator):
    """Return y as the filter gets it: targets only where it judges targets."""
    if not is_regressor(estimator):
        return y
    return y if judges_targets(filter_) else None


def _kept(filter_, X, y, estimator):
    """Return which rows a filter keeps, fitted on them unless it is frozen."""
    if filter_ is None:
        return np.ones(len(y), dtype=bool)
    y = _shown(filter_, y, estimator)
    if isinstance(filter_, FrozenEstimator):
        return find_kept(filter_, X, y)
    return find_kept_by_clone(filter_, X, y)


def _try_one(names, attack, filter_, estimator, data, fit_filter_on, adaptive):
    """Run one attack and measure its effect; or return its error."""
    try:
        attack = clone(attack).set_params(epsilon=names["epsilon"])
        if adaptive:
            set_attack_filter(attack, filter_)
        X_all, y_all = attack.fit_resample(data.X, data.y)
    except ValueError as error:
        return names | {"failed": error}
    mask = attack.poison_mask_
    return names | _defend(filter_, X_all, y_all, mask, estimator, data, fit_filter_on)


def _defend(filter_, X_all, y_all, mask, estimator, data, fit_filter_on):
    """Measure the effect of one attack on one defense."""
    is_fitted = filter_ is None or isinstance(filter_, FrozenEstimator)
    if fit_filter_on == "clean" and not is_fitted:
        shown = _shown(filter_, data.y, estimator)
        filter_ = FrozenEstimator(clone(filter_).fit(data.X, shown))
        if not hasattr(filter_, "predict"):
            raise ValueError(
                f"{filter_.estimator!r} cannot be applied to new rows, as "
                f"fit_filter_on={fit_filter_on!r} requires. Use "
                "fit_filter_on='poisoned'."
            )
    kept = _kept(filter_, X_all, y_all, estimator)
    row = {
        "n_poison": int(mask.sum()),
        "poison_rejected": float(np.mean(~kept[mask])) if mask.any() else np.nan,
        "clean_rejected": float(np.mean(~kept[~mask])),
    }
    row |= _measure(estimator, X_all, y_all, data, "poisoned")
    return row | _measure(
        estimator, *_cut(X_all, y_all, kept), data, "filtered_poisoned"
    )


def _filled(rows, error_score):
    """Fill in the results of failed attacks, and warn."""
    failed = [row for row in rows if "failed" in row]
    if failed and (len(failed) == len(rows) or isinstance(error_score, str)):
        raise failed[0]["failed"]
    if failed:
        reasons = "\n".join(
            f"{row['attack']} against {row['defense']} at epsilon={row['epsilon']}: "
            f"{row['failed']}"
            for row in failed
        )
        warn(
            f"{len(failed)} of {len(rows)} attacks failed; their results are set to "
            f"{error_score}.\n{reasons}",
            FitFailedWarning,
        )
    empty = {"n_poison": 0} | dict.fromkeys(MEASURED, error_score)
    return [row | empty if "failed" in row else row for row in rows]


def _as_bunch(rows):
    columns = ["attack", "defense", "epsilon", "n_poison"]
    columns += [f"{what}_{name}" for what in ("error", "loss") for name in TRAININGS]
    columns += ["poison_rejected", "clean_rejected"]
    results = {name: np.array([row[name] for row in rows]) for name in columns}
    rise = results["error_filtered_poisoned"] - results["error_filtered_clean"]
    epsilon = results["epsilon"].astype(np.float64)
    results["leverage"] = np.divide(
        rise, epsilon, out=np.full(len(rows), np.nan), where=epsilon > 0
    )
    return Bunch(**results, frame=_frame(results))


def _frame(results):
    try:
        import pandas as pd
    except ImportError:
        return None
    return pd.DataFrame(results)
