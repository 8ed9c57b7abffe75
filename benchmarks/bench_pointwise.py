"""Guarantees for single predictions: certified accuracies, and what they cost.

Run ``python benchmarks/bench_pointwise.py [sections]``; the data lie in the folder that
SKPOISON_DATA names. Times are processor seconds of one thread (OMP_NUM_THREADS=1).
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import LinearSVC

from skpoison import PartitionedClassifier, certified_radius
from skpoison.pointwise import TwoMeansClassifier, certified_accuracy

DATA = Path(os.environ.get("SKPOISON_DATA", "../shared/data"))


def main():
    sections = {
        "parts": parts,
        "spam": spam,
        "ridge": ridge,
        "two_means": two_means,
        "digits": digits,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", default=list(sections))
    for name in parser.parse_args().sections:
        print(f"\n== {name}", flush=True)
        sections[name]()


def mnist_17():
    data = np.load(DATA / "mnist_17.npz")
    X, X_test = data["X_train"] / 255.0, data["X_test"] / 255.0
    return X, data["y_train"], X_test, data["y_test"]


def spam_rows():
    data = np.load(DATA / "spam_assassin_bow.npz")
    return (
        counts(data, "train"),
        data["y_train"],
        counts(data, "test"),
        data["y_test"],
    )


def counts(data, part):
    parts = (data[f"{part}_data"], data[f"{part}_indices"], data[f"{part}_indptr"])
    return sparse.csr_matrix(parts, shape=data[f"{part}_shape"]).astype(np.float64)


def report(name, radii, y_true, y_pred, at):
    plain = certified_accuracy(radii, y_true, y_pred, at)
    balanced = certified_accuracy(radii, y_true, y_pred, at, balanced=True)
    median = np.median(np.where(y_true == y_pred, radii, 0))
    print(f"{name}: median {median:g}")
    for budget, share, fair in zip(at, plain, balanced, strict=True):
        print(f"  at {budget:5d}: {share:.3f} (balanced {fair:.3f})", flush=True)


def certified(name, model, X_test, y_test, at, attack="insert_delete", **rows):
    start = time.process_time()
    radii = certified_radius(model, X_test, attack=attack, **rows)
    name = f"{name} ({time.process_time() - start:.1f} s)"
    report(name, radii, y_test, model.predict(X_test), at)


def parts(at=(0, 100, 200, 400)):
    """MNIST 1 against 7 in 1,000 parts, and what fitting and predicting them costs."""
    X, y, X_test, y_test = mnist_17()
    start = time.process_time()
    model = PartitionedClassifier(LinearSVC(), 1000).fit(X, y)
    whole = time.process_time() - start
    members = model._members(y, model._digests)
    two_classes = [rows for rows in members if len(set(y[rows])) == 2]
    start = time.process_time()
    for rows in two_classes:
        LinearSVC(random_state=0).fit(X[rows], y[rows])
    alone = time.process_time() - start
    print(f"fit {whole:.2f} s, the {len(two_classes)} fits alone {alone:.2f} s: ")
    print(f"  {whole / alone:.2f} times")
    many = np.tile(X_test, (5, 1))[:10_000]
    start = time.process_time()
    model.predict(many)
    print(f"predict 10,000 rows: {time.process_time() - start:.2f} s")
    certified("LinearSVC, 1,000 parts", model, X_test, y_test, at)


def spam():
    """Spam: naive Bayes in parts, beside logistic regression."""
    X, y, X_test, y_test = spam_rows()
    for base, n, at in (
        (MultinomialNB(alpha=0.1), 50, (0, 5, 10)),
        (MultinomialNB(alpha=0.1), 200, (0, 10, 20, 40)),
        (LogisticRegression(max_iter=1000), 200, (0, 10, 20, 40)),
    ):
        model = PartitionedClassifier(base, n).fit(X, y)
        certified(f"{type(base).__name__}, {n} parts", model, X_test, y_test, at)
    model = PartitionedClassifier(MultinomialNB(alpha=0.1), 50, spread=4).fit(X, y)
    certified("MultinomialNB, 50 parts, spread 4", model, X_test, y_test, (0, 5, 10))


def ridge(at=(0, 1000, 2000, 2500, 3000)):
    """MNIST 1 against 7: label flips against least squares without intercept."""
    X, y, X_test, y_test = mnist_17()
    mean = X.mean(axis=0)
    X, X_test = X - mean, X_test - mean
    model = RidgeClassifier(1e7, fit_intercept=False).fit(X, y)
    rows = {"attack": "flip", "X_train": X, "y_train": y}
    certified("RidgeClassifier, alpha 1e7", model, X_test, y_test, at, **rows)


def two_means(at=(0, 3000, 5952, 5953)):
    """MNIST 1 against 7: label flips against two clusters named by the labels."""
    X, y, X_test, y_test = mnist_17()
    model = TwoMeansClassifier().fit(X, y)
    certified("two means", model, X_test, y_test, at, attack="flip")


def digits(at=(0, 100, 200, 300)):
    """MNIST, ten classes, 1,200 parts: votes, run-off and finite aggregation."""
    data = np.load(DATA / "mnist.npz")
    X, X_test = data["X_train"] / 255.0, data["X_test"][:2000] / 255.0
    y, y_test = data["y_train"], data["y_test"][:2000]
    base = LogisticRegression(C=0.1, max_iter=30, tol=1e-2)
    for aggregation in ("vote", "run_off"):
        model = PartitionedClassifier(base, 1200, aggregation=aggregation).fit(X, y)
        certified(f"LogisticRegression, {aggregation}", model, X_test, y_test, at)


if __name__ == "__main__":
    main()
