"""How time and memory of estimators grow with rows and features.

    python benchmarks/bench_growth.py [--limit 10] [--only NAME ...] [--out FILE]

Two classes of Gaussian rows, with a tenth of the second class's rows labeled wrong:

- rows: 10^3 to 10^6 rows of 20 features;
- features: 2,000 rows of 10 to 10^4 features;
- sparse: 10^3 to 10^5 rows of 10,000 features, 50 of which are stored.

Each fit runs in a process of its own and may take `limit` processor seconds; larger
sizes of the same estimator are then left out. Printed are processor seconds, the
exponent of the growth between the last two sizes that are large enough to be timed, and
the memory that the largest fit took beyond the data, relative to it. With `--out` the
tables are written to a page of the documentation, below its last heading.
"""

import argparse
import multiprocessing
import os
import resource
import signal
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skpoison import (
    AutoFilter,
    CertifiedBound,
    DropOutliers,
    EPICFilter,
    FilteredClassifier,
    NormConstrainedSVC,
    PartitionedClassifier,
    PoisonedClassifier,
    SlabFilter,
    SphereFilter,
    filters,
)
from skpoison.attacks import GradientAttack, KKTAttack, LabelFlipAttack, MinMaxAttack

SIZES = {
    "rows": [(n, 20, None) for n in (1_000, 10_000, 100_000, 1_000_000)],
    "features": [(2_000, d, None) for d in (10, 100, 1_000, 10_000)],
    "sparse": [(n, 10_000, 50) for n in (1_000, 10_000, 100_000)],
}
MARK = "## Tables"
# Shorter fits say little about growth.
TIMED = 0.05


def both():
    return SphereFilter(percentile=70) & SlabFilter(percentile=70)


ESTIMATORS = {
    "SphereFilter": SphereFilter,
    "SlabFilter": SlabFilter,
    "SphereFilter & SlabFilter": both,
    "MahalanobisFilter": filters.MahalanobisFilter,
    "SubspaceFilter": filters.SubspaceFilter,
    "SpectralFilter": filters.SpectralFilter,
    "NeighborsFilter": filters.NeighborsFilter,
    "NearCopyFilter": filters.NearCopyFilter,
    "ActivationClusteringFilter": filters.ActivationClusteringFilter,
    "LossFilter": filters.LossFilter,
    "SeverFilter": filters.SeverFilter,
    "CrossFitFilter": filters.CrossFitFilter,
    "EPICFilter": lambda: EPICFilter(LogisticRegression()),
    "AutoFilter": AutoFilter,
    "FilteredClassifier": lambda: FilteredClassifier(both(), LogisticRegression()),
    "DropOutliers": lambda: DropOutliers(both()),
    "NormConstrainedSVC": NormConstrainedSVC,
    "CertifiedBound, C = 1": lambda: CertifiedBound(epsilon=0.03, C=1.0),
    "CertifiedBound, rho = 1": lambda: CertifiedBound(epsilon=0.03, rho=1.0),
    "CertifiedBound, logistic": lambda: CertifiedBound(
        epsilon=0.03, estimator=LogisticRegression()
    ),
    "PartitionedClassifier, 50 parts": lambda: PartitionedClassifier(GaussianNB(), 50),
    "LabelFlipAttack": lambda: LabelFlipAttack(0.03, filter=both()),
    "MinMaxAttack": lambda: MinMaxAttack(0.03, filter=both()),
    "GradientAttack": lambda: GradientAttack(0.03, filter=both()),
    "KKTAttack": lambda: KKTAttack(0.03, filter=both()),
    "PoisonedClassifier": lambda: PoisonedClassifier(
        LabelFlipAttack(0.03), FilteredClassifier(both(), LogisticRegression())
    ),
}


