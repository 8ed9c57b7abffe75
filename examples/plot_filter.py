"""What a filter keeps, and where the attack hides
===============================================

Plot the rows that a filter keeps, and the worst attack that passes it.

Plots handwritten digits, 1 and 8, with the sphere and the slab of each class, and the
most harmful attack that passes the filter. Run it as
``python examples/plot_filter.py filter.png``.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skpoison import CertifiedBound
from skpoison.inspection import FilterDisplay


def main(path=None):
    X, y = load_digits(return_X_y=True)
    rows = np.isin(y, [1, 8])
    X, y = X[rows] / 16, y[rows]

    bound = CertifiedBound(epsilon=0.3, rho=2.0, random_state=0).fit(X, y)
    attack = bound.attack_
    X_all = np.vstack([X, np.repeat(attack.X, attack.n_copies, axis=0)])
    y_all = np.concatenate([y, np.repeat(attack.y, attack.n_copies)])
    is_poison = np.arange(len(y_all)) >= len(y)

    figure, ax = plt.subplots(figsize=(4.5, 3.8), layout="constrained")
    FilterDisplay.from_estimator(
        bound.filter_, X_all, y_all, poison_mask=is_poison, ax=ax
    )
    if path is None:
        plt.show()
    else:
        figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:])
