"""An audit of a data set
======================

Audit a data set with flipped labels, and find the flipped rows.

Handwritten digits, 1 against 8, with five flipped labels. Run it as
``python examples/audit_data.py report.html``.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skpoison import audit

N_FLIPPED = 5


def draw(X, y, order, flipped):
    """Draw the ten most suspicious rows, with their labels; red ones were flipped."""
    figure, axes = plt.subplots(2, 5, figsize=(7, 3.2), layout="constrained")
    figure.suptitle("The most suspicious rows, flipped labels in red")
    for ax, row in zip(axes.flat, order, strict=False):
        ax.imshow(X[row].reshape(8, 8), cmap="gray_r")
        color = "tab:red" if row in flipped else "black"
        ax.set_title(f"label {y[row]}", color=color)
        ax.set_axis_off()


def main(path=None):
    X, y = load_digits(return_X_y=True)
    rows = np.isin(y, [1, 8])
    X, y = X[rows] / 16, y[rows]
    flipped = np.random.default_rng(0).permutation(len(y))[:N_FLIPPED]
    y[flipped] = 9 - y[flipped]

    report = audit(
        X, y, percentiles=[70, 90], epsilons=[0.03, 0.1], moving_seconds=0, verbose=1
    )
    print(report)
    order = report.most_suspicious(len(y))
    places = np.sort(np.flatnonzero(np.isin(order, flipped))) + 1
    print(f"ranks of the flipped rows among {len(y)} by suspicion: {places}")
    if path is None:
        draw(X, y, order, flipped)
        plt.show()
    else:
        report.to_html(path, overwrite=True)
    return places


if __name__ == "__main__":
    main(*sys.argv[1:])
