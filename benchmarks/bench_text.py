"""Restricted features: the oracle over word counts, and bounds on text.

Run with ``SKPOISON_DATA=folder OMP_NUM_THREADS=1 python benchmarks/bench_text.py``;
name sections (``oracle generator``) to run only those. Both sides of a ratio run
alternately; medians are printed.
"""

import argparse
import os
import resource
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cvxpy as cp
import numpy as np
from scipy import sparse

from skpoison import CertifiedBound, NormConstrainedSVC, SlabFilter, SphereFilter
from skpoison.feasible import RestrictedSet

DATA = Path(os.environ.get("SKPOISON_DATA", "../shared/data"))


def main():
    sections = {
        "oracle": oracle,
        "generator": generator,
        "spam": spam,
        "imdb": imdb,
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


def spam():
    """The bound on real e-mails, its gap over time, and what its attack does."""
    X, y = spam_rows()
    data = np.load(DATA / "spam_assassin_bow.npz")
    parts = (data["test_data"], data["test_indices"], data["test_indptr"])
    X_test = sparse.csr_matrix(parts, shape=data["test_shape"])
    clean = NormConstrainedSVC(rho=6**0.5).fit(X, y)
    both = sphere_and_slab(X, y)
    kept = both.inlier_mask_
    filtered = NormConstrainedSVC(rho=6**0.5).fit(X[kept], y[kept])
    print_errors("trained on clean mails", clean, X_test, data["y_test"])
    print(f"the filter keeps {100 * kept.mean():.0f} % of them;")
    print_errors("trained on these", filtered, X_test, data["y_test"])
    for domain in ("nonnegative", "count"):
        bound = timed_bound(X, y, domain, rho=6**0.5)
        bound.coef_, bound.intercept_ = bound.poisoned_coef_, bound.poisoned_intercept_
        print_errors("trained on the attack", bound, X_test, data["y_test"])
        attack = bound.attack_
        passing = passes_a_filter_written_out(X, y, attack.X, attack.y)
        print(f"  {passing.sum()} of {len(passing)} rows pass an independent filter")


def print_errors(name, model, X, y):
    wrong = model.predict(X) != y
    print(
        f"  {name}: test error {100 * wrong.mean():.2f} %, missed spam "
        f"{100 * wrong[y == 1].mean():.1f} %, false alarms "
        f"{100 * wrong[y == -1].mean():.1f} %"
    )


def timed_bound(X, y, domain, rho, tol=1e-2, shown=12):
    """Fit a bound; print how bounds and gap went with time."""
    bound = CertifiedBound(
        sphere_and_slab(X, y), 0.03, rho=rho, domain=domain, tol=tol, random_state=0
    )
    watch = Watch()
    taken, _ = seconds(lambda: bound.set_callbacks(watch).fit(X, y))
    print(f"{domain}, {X.shape[0]:,} x {X.shape[1]:,}")
    print("  seconds  processor  steps    upper    lower      gap")
    least, most = np.inf, 0.0
    for i, (wall, cpu, entry) in enumerate(watch.entries):
        least = min(least, entry["upper_bound"])
        most = max(most, entry["lower_bound"])
        n_entries = len(watch.entries)
        if i % -(-n_entries // shown) == 0 or i == n_entries - 1:
            print(
                f"  {wall:7.1f}  {cpu:9.1f}  {entry['n_iter']:5d}  {least:.5f}  "
                f"{most:.5f}  {100 * (1 - most / least):5.1f} %"
            )
    cpu = time.process_time() - watch.begin[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"  upper {bound.upper_bound_:.4f}, lower {bound.lower_bound_:.4f} (rows that "
        f"can be sent), attack {bound.attack_loss_:.4f} with "
        f"{bound.attack_.n_copies.sum()} rows; {taken:.1f} s, {cpu:.1f} s of processor "
        f"time with the attack, peak {peak:.2f} GB"
    )
    return bound


class Watch:
    """Callback that notes when the solver reports."""

    def setup(self, estimator, context):
        """Start the clocks."""
        self.begin, self.entries = (time.perf_counter(), time.process_time()), []

    def on_fit_task_begin(self, estimator, context):
        """Do nothing: checks are noted when they end."""

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        """Note the bounds and the time."""
        if context.task_name == "check":
            wall, cpu = time.perf_counter(), time.process_time()
            self.entries.append((wall - self.begin[0], cpu - self.begin[1], metadata))

    def teardown(self, estimator, context):
        """Do nothing."""


def passes_a_filter_written_out(X, y, rows, labels, percentile=70):
    """Say which rows lie in sphere and slab at a percentile, without the package."""
    means = {label: np.asarray(X[y == label].mean(axis=0)).ravel() for label in (-1, 1)}
    axis = means[1] - means[-1]
    axis /= np.linalg.norm(axis)
    passing = np.zeros(len(labels), dtype=bool)
    for label, mean in means.items():
        away, along = from_the_mean(X[y == label], mean, axis)
        radius, width = (
            np.percentile(away, percentile),
            np.percentile(along, percentile),
        )
        away, along = from_the_mean(rows[labels == label], mean, axis)
        passing[labels == label] = (away <= radius + 1e-9) & (along <= width + 1e-9)
    return passing


def from_the_mean(X, mean, axis):
    squares = np.asarray(X.multiply(X).sum(axis=1)).ravel() - 2 * (X @ mean)
    away = np.sqrt(np.maximum(squares + mean @ mean, 0.0))
    return away, np.abs(X @ axis - mean @ axis)


def imdb():
    """How bound, gap and time grow with the numbers of texts and words."""
    for n_rows, n_features in ((2_000, 10_000), (7_000, 30_000), (25_000, 90_000)):
        X, y = synthetic_reviews(n_rows, n_features)
        timed_bound(X, y, "count", rho=4.0, shown=6)


if __name__ == "__main__":
    main()
