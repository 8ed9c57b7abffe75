"""Cost of the filters on 1,000,000 x 100 float32, against single passes of numpy.

Two passes that compute class means and row norms serve as measures: the one that
people write (boolean masks, einsum over everything), and one in blocks that stay in
the cache, which is about as fast as numpy goes. Cases alternate; medians are compared.

    python benchmarks/bench_filters.py [--rows 1000000] [--features 100] [--repeats 5]
"""

import argparse
import statistics
import time
import tracemalloc

import numpy as np

from skpoison import SlabFilter, SphereFilter

FILTERS = {
    "sphere": SphereFilter,
    "slab": SlabFilter,
    "sphere & slab": lambda: SphereFilter() & SlabFilter(),
}
BLOCK_ROWS = 2500


def make_data(rows, features):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, features), dtype=np.float32)
    y = rng.integers(0, 2, rows)
    X[y == 1, 0] += 3
    return X, y


def plain_pass(X, y):
    means = np.stack([X[y == label].mean(axis=0) for label in (0, 1)])
    return means, np.sqrt(np.einsum("ij,ij->i", X, X))


def blocked_pass(X, y):
    sums = np.zeros((2, X.shape[1]))
    squares = np.empty(len(X), dtype=X.dtype)
    for start in range(0, len(X), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        of_class = (np.arange(2)[:, None] == y[rows]).astype(X.dtype)
        sums += of_class @ X[rows]
        np.einsum("ij,ij->i", X[rows], X[rows], out=squares[rows])
    return sums / np.bincount(y)[:, None], np.sqrt(squares)


def fit(make, X, y):
    return make().fit(X, y)


def fit_and_score(make, X, y):
    return make().fit(X, y).score_samples(X, y)


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def measure(X, y, repeats):
    cases = {"plain numpy": (plain_pass, X, y), "blocked numpy": (blocked_pass, X, y)}
    for name, make in FILTERS.items():
        cases[f"{name}: fit"] = (fit, make, X, y)
        cases[f"{name}: fit and score"] = (fit_and_score, make, X, y)
    times = {name: [] for name in cases}
    for _ in range(repeats):
        for name, case in cases.items():
            times[name].append(seconds(*case))
    return {name: statistics.median(taken) for name, taken in times.items()}


def peak_beyond_data(make, X, y):
    """Most memory that numpy holds during fit and score, as a share of X."""
    tracemalloc.start()
    fit_and_score(make, X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / X.nbytes


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    X, y = make_data(args.rows, args.features)
    medians = measure(X, y, args.repeats)
    plain, blocked = medians["plain numpy"], medians["blocked numpy"]
    print(f"{args.rows} x {args.features} float32, medians of {args.repeats}")
    print(f"{'':28} {'seconds':>8} {'/ plain':>8} {'/ blocked':>10}")
    for name, median in medians.items():
        ratios = f"{median / plain:8.2f} {median / blocked:10.2f}"
        print(f"{name:28} {median:8.3f} {ratios}")
    print("peak memory beyond X and y, fit and score, as a share of X:")
    for name, make in FILTERS.items():
        print(f"{name:28} {peak_beyond_data(make, X, y):8.3f}")


if __name__ == "__main__":
    main()
