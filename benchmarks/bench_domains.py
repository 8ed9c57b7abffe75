"""Bounds where the attacker's rows have few values: time and gap, by kind of feature.

    python benchmarks/bench_domains.py [few] [mails]

- few: random problems with two to five features, of each kind of domain. The time is
  relative to the bound for rows of any numbers on the same problem, the two fitted in
  turn; the gap is that of upper and lower bound, relative to the upper one.
- mails: 300 mails of SpamAssassin and their 56 most frequent words, as counts and as 0
  or 1. It needs the folder that the environment variable SKPOISON_DATA names.

Times are processor seconds.
"""

import argparse
import itertools
import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy import sparse

from skpoison import CertifiedBound
from skpoison.feasible import Domain

DATA = Path(os.environ.get("SKPOISON_DATA", "../shared/data"))
N_ROWS, EPSILONS, FEATURES = 200, (0.03, 0.1, 0.3), (2, 3, 4, 5)


def main():
    sections = {"few": few, "mails": mails}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", default=list(sections))
    for name in parser.parse_args().sections:
        print(f"\n== {name}")
        sections[name]()


def binary(rng, y, d):
    return (rng.random((len(y), d)) < 0.3 + 0.3 * (y[:, None] > 0)).astype(float)


def count(rng, y, d):
    return rng.poisson(1.0 + 1.0 * (y[:, None] > 0), (len(y), d)).astype(float)


def mixed(rng, y, d):
    X = rng.normal(size=(len(y), d)) + 0.7 * y[:, None]
    X[:, : d // 2 + d % 2] = binary(rng, y, d // 2 + d % 2)
    return X


def one_hot(rng, y, d):
    shares = 1.0 + np.arange(d)
    chosen = [rng.choice(d, p=(s := shares[::sign]) / s.sum()) for sign in y]
    return np.eye(d)[chosen]


def tfidf(rng, y, d):
    X = rng.gamma(0.5, size=(len(y), d)) * (1.0 + 0.5 * y[:, None] * np.arange(d) / d)
    return X / np.linalg.norm(X, axis=1, keepdims=True)


KINDS = {
    "binary": (binary, lambda d: "binary"),
    "count": (count, lambda d: "count"),
    "mixed": (
        mixed,
        lambda d: Domain(["binary"] * (d // 2 + d % 2) + ["real"] * (d // 2)),
    ),
    "one-hot": (one_hot, lambda d: Domain(groups=[list(range(d))])),
    "tfidf": (tfidf, lambda d: "tfidf"),
}


def problems(seeds=3):
    for seed, d, epsilon in itertools.product(range(seeds), FEATURES, EPSILONS):
        rng = np.random.default_rng(seed)
        y = np.where(rng.random(N_ROWS) < 0.5, -1, 1)
        yield rng, y, d, epsilon


def seconds(bound, X, y):
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bound.fit(X, y)
    return time.process_time() - start


def few():
    """Print ratios of times, and gaps: medians, 90th percentiles and the largest."""
    print(
        "kind      problems   time / real: median  largest   seconds: median  largest"
        "    gap: median  90 %  largest"
    )
    for name, (make, domain) in KINDS.items():
        ratios, taken, gaps = [], [], []
        for rng, y, d, epsilon in problems():
            X = make(rng, y, d)
            options = {"C": 1.0, "random_state": 0}
            real = CertifiedBound(epsilon=epsilon, **options)
            restricted = CertifiedBound(epsilon=epsilon, domain=domain(d), **options)
            unit = seconds(real, X, y)
            taken.append(seconds(restricted, X, y))
            ratios.append(taken[-1] / unit)
            gaps.append(restricted.dual_gap_ / restricted.upper_bound_)
        tenth = np.quantile(gaps, 0.9)
        print(
            f"{name:8}  {len(gaps):8}   {np.median(ratios):19.1f}  {max(ratios):7.1f}"
            f"   {np.median(taken):15.3f}  {max(taken):7.3f}    {np.median(gaps):11.4f}"
            f"  {tenth:.3f}  {max(gaps):.3f}",
            flush=True,
        )


def mails():
    """Print the bound on 300 mails, of 56 words."""
    data = np.load(DATA / "spam_assassin_bow.npz")
    parts = (data["train_data"], data["train_indices"], data["train_indptr"])
    X = sparse.csr_matrix(parts, shape=data["train_shape"]).astype(np.float64)
    rows = np.random.default_rng(0).permutation(X.shape[0])[:300]
    X, y = X[rows], data["train_y" if "train_y" in data else "y_train"][rows]
    words = np.sort(np.argsort(-np.asarray(X.sum(axis=0)).ravel(), kind="stable")[:56])
    X = X[:, words].toarray()
    print("domain   epsilon  seconds     upper     lower     gap")
    for kind, epsilon in itertools.product(("count", "binary"), (0.03, 0.1)):
        values = np.minimum(X, 1.0) if kind == "binary" else X
        bound = CertifiedBound(epsilon=epsilon, C=1.0, domain=kind, random_state=0)
        taken = seconds(bound, values, y)
        gap = bound.dual_gap_ / bound.upper_bound_
        print(
            f"{kind:7}  {epsilon:7g}  {taken:7.2f}  {bound.upper_bound_:.6f}  "
            f"{bound.lower_bound_:.6f}  {gap:.4f}"
        )


if __name__ == "__main__":
    main()
