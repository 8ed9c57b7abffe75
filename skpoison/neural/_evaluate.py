"""Success of targeted attacks, with and without defenses."""

import time

import numpy as np
import torch
from joblib import Parallel, delayed
from scipy.stats import binomtest
from sklearn.base import clone, is_classifier
from sklearn.utils import Bunch, check_random_state
from skorch.callbacks import Callback
from skorch.utils import multi_indexing, to_numpy

from skpoison.meta._base import fit_and_find_kept
from skpoison.neural._seeded import seeded

__all__ = ["evaluate_targeted"]

UNDEFENDED = "none"
MEASURES = ("success", "accuracy", "poison_dropped", "clean_dropped", "seconds")


def evaluate_targeted(
    attack,
    defense,
    estimator,
    X,
    y,
    X_test,
    y_test,
    *,
    n_targets=50,
    targets=None,
    intended_labels=None,
    embedding=None,
    only_successful=False,
    n_jobs=None,
    random_state=None,
    verbose=0,
):
    """Measure how often targeted attacks succeed, with and without defenses.

    For each target, the attack makes poison of the clean rows, and a victim is trained
    on the poisoned rows without a defense, and with each. The attack succeeds if the
    victim takes the target for the intended label. All victims of a target face the
    same poison and begin with the same random numbers, so that they compare in pairs.

    Parameters
    ----------
    attack : attack
        A sampler with the parameters ``target`` and ``intended_label``, such as
        :class:`BullseyePolytopeAttack`. It is cloned and told of each target in turn.
    defense : dict of str to defense
        Defenses by name (not ``"none"``, which is the victim without any). Each is

        - a filter, which judges the rows before training;
        - a callback of skorch, such as :class:`EPICCallback`, which is added to those
          of `estimator`;
        - or a classifier, which takes the place of `estimator`.
    estimator : classifier
        The victim: a :class:`FilteredNetClassifier`, or any classifier that takes the
        rows. It is cloned.
    X : {ndarray, Tensor} of shape (n_samples, ...)
        Clean training rows.
    y : {ndarray, Tensor} of shape (n_samples,)
        Their labels.
    X_test : {ndarray, Tensor} of shape (n_test, ...)
        Clean test rows. Targets are among them.
    y_test : {ndarray, Tensor} of shape (n_test,)
        Their labels.
    n_targets : int, default=50
        How many targets are drawn, of the test rows that a victim without poison
        gives their labels.
    targets : array-like of shape (n_targets,), default=None
        Positions of the targets in X_test, in place of drawing them.
    intended_labels : array-like of shape (n_targets,), default=None
        What each target shall be taken for. None draws one of the other labels.
    embedding : callable, default=None
        A frozen feature extractor: takes rows and returns features (ndarray), which
        victims and filters are given in place of rows. It is called once for clean and
        test rows, and for each target's poison. :meth:`LayerFeatures.embed` is one.
    only_successful : bool, default=False
        Whether defenses are tried only on targets for which the attack succeeds
        without any, to save time. What has not been tried is NaN.
    n_jobs : int, default=None
        How many targets at once, by joblib. Each job holds a copy of everything.
    random_state : int, RandomState instance or None, default=None
        Draws targets and labels, and seeds attacks and victims.
    verbose : int, default=0
        Progress, as joblib shows it.

    Returns
    -------
    results : :class:`~sklearn.utils.Bunch`
        ``target`` and ``intended_label``, of shape (n_targets,); ``defense``, the
        names, ``"none"`` first; ``objective``, the attack's lowest for each target;
        ``clean_accuracy``, of a victim without poison and defense. Of shape
        (n_targets, n_defenses), float64: ``success``, 1 if the target is taken for the
        intended label, else 0; ``accuracy`` on the test rows but for the target;
        ``poison_dropped`` and ``clean_dropped``, shares of these rows that were not
        trained on; ``seconds``, for training with the defense. ``summary`` is a
        Bunch of arrays of shape (n_defenses,); ``frame`` the same as a DataFrame, or
        None where pandas is not installed. With 95 % intervals (``..._low``,
        ``..._high``), it has ``success`` over the targets that succeed undefended,
        which is a fair comparison of defenses; ``success_all`` over all targets; and
        the means of all others over the targets that succeed undefended.

    Raises
    ------
    ValueError
        If there are no targets, or a name or a length is wrong.
    TypeError
        If a defense is none of those above.

    Notes
    -----
    Intervals of success are Wilson's; those of means are plus and minus 1.96 standard
    errors over targets. Rates of success are proportions of *targets*: they speak of
    one training set, and of targets drawn like these.

    Torch's random stream is seeded for each victim, and put back.

    References
    ----------
    .. [1] A. Schwarzschild, M. Goldblum, A. Gupta, J. P. Dickerson and T. Goldstein,
       "Just How Toxic is Data Poisoning? A Unified Benchmark for Backdoor and Data
       Poisoning Attacks", ICML 2021.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skpoison import SphereFilter
    >>> from skpoison.neural import BullseyePolytopeAttack, evaluate_targeted
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X / 16).astype("float32")
    >>> seed = torch.manual_seed(0)
    >>> features = torch.nn.Sequential(torch.nn.Linear(64, 200), torch.nn.ReLU())
    >>> results = evaluate_targeted(
    ...     BullseyePolytopeAttack(features, epsilon=0.02, radius=0.5, n_steps=30),
    ...     {"sphere": SphereFilter(80)},
    ...     LogisticRegression(max_iter=300),
    ...     X[:1000], y[:1000], X[1000:], y[1000:],
    ...     n_targets=3,
    ...     embedding=lambda rows: features(torch.as_tensor(rows)).detach().numpy(),
    ...     random_state=0,
    ... )
    >>> results.defense.tolist(), results.success.shape
    (['none', 'sphere'], (3, 2))
    """
    defenses = _named(defense)
    rng = check_random_state(random_state)
    stage = _Stage(attack, defenses, estimator, (X, y, X_test, y_test), embedding)
    right = stage.find_right(int(rng.randint(2**31)))
    plan = _plan(right, stage.labels_test, rng, n_targets, targets, intended_labels)
    seeds = rng.randint(2**31, size=len(plan))
    rows = Parallel(n_jobs=n_jobs, verbose=verbose)(
        delayed(stage.play)(*pair, int(seed), only_successful)
        for pair, seed in zip(plan, seeds, strict=True)
    )
    return _as_bunch(plan, [UNDEFENDED, *defenses], rows, right.mean())