def make_rows(n_rows, n_features, stored, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n_rows)
    wrong = (y == 1) & (rng.random(n_rows) < 0.1)
    if stored is None:
        X = rng.normal(size=(n_rows, n_features))
        X += (2.0 / np.sqrt(n_features)) * (2 * y - 1)[:, np.newaxis]
        return X, np.where(wrong, 0, y)
    # Columns as frequent as words are, half of them leaning to one of the classes.
    columns = (n_features * rng.random((n_rows, stored)) ** 3).astype(np.int64)
    columns -= (columns + y[:, np.newaxis]) % 2 * (rng.random(columns.shape) < 0.3)
    columns = np.maximum(columns, 0)
    entries = (
        np.ones(columns.size),
        (np.repeat(np.arange(n_rows), stored), columns.ravel()),
    )
    X = sparse.csr_array(entries, shape=(n_rows, n_features))
    X.sum_duplicates()
    return X, np.where(wrong, 0, y)


def size_of(X):
    if sparse.issparse(X):
        return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    return X.nbytes


def fit(make, X, y, pipe, limit):
    """Fit in this process and send seconds and bytes; too many seconds end it."""
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    signal.signal(signal.SIGXCPU, lambda *_: os._exit(9))
    warnings.simplefilter("ignore")
    sys.stderr = open(os.devnull, "w")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    estimator = make()
    try:
        if hasattr(estimator, "fit_resample") and not hasattr(estimator, "transform"):
            estimator.fit_resample(X, y)
        else:
            estimator.fit(X, y)
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    taken = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send((taken, 1024 * (peak - before)))


def measured(make, X, y, limit):
    """Return seconds and bytes of a fit; a text where there is none."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=fit, args=(make, X, y, theirs, limit)
    )
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        return f"> {limit} s"
    finally:
        process.join()


def exponent(sizes, times):
    """The growth between the last two sizes; None where fits are too short."""
    pairs = [(s, t) for s, t in zip(sizes, times, strict=False) if t >= TIMED]
    if len(pairs) < 2:
        return None
    (size, taken), (larger, longer) = pairs[-2:]
    return float(np.log(longer / taken) / np.log(larger / size))


def table(title, sizes, names, limit):
    """Measure and print a table; return its lines in Markdown."""
    axis = 1 if len({size[0] for size in sizes}) == 1 else 0
    heads = " | ".join(f"{size[axis]:,}" for size in sizes)
    lines = [
        f"| {title} | {heads} | exponent | memory / data |",
        "|" + "---|" * (len(sizes) + 3),
    ]
    print("\n".join(lines), flush=True)
    data = {size: make_rows(*size) for size in sizes}
    for name in names:
        times, cells, share = row(name, data, limit)
        grown = exponent([size[axis] for size in sizes], times)
        cells += ["" if grown is None else f"{grown:.1f}"]
        cells += ["" if share is None else f"{share:.1f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def row(name, data, limit):
    """Measure one estimator, up to the first size that fails or takes too long."""
    times, cells, share = [], [], None
    for size, (X, y) in data.items():
        found = measured(ESTIMATORS[name], X, y, limit)
        if isinstance(found, str):
            cells.append(found if found.startswith(">") else "-")
            print(f"{name}, {size}: {found[:150]}", file=sys.stderr)
            break
        times.append(found[0])
        cells.append(f"{found[0]:.3g}")
        share = found[1] / size_of(X)
    return times, cells + [""] * (len(data) - len(cells)), share


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument(
        "--only", nargs="+", choices=ESTIMATORS, default=list(ESTIMATORS)
    )
    parser.add_argument("--tables", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--out")
    args = parser.parse_args()
    found = [table(name, SIZES[name], args.only, args.limit) for name in args.tables]
    if args.out:
        page = Path(args.out)
        text = page.read_text().partition(MARK)[0]
        tables = "\n\n".join("\n".join(lines) for lines in found)
        page.write_text(f"{text}{MARK}\n\n{tables}\n")


if __name__ == "__main__":
    main()
