"""Which rows caused this prediction
=================================

Trace a digit that is read wrong to the training rows that did it.

Ten images of the digit 3 that look like one other 3 are labeled 8, and a support vector
machine reads that one as an 8. The rows that are blamed for it, and a small set of them
without which the model, fitted again, is right. Run it as
``python examples/plot_trace.py trace.png``.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from skpoison import trace
from skpoison.inspection import TraceDisplay


def main(path=None):
    X, y = load_digits(return_X_y=True)
    rows = np.isin(y, [3, 8])
    X, y = X[rows] / 16, y[rows]
    target = np.flatnonzero(y == 3)[54]
    X_target, X, y = X[[target]], np.delete(X, target, axis=0), np.delete(y, target)
    near = np.argsort(np.linalg.norm(X - X_target, axis=1))
    y[near[y[near] == 3][:10]] = 8

    model = SVC().fit(X, y)
    found = trace(model, X, y, X_target, [3])
    print(found.summary())
    display = TraceDisplay.from_trace(found, X, y, image_shape=(8, 8))
    if path is None:
        plt.show()
    else:
        display.figure_.savefig(path, dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:])