def _named(defense):
    if not isinstance(defense, dict) or UNDEFENDED in defense:
        raise ValueError(
            "defense must be a dict from names to defenses, and "
            f"{UNDEFENDED!r} is the victim without any; got {defense!r}."
        )
    for name, one in defense.items():
        if not (isinstance(one, Callback) or hasattr(one, "fit")):
            raise TypeError(
                "a defense must be a filter, a callback or a classifier; "
                f"{name!r} is {one!r}."
            )
    return defense


def _plan(right, labels, rng, n_targets, targets, intended):
    """Return pairs of a target and what it shall be taken for."""
    if targets is None:
        candidates = np.flatnonzero(right)
        if not 1 <= n_targets <= len(candidates):
            raise ValueError(
                f"n_targets={n_targets!r} must be from 1 to {len(candidates)}, the "
                "test rows that a victim without poison gives their labels."
            )
        targets = rng.choice(candidates, n_targets, replace=False)
    targets = np.asarray(targets)
    classes = np.unique(labels)
    if intended is None:
        intended = [rng.choice(classes[classes != labels[t]]) for t in targets]
    if len(intended) != len(targets) or not len(targets):
        raise ValueError(
            f"there must be as many intended_labels as targets, and one at least; got "
            f"{len(intended)} and {len(targets)}."
        )
    return list(zip(targets.tolist(), np.asarray(intended).tolist(), strict=True))


class _Stage:
    """What is the same for all targets."""

    def __init__(self, attack, defenses, estimator, data, embedding):
        self.attack, self.defenses, self.estimator = attack, defenses, estimator
        self.X, self.y, self.X_test, y_test = data
        self.embedding = embedding
        self.seen, self.seen_test = self._embed(self.X), self._embed(self.X_test)
        self.labels_test = np.asarray(_without_tensor(y_test))

    def _embed(self, X):
        return X if self.embedding is None else self.embedding(X)

    def find_right(self, seed):
        """Train without poison; return which test rows are given their labels."""
        with seeded(seed):
            fitted = clone(self.estimator).fit(self.seen, self.y)
            return self._predict(fitted) == self.labels_test

    def _predict(self, fitted):
        return np.asarray(fitted.predict(self.seen_test))

    def play(self, target, intended, seed, only_successful):
        """Attack one target, and train all victims."""
        attack = clone(self.attack).set_params(
            target=self.X_test[target], intended_label=intended, random_state=seed
        )
        X, y = attack.fit_resample(self.X, self.y)
        mask = attack.poison_mask_
        data = self._poisoned(X, mask), y, mask
        rows = [self._measure(None, data, target, intended, seed)]
        for defense in self.defenses.values():
            if only_successful and not rows[0][0]:
                rows.append([np.nan] * len(MEASURES))
            else:
                rows.append(self._measure(defense, data, target, intended, seed))
        return min(attack.objective_, default=np.nan), rows

    def _poisoned(self, X, mask):
        """Return what victims see: features of the poison only are computed anew."""
        if self.embedding is None:
            return X
        seen = np.empty((len(mask), *self.seen.shape[1:]), dtype=self.seen.dtype)
        clean = self.seen if len(mask) > len(self.seen) else self.seen[~mask]
        seen[~mask] = clean
        if mask.any():
            seen[mask] = self.embedding(multi_indexing(X, np.flatnonzero(mask)))
        return seen

    def _measure(self, defense, data, target, intended, seed):
        X, y, mask = data
        with seeded(seed):
            begin = time.perf_counter()
            fitted, kept = _defended(defense, self.estimator, X, y)
            seconds = time.perf_counter() - begin
            predicted = self._predict(fitted)
        others = np.arange(len(predicted)) != target
        return (
            predicted[target] == intended,
            np.mean((predicted == self.labels_test)[others]),
            np.mean(~kept[mask]) if mask.any() else np.nan,
            np.mean(~kept[~mask]),
            seconds,
        )


