"""Whether planted rows are blamed for wrong predictions, and what undoes these.

    python benchmarks/bench_trace.py [--measure around|random|honest|time]
        [--only NAME ...] [--targets 20] [--others]

Needs the environment variable SKPOISON_DATA with the folder of MNIST, the spam corpus
and the tables. The rankings and constants of ``trace`` were chosen by looking at wine,
digits in ten classes, MNIST 1-vs-7, the test part of the spam corpus, the e-mail table
and two generated tables; and at the first figures of cancer and of the spam table,
which are reported here too. The model is a logistic regression.

What is measured:

- ``around``: the labels of the rows nearest to a target, a test row that the model
  predicts right, are changed to the most probable other label, 5 of them or as many
  (10, 20, 40, 60, 80, at most 5 % of the rows) as it takes to change its prediction.
  Reported are the share of changed rows among as many rows that are blamed most, by
  ranking; how often there is a verified removal set; and how large it is beside the
  smallest known (of all rankings, and the changed rows themselves).
- ``random``: a tenth of the labels is changed at random; the share of these among the
  ten rows blamed most, for test rows that are predicted wrong.
- ``honest``: nothing is changed; how often the model's errors have a removal set of at
  most 1 % of the rows, beside targets of ``around``; and how often ``p_value_`` is at
  most 0.05.
- ``time``: CPU seconds, verification included.

With ``--others``, pyinfluence's ranking stands beside these (pip install pyinfluence).
"""

import argparse
import time
import warnings

import numpy as np
from _plants import DATA, REPORT
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import train_test_split
from sklearn.svm import LinearSVC

from skpoison import trace

SETS = ("cancer", "digits_1_8", "spam_text", "spam_table", "credit")
SIZES = (5, 10, 20, 40, 60, 80)
RANKINGS = ("auto", "knn_shapley", "gradient", "influence")
MODEL = LogisticRegression(max_iter=1000)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", choices=list(MEASURES), default="around")
    parser.add_argument("--only", nargs="*", default=list(SETS))
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--others", action="store_true")
    options = parser.parse_args()
    MEASURES[options.measure](options)


class Split:
    """Training and test rows of a data set, as numbers, and a model of them."""

    def __init__(self, name):
        data = REPORT[name]()
        rows = np.arange(len(data.y))
        train, test = train_test_split(rows, stratify=data.y, random_state=100)
        self.X, self.y = data.numbers[train], data.y[train]
        self.X_test, self.y_test = data.numbers[test], data.y[test]
        self.model = clone(MODEL).fit(self.X, self.y)
        self.right = self.model.predict(self.X_test) == self.y_test


def attacked(split, n_targets, rng):
    """Targets that changed labels took: labels, the rows changed, and the target."""
    found = []
    for target in rng.permutation(np.flatnonzero(split.right)):
        row = split.X_test[[target]]
        near = nearest_of_own(split, target)
        order = np.argsort(split.model.predict_proba(row)[0])
        to = split.model.classes_[order[-2]]
        for k in SIZES:
            if k > 0.05 * len(split.y):
                break
            y = split.y.copy()
            y[near[:k]] = to
            if clone(MODEL).fit(split.X, y).predict(row)[0] == to:
                found.append((y, near[:k], target))
                break
        if len(found) == n_targets:
            break
    return found


def nearest_of_own(split, target):
    own = np.flatnonzero(split.y == split.y_test[target])
    distances = pairwise_distances(split.X[own], split.X_test[[target]])[:, 0]
    return own[np.argsort(distances)]


def around(options):
    for name in options.only:
        split = Split(name)
        cases = attacked(split, options.targets, np.random.default_rng(100))
        figures = [traced_around(split, *case, options) for case in cases]
        sizes = [len(changed) for _, changed, _ in cases]
        keys = keys_of(options)
        shares = {key: np.mean([one[0][key] for one in figures]) for key in keys}
        ratios = [one[1] for one in figures if np.isfinite(one[1])]
        print(
            f"{name:12} {len(split.y)} rows, {len(cases)} targets, "
            f"{min(sizes)} to {max(sizes)} labels;",
            ", ".join(f"{key} {share:.2f}" for key, share in shares.items()),
            f"| verified {len(ratios) / len(cases):.2f}, at most twice the smallest "
            f"{np.mean(np.array(ratios) <= 2):.2f} (median {np.median(ratios):.2f})",
            flush=True,
        )


def keys_of(options):
    return [*RANKINGS, *(["pyinfluence"] if options.others else [])]


