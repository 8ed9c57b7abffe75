"""MNIST, embeddings of it, and gradient proxies of classifiers trained on it."""

import os
from pathlib import Path

import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier


def mnist():
    """Pixels in [0, 1] (float32) and labels: training rows, then test rows."""
    folder = Path(os.environ.get("SKPOISON_DATA", "../shared/data"))
    with np.load(folder / "mnist.npz") as data:
        arrays = [data[name] for name in ("X_train", "y_train", "X_test", "y_test")]
    arrays[0] = arrays[0].astype(np.float32) / 255
    arrays[2] = arrays[2].astype(np.float32) / 255
    return arrays


def residuals(model, X, y):
    """Predicted probabilities minus one-hot labels."""
    proxies = model.predict_proba(X).astype(np.float64)
    proxies[np.arange(len(y)), y] -= 1
    return proxies.astype(np.float32)


def residual_sets(rows=20000, seed=0):
    """Residuals of a network early and late in training, late with noise, saturated.

    Each with the labels. The last are those of a linear classifier whose probabilities
    are zero or one for most rows.
    """
    X, y, _, _ = mnist()
    rng = np.random.default_rng(seed)
    some = rng.permutation(len(X))[:rows]
    noisy = y.copy()
    flipped = rng.random(len(y)) < 0.2
    noisy[flipped] = rng.integers(0, 10, flipped.sum())
    sets = {}
    early = MLPClassifier((64,), random_state=seed)
    early.partial_fit(X[some[:4000]], y[some[:4000]], classes=np.arange(10))
    sets["early"] = residuals(early, X, y), y
    for name, labels in (("trained", y), ("label noise", noisy)):
        net = MLPClassifier((64,), random_state=seed)
        for _ in range(8):
            net.partial_fit(X[some], labels[some], classes=np.arange(10))
        sets[name] = (residuals(net, X, labels), labels)
    saturated = SGDClassifier(loss="log_loss", random_state=seed)
    saturated.partial_fit(X[some], y[some], classes=np.arange(10))
    sets["saturated"] = residuals(saturated, X, y), y
    return sets


def of_one_class(proxies, labels, n_rows, seed=0):
    """Residuals of rows with the label 3, and of others if there are not enough."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(np.flatnonzero(labels == 3))[:n_rows]
    part = proxies[rows]
    if len(part) < n_rows:  # other classes, with their own column moved to column 3
        others = rng.permutation(np.flatnonzero(labels != 3))[: n_rows - len(part)]
        more = proxies[others].copy()
        at = np.arange(len(more))
        more[at, 3], more[at, labels[others]] = more[at, labels[others]], more[at, 3]
        part = np.concatenate([part, more])
    return part


def duplicated(proxies, share=0.85, seed=0):
    """Overwrite a share of the rows by copies of the others."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(proxies))
    unique = rows[: round((1 - share) * len(rows))]
    return proxies[rng.choice(unique, len(proxies))]
