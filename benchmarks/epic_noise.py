"""EPIC against what it is not made for: flipped labels."""

import numpy as np
from epic_data import mnist

from skpoison.filters import EPICFilter

N_ROWS, SHARE = 2500, 0.2


def flipped(y, rng):
    """Give some rows another label, drawn evenly; return the labels and which rows."""
    wrong = rng.permutation(len(y))[: int(SHARE * len(y))]
    labels = y.copy()
    labels[wrong] = (y[wrong] + rng.integers(1, 10, len(wrong))) % 10
    return labels, np.isin(np.arange(len(y)), wrong)


def bench_noise(n_draws=5):
    print(
        f"Flipped labels: {SHARE:.0%} of {N_ROWS} images of MNIST, EPIC at 20 %, "
        f"means over {n_draws} draws; a random choice has a precision of {SHARE:.2f}"
    )
    X, y, _, _ = mnist()
    found = []
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(X))[:N_ROWS]
        labels, wrong = flipped(y[rows], rng)
        filter_ = EPICFilter(medoid_fraction=0.2, random_state=seed)
        dropped = ~filter_.fit(X[rows], labels).inlier_mask_
        hits = np.sum(dropped & wrong)
        found.append([hits / dropped.sum(), hits / wrong.sum(), dropped.mean()])
    precision, recall, share = np.mean(found, axis=0)
    print(f"precision {precision:.2f}, recall {recall:.2f}, rows dropped {share:.2f}")
