"""Victims of attacks, with and without defenses, and measurements on them."""

import time

import numpy as np
from scipy.stats import binomtest
from sklearn.base import clone, is_classifier
from skorch.callbacks import Callback
from skorch.utils import multi_indexing

from skpoison._judging import find_kept_by_clone
from skpoison.neural._rows import check_no_dataset, without_tensor
from skpoison.neural._seeded import seeded

UNDEFENDED = "none"
MEASURES = ("success", "accuracy", "poison_dropped", "clean_dropped", "seconds")


def check_attack(attack, names, instead):
    """Check that an attack has the parameters that an evaluation sets."""
    known = attack.get_params(deep=False) if hasattr(attack, "get_params") else ()
    missing = [name for name in names if name not in known]
    if missing:
        raise TypeError(
            f"attack must have the parameters {names}; {type(attack).__name__} lacks "
            f"{missing}. For other attacks there is {instead}."
        )


def named(defense, estimator):
    """Check a dict of defenses."""
    if not isinstance(defense, dict) or UNDEFENDED in defense:
        raise ValueError(
            "defense must be a dict from names to defenses, and "
            f"{UNDEFENDED!r} is the victim without any; got {defense!r}."
        )
    for name, one in defense.items():
        if not _is_defense(one):
            raise TypeError(
                "a defense must be a filter (with fit_predict), a callback of skorch "
                f"or a classifier; {name!r} is {one!r}. Put what transforms rows "
                "before a classifier: make_pipeline(transformer, estimator)."
            )
        if isinstance(one, Callback) and not hasattr(estimator, "callbacks"):
            raise TypeError(
                f"{name!r} is a callback, for which estimator must be a skorch net; it "
                f"is {type(estimator).__name__}."
            )
    return defense


def _is_defense(one):
    if isinstance(one, type) or not hasattr(one, "fit"):
        return isinstance(one, Callback)
    return hasattr(one, "fit_predict") or is_classifier(one)


class Stage:
    """What all poisons share: defenses, victim, clean rows."""

    def __init__(self, attack, defenses, estimator, data, embedding):
        self.attack, self.defenses, self.estimator = attack, defenses, estimator
        self.X, self.y, self.X_test, y_test = data
        check_no_dataset(self.X, "X")
        check_no_dataset(self.X_test, "X_test")
        self.embedding = embedding
        self.seen, self.seen_test = self._embed(self.X), self._embed(self.X_test)
        self.labels_test = np.asarray(without_tensor(y_test))

    def _embed(self, X):
        return X if self.embedding is None else without_tensor(self.embedding(X))

    def clean_victim(self):
        """Train without poison."""
        return _fitted(self.estimator, self.seen, self.y)

    def predict(self, fitted):
        """Return the labels that a victim predicts for the test rows."""
        return predicted(fitted, self.seen_test)

    def compare(self, attack, judge, seed, only_successful):
        """Craft poison, and train all victims on it."""
        X, y = attack.fit_resample(self.X, self.y)
        mask = attack.poison_mask_
        data = self._poisoned(X, mask), y, mask
        rows = [self._measure(None, data, judge, seed)]
        for defense in self.defenses.values():
            if only_successful and not rows[0][0]:
                rows.append([np.nan] * len(MEASURES))
            else:
                rows.append(self._measure(defense, data, judge, seed))
        return min(attack.objective_, default=np.nan), rows

    def _poisoned(self, X, mask):
        """Return the input of victims; only features of poison are computed again."""
        if self.embedding is None:
            return X
        seen = np.empty((len(mask), *self.seen.shape[1:]), dtype=self.seen.dtype)
        clean = self.seen if len(mask) > len(self.seen) else self.seen[~mask]
        seen[~mask] = clean
        if mask.any():
            seen[mask] = self._embed(multi_indexing(X, np.flatnonzero(mask)))
        return seen

    def _measure(self, defense, data, judge, seed):
        X, y, mask = data
        with seeded(seed):
            begin = time.perf_counter()
            fitted, kept = _defended(defense, self.estimator, X, y)
            seconds = time.perf_counter() - begin
            success, accuracy = judge(fitted)
        return (
            success,
            accuracy,
            np.mean(~kept[mask]) if mask.any() else np.nan,
            np.mean(~kept[~mask]),
            seconds,
        )


def _defended(defense, estimator, X, y):
    """Train with a defense; return the classifier and the mask of kept rows."""
    if isinstance(defense, Callback):
        callbacks = [*(estimator.callbacks or []), clone_callback(defense)]
        defense = clone(estimator).set_params(callbacks=callbacks)
    if defense is None or is_classifier(defense):
        fitted = _fitted(estimator if defense is None else defense, X, y)
        return fitted, _kept_by(fitted, len(X))
    kept = find_kept_by_clone(defense, without_tensor(X), without_tensor(y))
    rows = np.flatnonzero(kept)
    return _fitted(estimator, multi_indexing(X, rows), multi_indexing(y, rows)), kept


def _fitted(estimator, X, y):
    """Fit a clone; only nets get tensors, which may be on another device."""
    if not _takes_tensors(estimator):
        X, y = without_tensor(X), without_tensor(y)
    return clone(estimator).fit(X, y)


def predicted(fitted, X):
    """Return the predicted labels of rows as an array."""
    return np.asarray(
        fitted.predict(X if _takes_tensors(fitted) else without_tensor(X))
    )


def _takes_tensors(estimator):
    return hasattr(estimator, "initialize_module")


def _kept_by(fitted, n_rows):
    """Return the mask of rows that a classifier kept; all if it does not tell."""
    if hasattr(fitted, "inlier_mask_"):
        return np.asarray(fitted.inlier_mask_)
    if hasattr(fitted, "dropped_at_"):
        return fitted.dropped_at_ == 0
    if hasattr(fitted, "kept_indices_"):
        return np.isin(np.arange(n_rows), fitted.kept_indices_)
    return np.ones(n_rows, dtype=bool)


def clone_callback(callback):
    """Return an unfitted callback with the same parameters."""
    return type(callback)(**callback.get_params(deep=False))


def with_interval(name, values, interval):
    """Return columns of the mean of each row of values, and its interval, by name."""
    found = [interval(row) if len(row) else (np.nan,) * 3 for row in values]
    names = (name, f"{name}_low", f"{name}_high")
    return dict(zip(names, np.array(found).T, strict=True))


def wilson(successes):
    """Return a rate and Wilson's 95 % interval."""
    if np.isnan(successes).any():
        return np.nan, np.nan, np.nan
    test = binomtest(int(successes.sum()), len(successes))
    low, high = test.proportion_ci(method="wilson")
    return successes.mean(), low, high


def normal(values):
    """Return a mean and its 95 % interval; without ends for one value."""
    error = (
        1.96 * values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
    )
    return values.mean(), values.mean() - error, values.mean() + error


def as_frame(summary):
    """Return a summary as a table of defenses, or None without pandas."""
    try:
        import pandas as pd
    except ImportError:
        return None
    return pd.DataFrame(dict(summary)).set_index("defense")
