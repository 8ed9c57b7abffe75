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
from scipy.ndimage import affine_transform, gaussian_filter
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import LinearSVC

from skpoison import PartitionedClassifier, SphereFilter, certified_radius
from skpoison.pointwise import TwoMeansClassifier, certified_accuracy, collective_bound

DATA = Path(os.environ.get("SKPOISON_DATA", "../shared/data"))


def main():
    sections = {
        "parts": parts,
        "spam": spam,
        "collective": collective,
        "ridge": ridge,
        "two_means": two_means,
        "stability": stability,
        "digits_pixels": digits_pixels,
        "digits_gradients": digits_gradients,
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
    return radii


def parts(at=(0, 100, 200, 400)):
    """MNIST 1 against 7 in 1,000 parts, and what fitting and predicting them costs."""
    X, y, X_test, y_test = mnist_17()
    model = PartitionedClassifier(LinearSVC(), 1000).fit(X, y)
    members = model._members(y, model._digests)
    two_classes = [rows for rows in members if len(set(y[rows])) == 2]
    ratios = []
    for _ in range(5):  # both sides in turns, once everything is loaded
        start = time.process_time()
        PartitionedClassifier(LinearSVC(), 1000).fit(X, y)
        whole = time.process_time() - start
        start = time.process_time()
        for rows in two_classes:
            LinearSVC(random_state=0).fit(X[rows], y[rows])
        alone = time.process_time() - start
        ratios.append(whole / alone)
    print(f"fit {whole:.2f} s, the {len(two_classes)} fits alone {alone:.2f} s;")
    print(f"  {np.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})")
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


def collective():
    """Spam: how many predictions one attack can change, beside the radii."""
    X, y, X_test, _ = spam_rows()
    model = PartitionedClassifier(MultinomialNB(alpha=0.1), 50).fit(X, y)
    for n_rows in (5, 10):
        start = time.process_time()
        found = collective_bound(
            model, X_test, n_rows, attack="insert_delete", time_limit=60
        )
        print(
            f"{n_rows} rows: at most {found.n_changed} of {X_test.shape[0]} "
            f"predictions, by radii alone {found.n_changed_alone}, found "
            f"{found.n_changed_found} ({time.process_time() - start:.0f} s)"
        )


def ridge(at=(0, 1000, 2000, 2500, 3000)):
    """MNIST 1 against 7: label flips against least squares without intercept."""
    X, y, X_test, y_test = mnist_17()
    mean = X.mean(axis=0)
    X, X_test = X - mean, X_test - mean
    model = RidgeClassifier(1e7, fit_intercept=False).fit(X, y)
    rows = {"attack": "flip", "X_train": X, "y_train": y}
    certified("RidgeClassifier, alpha 1e7", model, X_test, y_test, at, **rows)
    refit_at_the_radius(model, X, y, X_test[::400], rows)


def refit_at_the_radius(model, X, y, X_test, rows):
    """Flip the best labels, as many as the radius and one more, and fit again."""
    radii, before = certified_radius(model, X_test, **rows), model.predict(X_test)
    gram = X.T @ X
    gram[np.diag_indices_from(gram)] += model.alpha
    weights = np.linalg.solve(gram, X_test.T).T @ X.T
    for i, radius in enumerate(radii):
        order = np.argsort(-weights[i] * y * before[i])
        found = []
        for size in (radius, radius + 1):
            flipped = y.copy()
            flipped[order[:size]] *= -1
            found.append(clone(model).fit(X, flipped).predict(X_test[[i]])[0])
        print(f"  {radius} flips: {before[i]} -> {found[0]}; one more: {found[1]}")


def two_means(at=(0, 3000, 5952, 5953)):
    """MNIST 1 against 7: label flips against two clusters named by the labels."""
    X, y, X_test, y_test = mnist_17()
    model = TwoMeansClassifier().fit(X, y)
    certified("two means", model, X_test, y_test, at, attack="flip")


def stability(at=(0, 50, 100, 200, 300)):
    """MNIST 1 against 7: one fit, strong convexity, rows that a sphere lets through."""
    X, y, X_test, y_test = mnist_17()
    limits = SphereFilter(95).fit(X, y)
    X, y = X[limits.inlier_mask_], y[limits.inlier_mask_]
    rows = {"X_train": X, "y_train": y, "filter": limits}
    for model in (
        LogisticRegression(C=1e-5, solver="liblinear", tol=1e-8),
        LinearSVC(loss="hinge", C=1e-5, tol=1e-8, max_iter=10**6),
        LinearSVC(C=3e-6, tol=1e-8, max_iter=10**6),
    ):
        model.fit(X, y)
        radii = certified(repr(model), model, X_test, y_test, at, **rows)
        worst_rows(model, X, y, limits, X_test, radii)


def worst_rows(model, X, y, limits, X_test, radii, n_rows=6):
    """Insert the row that pulls most, in copies, and fit again."""
    feasible, before = limits.feasible_set(), model.predict(X_test)
    needed = []
    for i in np.argsort(radii)[len(radii) // 12 :: len(radii) // n_rows]:
        wrong = -before[i]
        point = feasible[wrong].support(X_test[i])[1]
        needed.append(np.inf)
        for times in (1, 2, 3, 4, 6, 8):
            size = int(times * radii[i])
            poison = np.repeat(point[None], size, axis=0)
            labels = np.append(y, np.full(size, wrong))
            after = clone(model).fit(np.vstack([X, poison]), labels)
            if after.predict(X_test[i : i + 1])[0] != before[i]:
                needed[-1] = times
                break
    print(f"  copies of the worst row first worked at {needed} times the radius")


def digits_pixels():
    """MNIST, ten classes, 1,200 parts: pixels, with and without run-off and spread."""
    digits(pixels)


def digits_gradients():
    """The same with the directions of gradients of each upright digit."""
    digits(gradients)


def digits(features, at=(0, 100, 200, 300, 400, 500)):
    data = np.load(DATA / "mnist.npz")
    y, y_test = data["y_train"], data["y_test"]
    X, X_test = features(data["X_train"]), features(data["X_test"])
    run_off = {"aggregation": "run_off"}
    for options in ({}, run_off, {"spread": 2}, run_off | {"spread": 2}):
        model = PartitionedClassifier(LinearSVC(C=0.1), 1200, **options)
        start = time.process_time()
        model.fit(X, y)
        print(f"fitted in {time.process_time() - start:.0f} s")
        certified(f"{features.__name__}, {options}", model, X_test, y_test, at)


def pixels(images):
    return images / 255.0


def gradients(images, block=5_000):
    """Upright digits' directions of gradients; each image's are its own affair."""
    blocks = [images[i : i + block] for i in range(0, len(images), block)]
    return np.concatenate([directions(upright(one / 255.0)) for one in blocks])


def upright(images):
    """Shear images so that their strokes stand upright, and center them."""
    images = images.reshape(-1, 28, 28)
    down, right = np.mgrid[:28, :28]
    found = np.empty_like(images)
    for i, image in enumerate(images):
        mass = image.sum()
        center = np.array([(image * down).sum(), (image * right).sum()]) / mass
        y, x = down - center[0], right - center[1]
        slant = (image * x * y).sum() / max((image * y * y).sum(), 1e-9)
        shear = np.array([[1.0, 0.0], [slant, 1.0]])
        found[i] = affine_transform(
            image, shear, center - shear @ [13.5, 13.5], order=1
        )
    return found


def directions(images, bins=8, cell=4):
    """Roots of smoothed histograms of the directions of gradients, of length one."""
    down, right = np.gradient(images, axis=(1, 2))
    size = np.hypot(down, right)
    place = np.floor((np.arctan2(down, right) / (2 * np.pi) % 1.0) * bins) % bins
    taken = slice(cell // 2, None, cell)
    found = [
        gaussian_filter(size * (place == k), (0, 2, 2))[:, taken, taken]
        for k in range(bins)
    ]
    found = np.sqrt(np.stack(found, axis=3).reshape(len(images), -1))
    return 4.0 * found / np.linalg.norm(found, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
