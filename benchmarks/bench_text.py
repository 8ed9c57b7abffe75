"""Restricted features: the oracle over word counts, and synthetic text.

Run with ``SKPOISON_DATA=folder OMP_NUM_THREADS=1 python benchmarks/bench_text.py``;
name sections (``oracle generator``) to run only those. Both sides of a ratio run
alternately; medians are printed.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cvxpy as cp
import numpy as np
from scipy import sparse

from skpoison import NormConstrainedSVC, SlabFilter, SphereFilter
from skpoison.feasible import RestrictedSet

DATA = Path(os.environ.get("SKPOISON_DATA", "../shared/data"))


def main():
    sections = {
        "oracle": oracle,
        "generator": generator,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", default=list(sections))
    for name in parser.parse_args().sections:
        print(f"\n== {name}")
        sections[name]()


def spam_rows():
    data = np.load(DATA / "spam_assassin_bow.npz")
    parts = (data["train_data"], data["train_indices"], data["train_indptr"])
    X = sparse.csr_matrix(parts, shape=data["train_shape"]).astype(np.float64)
    return X, data["y_train"]


def sphere_and_slab(X, y, percentile=70):
    both = SphereFilter(percentile=percentile) & SlabFilter(percentile=percentile)
    return both.fit(X, y)


def seconds(action):
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def oracle():
    """Times, gaps and bounds at trained weights; 10,372 and 90,000 features."""
    X, y = spam_rows()
    w = NormConstrainedSVC(rho=6**0.5).fit(X, y).coef_.ravel()
    sets = sphere_and_slab(X, y).feasible_set()
    for label, rows in sets:
        against_a_conic_solver(label, rows, -label * w)
    print("gaps, relative to the bound of the linear function alone:")
    for label, rows in sets:
        certified_gaps(label, rows, -label * w)
    X, y = synthetic_reviews()
    w = NormConstrainedSVC(rho=4.0, tol=1e-2).fit(X, y).coef_.ravel()
    for label, rows in sphere_and_slab(X, y).feasible_set():
        many_features(label, rows, -label * w)


def against_a_conic_solver(label, rows, a, repeats=7):
    count, positive = RestrictedSet(rows, "count"), RestrictedSet(rows, "nonnegative")
    start = count.solve(a).multipliers
    solve, problem = conic(rows, a)
    contenders = {
        "integer": lambda: count.solve(a),
        "integer, warm": lambda: count.solve(1.001 * a, start=start),
        "integer, gap 5e-4": lambda: count.solve(a, gap_tol=5e-4),
        "continuous": lambda: positive.solve(a),
        "cvxpy + Clarabel": solve,
    }
    times = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, action in contenders.items():
            times[name].append(seconds(action)[0])
    medians = {name: np.median(taken) for name, taken in times.items()}
    print(f"class {label:+d}, {len(a):,} features")
    for name, median in medians.items():
        ratio = medians["cvxpy + Clarabel"] / median
        least = min(times[name])
        print(
            f"  {name:20} median {1e3 * median:8.2f} ms, least {1e3 * least:8.2f} ms, "
            f"1/{ratio:.0f}"
        )
    value = positive.solve(a).value
    print(f"  continuous maximum {value:.9f}, Clarabel's {problem.value:.9f}")


def conic(rows, a):
    x = cp.Variable(len(a))
    along = rows.direction @ (x - rows.center)
    within = [cp.norm(x - rows.center) <= rows.radius, x >= 0]
    within += [along <= rows.upper, along >= rows.lower]
    problem = cp.Problem(cp.Maximize(a @ x), within)
    problem.solve(solver=cp.CLARABEL)  # compiles
    return lambda: problem.solve(solver=cp.CLARABEL), problem


def certified_gaps(label, rows, a):
    for kind, tolerances in {
        "count": (np.inf, 5e-4, 2e-4),
        "binary": (np.inf, 5e-4, 2e-4),
        "nonnegative": (np.inf,),
    }.items():
        feasible = RestrictedSet(rows, kind)
        for tol in tolerances:
            taken, solution = seconds(lambda f=feasible, t=tol: f.solve(a, gap_tol=t))
            gap = (solution.value - a @ solution.point) / solution.value
            assert feasible.contains([solution.point])[0]
            print(
                f"  class {label:+d} {kind:12} gap_tol {tol:7.0e}: bound "
                f"{solution.value:.6f}, gap {gap:.1e}, {solution.n_evals:4d} "
                f"evaluations, {1e3 * taken:.1f} ms"
            )


def many_features(label, rows, a, repeats=9):
    for kind in ("count", "nonnegative"):
        feasible = RestrictedSet(rows, kind)
        start = feasible.solve(a).multipliers
        cold, warm = [], []
        for _ in range(repeats):
            taken, solution = seconds(lambda f=feasible: f.solve(a))
            cold.append(taken)
            again = (1.001 * a, start)
            warm.append(
                seconds(lambda f=feasible, b=again: f.solve(b[0], start=b[1]))[0]
            )
        gap = (solution.value - a @ solution.point) / solution.value
        print(
            f"{len(a):,} features, class {label:+d} {kind:12} median "
            f"{1e3 * np.median(cold):.1f} ms, least {1e3 * min(cold):.1f} ms (warm "
            f"{1e3 * np.median(warm):.1f}, {1e3 * min(warm):.1f}), gap {gap:.1e}"
        )


def synthetic_reviews(n_rows=25_000, n_features=90_000, seed=0):
    """Word counts of made-up reviews: Zipf-like columns, some leaning to one class.

    Words are drawn from a Zipf-Mandelbrot law; one in a hundred frequent words leans
    clearly to one class, the others hardly. Lengths are log-normal with a median of
    170 words, and words repeat within a text more than by chance (each text redraws a
    fifth of its words from those that it has), as in real reviews.

    Parameters
    ----------
    n_rows, n_features : int
        Numbers of texts and of words.
    seed : int
        Seed of the generator.

    Returns
    -------
    X : csr_matrix of shape (n_rows, n_features), float64
        The counts.
    y : ndarray of shape (n_rows,)
        The labels, -1 and +1.
    """
    rng = np.random.default_rng(seed)
    y = rng.choice([-1, 1], n_rows)
    popularity = 1.0 / (2.7 + np.arange(n_features)) ** 1.05
    lean = 0.1 * rng.normal(size=n_features)
    lean += (rng.random(n_features) < 0.01) * rng.normal(size=n_features)
    lengths = np.maximum(rng.lognormal(np.log(170.0), 0.6, n_rows), 10).astype(int)
    parts = [
        words(
            rng, popularity * np.exp(label * lean), np.flatnonzero(y == label), lengths
        )
        for label in (-1, 1)
    ]
    rows, columns = (np.concatenate(values) for values in zip(*parts, strict=True))
    entries = (np.ones(len(rows)), (rows, columns))
    X = sparse.csr_matrix(entries, shape=(n_rows, n_features))
    X.sum_duplicates()
    return X, y


def words(rng, weights, texts, lengths):
    """Draw the words of some texts; a fifth of them repeat others of their text."""
    heights = np.cumsum(weights / weights.sum())
    rows = np.repeat(texts, lengths[texts])
    columns = np.searchsorted(heights, rng.random(len(rows)) * heights[-1])
    starts = np.cumsum(lengths[texts]) - lengths[texts]
    starts = np.repeat(starts, lengths[texts])
    again = rng.random(len(rows)) < 0.2
    source = starts + (rng.random(len(rows)) * lengths[rows]).astype(int)
    columns[again] = columns[source[again]]
    return rows, columns


def generator():
    """What the synthetic text looks like, and how long it takes to make."""
    print(
        "     rows  features  seconds  stored values  a row  most frequent  test error"
    )
    for n_rows, n_features in ((1_000, 10_000), (5_000, 30_000), (25_000, 90_000)):
        taken, (X, y) = seconds(lambda n=n_rows, d=n_features: synthetic_reviews(n, d))
        half = n_rows // 2
        svc = NormConstrainedSVC(rho=4.0, tol=1e-2).fit(X[:half], y[:half])
        error = np.mean(svc.predict(X[half:]) != y[half:])
        print(
            f"{n_rows:9,d}  {n_features:8,d}  {taken:7.2f}  {X.nnz:13,d}  "
            f"{X.nnz / n_rows:5.0f}  {X.sum(axis=0).max() / X.sum():13.3f}  "
            f"{100 * error:9.1f} %"
        )


if __name__ == "__main__":
    main()
