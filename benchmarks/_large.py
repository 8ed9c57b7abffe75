"""Large dense tables: time and memory of AutoFilter, beside cross_val_predict.

Memory is the highest resident memory of the process (VmHWM, which Linux resets on
request) beyond what was resident before, X included: what a fit needs besides X.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from skpoison import AutoFilter

FLIPPED = 0.02  # of the labels
LARGE_LEARNERS = {
    "LogisticRegression": LogisticRegression(),
    "RandomForestClassifier": RandomForestClassifier(random_state=0),
}


def generated(n, seed=0):
    """Rows of two classes, in 50 columns of which 20 say something."""
    X, y = make_classification(
        n, 50, n_informative=20, n_redundant=0, class_sep=2, flip_y=0, random_state=seed
    )
    return X, y


def mnist():
    """60,000 digits of 784 pixels, float32."""
    folder = Path(os.environ["SKPOISON_DATA"])
    with np.load(folder / "mnist.npz") as data:
        X, y = data["X_train"], data["y_train"]
    return X.reshape(len(X), -1).astype(np.float32) / 255, y.astype(int)


LARGE = {
    "50,000 x 50": lambda: generated(50_000),
    "60,000 x 784": mnist,
    "1,000,000 x 50": lambda: generated(1_000_000),
}


def large_figures(names, learners=("LogisticRegression",), seed=0) -> Iterator[dict]:
    """Yield figures of each table and learner."""
    for name in names or LARGE:
        X, y = LARGE[name]()
        rng = np.random.default_rng(seed)
        mask = np.zeros(len(y), dtype=bool)
        mask[rng.choice(len(y), int(FLIPPED * len(y)), replace=False)] = True
        shift = rng.integers(1, y.max() + 1, size=len(y))
        y = np.where(mask, (y + shift) % (y.max() + 1), y)
        for learner in learners:
            estimator = LARGE_LEARNERS[learner]
            yield {
                "data": name,
                "plant": "flips 2%",
                "seed": seed,
                "detector": learner,
                **_compared(estimator, X, y, mask),
            }


def _compared(estimator, X, y, mask):
    alone, beyond_alone, _ = measured(
        lambda: cross_val_predict(estimator, X, y, method="predict_proba", n_jobs=1)
    )
    took, beyond, auto = measured(AutoFilter(estimator, random_state=0).fit, X, y)
    found = ~auto.inlier_mask_
    return {
        "score": took / alone,
        "seconds": took,
        "cross_val_predict": alone,
        "memory": beyond / X.nbytes,
        "memory of cross_val_predict": beyond_alone / X.nbytes,
        "F1": 2 * np.sum(mask & found) / max(mask.sum() + found.sum(), 1),
    }


def measured(function, *args):
    """Processor seconds, bytes of memory beyond what was resident, and the result."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the highest
    before, start = _memory("VmRSS"), time.process_time()
    out = function(*args)
    return time.process_time() - start, _memory("VmHWM") - before, out


def _memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(name))
    return 1024 * int(line.split()[1])