def traced_around(split, y, changed, target, options):
    """Precision by ranking, and the size of the removal set over the smallest known."""
    row, right = split.X_test[[target]], split.y_test[[target]]
    found = trace(MODEL, split.X, y, row, right, random_state=0)
    orders = orders_of(found)
    if options.others:
        orders |= others(split, y, row, right)
    k = len(changed)
    shares = {key: np.isin(order[:k], changed).mean() for key, order in orders.items()}
    known = [k]
    for method in ("knn_shapley", "gradient", "influence"):
        alone = trace(MODEL, split.X, y, row, right, method=method, random_state=0)
        known += [] if alone.removal_set_ is None else [len(alone.removal_set_)]
    size = np.inf if found.removal_set_ is None else len(found.removal_set_)
    return shares, size / min(known)


def orders_of(found):
    """Rankings of a trace: the one that it blames by, and those by each score."""
    blame = found.contributions_[found.ranking_]  # the set is first in the ranking
    orders = {"auto": found.ranking_[np.argsort(-blame, kind="stable")]}
    for name, scores in found.scores_.items():
        orders[name] = np.argsort(-scores, kind="stable")
    return orders


def others(split, y, row, right):
    """Rankings of pyinfluence: by the loss of the target, for the fitted model."""
    from pyinfluence import influence

    model = clone(MODEL).fit(split.X, y)
    found = np.ravel(influence(model, split.X, y, row, right, mode="loss"))
    return {"pyinfluence": np.argsort(found, kind="stable")}


def at_random(options):
    for name in options.only:
        split, rng = Split(name), np.random.default_rng(100)
        changed = rng.permutation(len(split.y))[: len(split.y) // 10]
        y, classes = split.y.copy(), split.model.classes_
        codes = np.searchsorted(classes, y[changed])
        moved = rng.integers(1, len(classes), len(changed))
        y[changed] = classes[(codes + moved) % len(classes)]
        model = clone(MODEL).fit(split.X, y)
        wrong = np.flatnonzero(model.predict(split.X_test) != split.y_test)
        taken = split.right[wrong]
        shares = []
        for target in wrong[: options.targets]:
            row, right = split.X_test[[target]], split.y_test[[target]]
            found = trace(MODEL, split.X, y, row, right, random_state=0)
            orders = orders_of(found)
            if options.others:
                orders |= others(split, y, row, right)
            share = {key: np.isin(o[:10], changed).mean() for key, o in orders.items()}
            shares.append(share)
        print(
            f"{name:12} {len(shares)} of {len(wrong)} errors, {taken.sum()} new;",
            ", ".join(
                f"{key} {np.mean([one[key] for one in shares]):.2f}"
                for key in keys_of(options)
            ),
            flush=True,
        )


def honest(options):
    for name in options.only:
        split, rng = Split(name), np.random.default_rng(100)
        limit = max(len(split.y) // 100, 1)
        wrong = np.flatnonzero(~split.right)[: options.targets]
        cases = [(split.y, None, target) for target in wrong]
        poisoned = attacked(split, options.targets, rng)
        for what, some in (("honest", cases), ("around", poisoned)):
            traces = [
                trace(
                    MODEL,
                    split.X,
                    y,
                    split.X_test[[t]],
                    split.y_test[[t]],
                    random_state=0,
                )
                for y, _, t in some
            ]
            sets = [one.removal_set_ for one in traces]
            few = [rows is not None and len(rows) <= limit for rows in sets]
            low = [one.p_value_ is not None and one.p_value_ <= 0.05 for one in traces]
            print(
                f"{name:12} {what}: {len(some)} errors, removal set of at most "
                f"{limit} rows {np.mean(few):.2f}, p at most 0.05 {np.mean(low):.2f}",
                flush=True,
            )


def times(options):
    for name, make in (("13,007 x 784", mnist), ("100,000 x 100", large)):
        X, y, X_test, y_test = make()
        for model in (MODEL, LinearSVC(), RidgeClassifier()):
            start = time.process_time()
            model.fit(X, y)
            fit = time.process_time() - start
            target = np.flatnonzero(model.predict(X_test) != y_test)[:1]
            start = time.process_time()
            found = trace(model, X, y, X_test[target], y_test[target], random_state=0)
            seconds = time.process_time() - start
            print(
                f"{name:14} {type(model).__name__:20} fit {fit:.2f} s, traced in "
                f"{seconds:.2f} s with {found.n_fits_} fits: {found.summary()}",
                flush=True,
            )


def mnist():
    data = np.load(DATA / "mnist_17.npz")
    X, X_test = (data[key].reshape(len(data[key]), -1) for key in ("X_train", "X_test"))
    return X / 255.0, data["y_train"], X_test / 255.0, data["y_test"]


def large():
    rng = np.random.default_rng(100)
    X, w = rng.normal(size=(101_000, 100)), rng.normal(size=100)
    y = (X @ w + 3.0 * rng.normal(size=len(X)) > 0).astype(int)
    return X[:100_000], y[:100_000], X[100_000:], y[100_000:]


MEASURES = {"around": around, "random": at_random, "honest": honest, "time": times}

if __name__ == "__main__":
    with warnings.catch_warnings(action="ignore"):  # of solvers that do not converge
        main()
