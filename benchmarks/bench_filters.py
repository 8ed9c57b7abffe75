"""Cost of the filters, against what they cannot do without.

    python benchmarks/bench_filters.py [--parts passes shared dense sparse pyod]
                                       [--repeats 5]

- passes: sphere, slab and both on 1,000,000 x 100 float32, against single passes of
  numpy that compute class means and row norms, and two passes that compute class means
  and distances from them; memory beyond X;
- shared: sphere & slab against the two fitted one after the other (MNIST 1-vs-7 where
  the environment variable SKPOISON_DATA names its folder, else noise of that shape);
- dense, sparse: every filter on 200,000 x 50 and on 50,000 x 50,000 with 100 non-zeros
  a row, against its dominant call (products of matrices, a truncated SVD, a search for
  neighbors, the fit of a classifier), and against the whole filter in a few plain lines
  of numpy, scipy and scikit-learn;
- pyod: against PyOD's counterparts (`pip install pyod`).

Cases alternate; medians are compared.
"""

import argparse
import os
import statistics
import time
import tracemalloc
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from skpoison import SlabFilter, SphereFilter
from skpoison.filters import (
    LossFilter,
    MahalanobisFilter,
    NeighborsFilter,
    SeverFilter,
    SpectralFilter,
    SubspaceFilter,
)

CENTROID_FILTERS = {
    "sphere": SphereFilter,
    "slab": SlabFilter,
    "sphere & slab": lambda: SphereFilter() & SlabFilter(),
}
BLOCK_ROWS = 2500
DIRECTIONS = 10
NEIGHBOR_ROWS = {"dense": 20_000, "sparse": 5_000}


def seconds(function, *args):
    """Processor time, which other programs on the machine change least."""
    start = time.process_time()
    function(*args)
    return time.process_time() - start


def medians(cases, repeats):
    """Median seconds of each case, the cases taken in turn."""
    times = {name: [] for name in cases}
    for _ in range(repeats):
        for name, (function, *args) in cases.items():
            times[name].append(seconds(function, *args))
    return {name: statistics.median(taken) for name, taken in times.items()}


def fit(make, X, y):
    return make().fit(X, y)


def fit_and_score(make, X, y):
    return make().fit(X, y).score_samples(X, y)


# --- passes ---------------------------------------------------------------------------


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