def _defended(defense, estimator, X, y):
    """Train with a defense; return the fitted classifier and which rows it kept."""
    if isinstance(defense, Callback):
        callbacks = [*(estimator.callbacks or []), clone_callback(defense)]
        defense = clone(estimator).set_params(callbacks=callbacks)
    if defense is None or is_classifier(defense):
        fitted = clone(estimator if defense is None else defense).fit(X, y)
        return fitted, _kept_by(fitted, len(X))
    kept = fit_and_find_kept(clone(defense), X, y)
    rows = np.flatnonzero(kept)
    fitted = clone(estimator).fit(multi_indexing(X, rows), multi_indexing(y, rows))
    return fitted, kept


def _kept_by(fitted, n_rows):
    """Find which rows a classifier says that it kept; all if it says nothing."""
    if hasattr(fitted, "inlier_mask_"):
        return np.asarray(fitted.inlier_mask_)
    if hasattr(fitted, "dropped_at_"):
        return fitted.dropped_at_ == 0
    if hasattr(fitted, "kept_indices_"):
        return np.isin(np.arange(n_rows), fitted.kept_indices_)
    return np.ones(n_rows, dtype=bool)


def clone_callback(callback):
    """Return a callback of the same parameters that has seen nothing.

    Parameters
    ----------
    callback : skorch callback
        Any.

    Returns
    -------
    callback : skorch callback
        Another one.
    """
    return type(callback)(**callback.get_params(deep=False))


def _without_tensor(labels):
    return to_numpy(labels) if torch.is_tensor(labels) else labels


def _as_bunch(plan, names, rows, clean_accuracy):
    targets, intended = zip(*plan, strict=True)
    values = np.array([measured for _, measured in rows], dtype=np.float64)
    results = Bunch(
        target=np.array(targets),
        intended_label=np.array(intended),
        defense=np.array(names),
        objective=np.array([objective for objective, _ in rows]),
        clean_accuracy=float(clean_accuracy),
        **{name: values[..., i] for i, name in enumerate(MEASURES)},
    )
    results.summary = summarize(results)
    results.frame = _frame(results.summary)
    return results


def summarize(results):
    """Compute rates, means and their intervals from what was measured on targets.

    Parameters
    ----------
    results : Bunch
        ``defense``, and what was measured.

    Returns
    -------
    summary : Bunch
        As :func:`evaluate_targeted` says.
    """
    selected = results.success[:, 0] == 1
    columns = {"defense": results.defense}
    for name, rows in (("success", selected), ("success_all", slice(None))):
        columns |= _with_interval(name, results.success[rows].T, _wilson)
    for name in MEASURES[1:]:
        columns |= _with_interval(name, results[name][selected].T, _normal)
    return Bunch(**columns)


def _with_interval(name, values, interval):
    """Return the mean of each row of values and its interval, by name."""
    found = [interval(row) if len(row) else (np.nan,) * 3 for row in values]
    names = (name, f"{name}_low", f"{name}_high")
    return dict(zip(names, np.array(found).T, strict=True))


def _wilson(successes):
    if np.isnan(successes).any():
        return np.nan, np.nan, np.nan
    test = binomtest(int(successes.sum()), len(successes))
    low, high = test.proportion_ci(method="wilson")
    return successes.mean(), low, high


def _normal(values):
    error = (
        1.96 * values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
    )
    return values.mean(), values.mean() - error, values.mean() + error


def _frame(summary):
    try:
        import pandas as pd
    except ImportError:
        return None
    return pd.DataFrame(dict(summary)).set_index("defense")
