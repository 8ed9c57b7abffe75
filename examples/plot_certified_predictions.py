"""How many rows until a prediction changes
========================================

Plot the share of predictions that are correct and cannot be changed by so many rows.

Digits, 1 against 8: the same classifier in few and in many parts, against rows that
are inserted or deleted; and least squares with little and much regularization, against
labels that are flipped. Run it as
``python examples/plot_certified_predictions.py radii.png``.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB

from skpoison import PartitionedClassifier
from skpoison.inspection import CertifiedAccuracyDisplay


def main(path=None):
    X, y = load_digits(return_X_y=True)
    rows = np.isin(y, [1, 8])
    X, X_test, y, y_test = train_test_split(X[rows] / 16, y[rows], random_state=0)

    parts = {
        f"{n} parts": PartitionedClassifier(GaussianNB(var_smoothing=0.1), n).fit(X, y)
        for n in (5, 15, 45)
    }
    ridges = {
        f"alpha {alpha:g}": RidgeClassifier(alpha).fit(X, y) for alpha in (1, 10, 100)
    }
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.9), layout="constrained")
    CertifiedAccuracyDisplay.from_estimator(
        parts, X_test, y_test, attack="insert_delete", ax=left
    )
    CertifiedAccuracyDisplay.from_estimator(
        ridges, X_test, y_test, attack="flip", X_train=X, y_train=y, ax=right
    )
    if path is None:
        plt.show()
    else:
        figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:])