def blocked_distances(X, y):
    """Class means, and distances from them: two passes, as the means come first."""
    sums, distances = np.zeros((2, X.shape[1])), np.empty(len(X), dtype=X.dtype)
    blocks = [slice(i, i + BLOCK_ROWS // 2) for i in range(0, len(X), BLOCK_ROWS // 2)]
    for rows in blocks:
        of_class = (np.arange(2)[:, None] == y[rows]).astype(X.dtype)
        sums += of_class @ X[rows]
    means = (sums / np.bincount(y)[:, None]).astype(X.dtype)
    room = np.empty((BLOCK_ROWS // 2, X.shape[1]), dtype=X.dtype)
    for rows in blocks:
        moved = room[: len(X[rows])]
        np.take(means, y[rows], axis=0, out=moved, mode="clip")
        np.subtract(X[rows], moved, out=moved)
        np.einsum("ij,ij->i", moved, moved, out=distances[rows])
    return means, np.sqrt(distances)


def peak_beyond_data(make, X, y):
    """Most memory that numpy holds during fit and score, as a share of X."""
    tracemalloc.start()
    fit_and_score(make, X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / X.nbytes


def bench_passes(repeats):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1_000_000, 100), dtype=np.float32)
    y = rng.integers(0, 2, len(X))
    X[y == 1, 0] += 3
    cases = {
        "plain numpy": (plain_pass, X, y),
        "blocked numpy": (blocked_pass, X, y),
        "blocked numpy, distances": (blocked_distances, X, y),
    }
    for name, make in CENTROID_FILTERS.items():
        cases[f"{name}: fit"] = (fit, make, X, y)
        cases[f"{name}: fit and score"] = (fit_and_score, make, X, y)
    found = medians(cases, repeats)
    plain, blocked, apart = list(found.values())[:3]
    print(f"1,000,000 x 100 float32, medians of {repeats}")
    print(
        f"{'':28} {'seconds':>8} {'/ plain':>8} {'/ blocked':>10} {'/ distances':>12}"
    )
    for name, median in found.items():
        ratios = (
            f"{median / plain:8.2f} {median / blocked:10.2f} {median / apart:12.2f}"
        )
        print(f"{name:28} {median:8.3f} {ratios}")
    print("peak memory beyond X and y, fit and score, as a share of X:")
    for name, make in CENTROID_FILTERS.items():
        print(f"{name:28} {peak_beyond_data(make, X, y):8.3f}")


# --- shared passes --------------------------------------------------------------------


def mnist_or_noise():
    folder = os.environ.get("SKPOISON_DATA")
    if folder and (Path(folder) / "mnist_17.npz").exists():
        with np.load(Path(folder) / "mnist_17.npz") as file:
            return "MNIST 1-vs-7", file["X_train"] / 255.0, file["y_train"]
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 13_007)
    return "noise", rng.random((13_007, 784)) + 0.1 * y[:, None], y


def fit_one_after_the_other(X, y):
    SphereFilter().fit(X, y)
    SlabFilter().fit(X, y)


def bench_shared(repeats):
    name, X, y = mnist_or_noise()
    cases = {
        "sphere": (fit, SphereFilter, X, y),
        "slab": (fit, SlabFilter, X, y),
        "one after the other": (fit_one_after_the_other, X, y),
        "sphere & slab": (fit, CENTROID_FILTERS["sphere & slab"], X, y),
    }
    found = medians(cases, 4 * repeats)
    print(f"{name}, {X.shape[0]} x {X.shape[1]} float64, fit, medians of {4 * repeats}")
    for case, median in found.items():
        ratio = median / found["one after the other"]
        print(f"{case:28} {1e3 * median:8.1f} ms {ratio:8.2f}")


# --- the family: dominant calls, and filters in plain lines ---------------------------


def classes(X, y):
    return [X[np.flatnonzero(y == label)] for label in (0, 1)]


def thresholds(distances, y):
    return [np.percentile(distances[y == label], 70) for label in (0, 1)]


def plain_manhattan(X, y):
    means = np.stack([rows.mean(axis=0) for rows in classes(X, y)])
    distances = np.empty(len(y))
    for label, rows in enumerate(classes(X, y)):
        distances[y == label] = np.abs(rows - means[label]).sum(axis=1)
    return thresholds(distances, y)


def plain_mahalanobis(X, y):
    distances = np.empty(len(y))
    for label, rows in enumerate(classes(X, y)):
        centered = rows - rows.mean(axis=0)
        precision = np.linalg.inv(centered.T @ centered / len(rows))
        squares = np.einsum("ij,ij->i", centered @ precision, centered)
        distances[y == label] = np.sqrt(squares)
    return thresholds(distances, y)


def plain_subspace(X, y):
    _, vectors = np.linalg.eigh(X.T @ X)
    basis = vectors[:, -DIRECTIONS:]
    return thresholds(np.linalg.norm(X - (X @ basis) @ basis.T, axis=1), y)


def plain_spectral(X, y):
    squares = np.empty(len(y))
    for label, rows in enumerate(classes(X, y)):
        centered = rows - rows.mean(axis=0)
        _, vectors = np.linalg.eigh(centered.T @ centered)
        squares[y == label] = (centered @ vectors[:, -1]) ** 2
    return thresholds(squares, y)


def search(parts):
    algorithm = "brute" if sparse.issparse(parts[0]) else "auto"
    for rows in parts:
        NearestNeighbors(n_neighbors=6, algorithm=algorithm).fit(rows).kneighbors(rows)


def scatter(parts):
    return [rows.T @ rows for rows in parts]


def scatter_and_whiten(parts):
    return [rows @ (rows.T @ rows) for rows in parts]


def scatter_and_project(X, basis):
    return X.T @ X, (X @ basis) @ basis.T


def fit_classifiers(X, y, count):
    for _ in range(count):
        LogisticRegression(max_iter=1000).fit(X, y)


def principal_components(parts, count):
    return [PCA(count, svd_solver="arpack", random_state=0).fit(p) for p in parts]


def top_directions(X, count):
    return svds(X, count, return_singular_vectors="vh", rng=0)


def dense_data():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200_000)
    X = rng.normal(size=(len(y), 50)) * np.linspace(0.5, 3, 50) + 0.3 * y[:, None]
    return X, y


def sparse_data():
    """Frequent and rare columns, as in text."""
    rng = np.random.default_rng(0)
    n_rows = n_columns = 50_000
    rare = rng.integers(0, n_columns, (n_rows, 60))
    frequent = (50 * rng.pareto(1, (n_rows, 40))).astype(int) % n_columns
    columns = np.concatenate([rare, frequent], axis=1).ravel()
    entries = rng.random(columns.size), (np.repeat(np.arange(n_rows), 100), columns)
    return sparse.csr_array(entries, (n_rows, n_columns)), rng.integers(0, 2, n_rows)


def few_rows(X, y, kind):
    rows = slice(0, NEIGHBOR_ROWS[kind])
    return X[rows], y[rows]


def dense_cases(X, y):
    """For each filter: itself, its dominant call, and all of it in plain lines."""
    parts, basis = classes(X, y), np.eye(50)[:, :DIRECTIONS]
    few = few_rows(X, y, "dense")
    few_parts = classes(*few)
    return {
        "sphere l1": [
            (fit, lambda: SphereFilter(norm="l1"), X, y),
            None,
            (plain_manhattan, X, y),
        ],
        "mahalanobis": [
            (fit, MahalanobisFilter, X, y),
            (scatter_and_whiten, parts),
            (plain_mahalanobis, X, y),
        ],
        "subspace (10)": [
            (fit, lambda: SubspaceFilter(n_components=DIRECTIONS), X, y),
            (scatter_and_project, X, basis),
            (plain_subspace, X, y),
        ],
        "spectral": [
            (fit, SpectralFilter, X, y),
            (scatter, parts),
            (plain_spectral, X, y),
        ],
        "loss (1 fit)": [
            (fit, lambda: LossFilter(max_iter=1), X, y),
            (fit_classifiers, X, y, 1),
            None,
        ],
        "sever (4 rounds)": [
            (fit, SeverFilter, X, y),
            (fit_classifiers, X, y, 4),
            None,
        ],
        "neighbors (20,000 rows)": [
            (fit, NeighborsFilter, *few),
            (search, few_parts),
            None,
        ],
    }


def sparse_cases(X, y):
    parts, few = classes(X, y), few_rows(X, y, "sparse")
    few_parts = classes(*few)
    return {
        "sphere l1": [(fit, lambda: SphereFilter(norm="l1"), X, y), None, None],
        "mahalanobis (50)": [
            (fit, MahalanobisFilter, X, y),
            (principal_components, [X], 50),
            None,
        ],
        "subspace (10)": [
            (fit, lambda: SubspaceFilter(n_components=DIRECTIONS), X, y),
            (top_directions, X, DIRECTIONS),
            None,
        ],
        "spectral": [
            (fit, SpectralFilter, X, y),
            (principal_components, parts, 1),
            None,
        ],
        "loss (1 fit)": [
            (fit, lambda: LossFilter(max_iter=1), X, y),
            (fit_classifiers, X, y, 1),
            None,
        ],
        "sever (1 round)": [
            (fit, lambda: SeverFilter(n_rounds=1), X, y),
            (fit_classifiers, X, y, 1),
            None,
        ],
        "neighbors (5,000 rows)": [
            (fit, NeighborsFilter, *few),
            (search, few_parts),
            None,
        ],
    }


def bench_family(title, cases, repeats):
    print(f"{title}, fit, medians of {repeats}")
    print(f"{'':28} {'seconds':>8} {'/ dominant call':>16} {'/ plain lines':>14}")
    for name, versions in cases.items():
        named = {i: case for i, case in enumerate(versions) if case is not None}
        found = medians(named, repeats)
        ratios = [f"{found[0] / found[i]:.2f}" if i in found else "-" for i in (1, 2)]
        print(f"{name:28} {found[0]:8.3f} {ratios[0]:>16} {ratios[1]:>14}", flush=True)


def bench_dense(repeats):
    X, y = dense_data()
    bench_family("200,000 x 50 float64", dense_cases(X, y), repeats)


def bench_sparse(repeats):
    X, y = sparse_data()
    repeats = min(repeats, 3)
    bench_family("50,000 x 50,000, 100 non-zeros a row", sparse_cases(X, y), repeats)


# --- PyOD -----------------------------------------------------------------------------


def bench_pyod(repeats):
    from pyod.models.knn import KNN
    from pyod.models.mcd import MCD
    from pyod.models.pca import PCA as PyodPCA

    X, _ = dense_data()
    few = X[: NEIGHBOR_ROWS["dense"]]
    pairs = {
        "neighbors / KNN, 20,000 x 50": (NeighborsFilter, KNN, few),
        "mahalanobis / PCA, 200,000 x 50": (MahalanobisFilter, PyodPCA, X),
        "subspace / PCA, 200,000 x 50": (
            lambda: SubspaceFilter(n_components=DIRECTIONS),
            PyodPCA,
            X,
        ),
        "mahalanobis / MCD, 20,000 x 50": (MahalanobisFilter, MCD, few),
    }
    print(f"against PyOD, one class, fit, medians of {min(repeats, 3)}")
    for name, (ours, theirs, rows) in pairs.items():
        cases = {
            "ours": (fit, ours, rows, None),
            "theirs": (
                fit,
                lambda theirs=theirs: theirs(contamination=0.3),
                rows,
                None,
            ),
        }
        found = medians(cases, min(repeats, 3))
        ratio = found["ours"] / found["theirs"]
        print(f"{name:36} {found['ours']:8.3f} {found['theirs']:8.3f} {ratio:8.3f}")


PARTS = {
    "passes": bench_passes,
    "shared": bench_shared,
    "dense": bench_dense,
    "sparse": bench_sparse,
    "pyod": bench_pyod,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    for part in args.parts:
        PARTS[part](args.repeats)
        print()


if __name__ == "__main__":
    main()
