"""Filters and bounds on Parquet files that Dask reads, beside one plain pass over them.

Rows are written first, and deleted afterwards. Each step runs in a process of its own,
with the environment that Dask gives its workers, and prints its CPU seconds (of all
threads), how many plain passes that is, its seconds, and the most memory that it has
had. A plain pass reads the columns and sums them; it runs before and after the others.
Bounds print both values, and how often they have looked at all rows after the filter
was fitted.

    python benchmarks/bench_dask.py --rows 50_000_000 --features 20

With --workers, it compares clusters of so many workers, each a process with one thread:
the same steps in turn, several times, and the ratio of the medians of their seconds.

    python benchmarks/bench_dask.py --rows 10_000_000 --workers 1 2 --steps fit hinge

With --tasks, it measures instead what partitions cost that have next to no rows: in a
thread, and in the process of client and scheduler, whose work no worker shares.

    python benchmarks/bench_dask.py --tasks 1_000 10_000
"""

import argparse
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def write(folder, n_rows, n_features, n_partitions):
    import pyarrow as pa
    import pyarrow.parquet as pq

    sizes = np.diff(np.linspace(0, n_rows, n_partitions + 1).astype(int))
    for i, size in enumerate(sizes):
        rng = np.random.default_rng(i)
        labels = rng.integers(0, 2, size, dtype=np.int8)
        X = rng.standard_normal((size, n_features), dtype=np.float32)
        X[:, 0] += 3 * labels
        columns = {f"x{j}": X[:, j] for j in range(n_features)}
        table = pa.table(columns | {"label": labels})
        pq.write_table(table, Path(folder) / f"{i:05}.parquet")


def read(folder):
    import dask.dataframe as dd

    rows = dd.read_parquet(folder)
    return rows[[name for name in rows.columns if name != "label"]], rows["label"]


def plain(folder):
    X, y = read(folder)
    return X.sum().compute(), y.sum().compute()


def fit(folder):
    from skpoison import SlabFilter, SphereFilter

    X, y = read(folder)
    return (SphereFilter(percentile=70) & SlabFilter(percentile=70)).fit(X, y)


def mask(folder):
    """Fit, and one more pass that computes which rows are kept."""
    return fit(folder).inlier_mask_.sum().compute()


def mahalanobis(folder):
    from skpoison.filters import MahalanobisFilter

    return MahalanobisFilter(percentile=70).fit(*read(folder))


def hinge(folder):
    return bound_of(folder, C=1.0)


def logistic(folder):
    from sklearn.linear_model import LogisticRegression

    return bound_of(folder, estimator=LogisticRegression())


def bound_of(folder, **learner):
    from skpoison import CertifiedBound

    bound = CertifiedBound(epsilon=0.03, tol=1e-3, random_state=0, **learner)
    bound.fit(*read(folder))
    print(
        f"       {bound.lower_bound_:.6f} to {bound.upper_bound_:.6f}, "
        f"{len(bound.history_)} looks, {bound.n_iter_} steps"
    )
    return bound


STEPS = {
    step.__name__: step for step in (plain, fit, mask, mahalanobis, hinge, logistic)
}


def run(name, folder, n_threads, unit):
    """Run a step, and print what it took; return its CPU seconds."""
    import dask

    with dask.config.set(scheduler="threads", num_workers=n_threads):
        start, cpu = time.perf_counter(), time.process_time()
        STEPS[name](folder)
        cpu, took = time.process_time() - cpu, time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    passes = f"{cpu / unit:6.2f} passes" if unit else 13 * " "
    print(
        f"{name:11} {cpu:8.1f} s CPU {passes} {took:8.1f} s {memory:6.2f} GiB",
        flush=True,
    )
    Path(folder, "_cpu").write_text(str(cpu))


def worker_environment():
    """Variables by which Dask's workers give memory back, and have one thread each."""
    import dask
    import distributed  # noqa: F401  (which has defaults)

    given = dask.config.get("distributed.nanny.pre-spawn-environ")
    return os.environ | {name: str(value) for name, value in given.items()}


def cluster_of(n_workers):
    from distributed import LocalCluster

    from skpoison._dask._cluster import ANY_PORT

    return LocalCluster(n_workers=n_workers, threads_per_worker=1, **ANY_PORT)


def time_tasks(numbers):
    """Print what each partition costs, beyond its rows."""
    import dask
    from distributed import Client

    def timed(n_partitions):
        with tempfile.TemporaryDirectory() as folder:
            write(folder, 50 * n_partitions, 20, n_partitions)
            start = time.process_time()
            fit(folder)
            return 1e3 * (time.process_time() - start) / n_partitions

    timed(2)  # imports
    with dask.config.set(scheduler="threads", num_workers=1):
        alone = {n_partitions: timed(n_partitions) for n_partitions in numbers}
    with cluster_of(1) as cluster, Client(cluster):
        timed(2)
        for n_partitions in numbers:
            print(
                f"{n_partitions:7,} partitions, CPU ms for each: "
                f"{alone[n_partitions]:.2f} in a thread, "
                f"{timed(n_partitions):.2f} in client and scheduler",
                flush=True,
            )


def compare_workers(numbers, steps, folder, repeats):
    """Print the seconds of steps with so many workers, and their ratios."""
    from distributed import Client

    with contextlib.ExitStack() as opened:
        clients = {}
        for n_workers in numbers:
            cluster = opened.enter_context(cluster_of(n_workers))
            client = Client(cluster, set_as_default=False)
            clients[n_workers] = opened.enter_context(client)
        for step in steps:
            seconds = {n_workers: [] for n_workers in numbers}
            for turn in range(repeats + 1):
                for n_workers, client in clients.items():
                    with client.as_current():
                        start = time.perf_counter()
                        STEPS[step](folder)
                        took = time.perf_counter() - start
                    if turn:  # the first one imports
                        seconds[n_workers].append(took)
            medians = {n: float(np.median(times)) for n, times in seconds.items()}
            shown = ", ".join(f"{n}: {one:.2f} s" for n, one in medians.items())
            ratios = [medians[numbers[0]] / medians[n] for n in numbers[1:]]
            print(
                f"{step:11} workers {shown}; ratio "
                + ", ".join(f"{ratio:.2f}" for ratio in ratios),
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument(
        "--partitions", type=int, default=None, help="500,000 rows each"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--steps", choices=STEPS, nargs="+", default=list(STEPS), metavar="STEP"
    )
    parser.add_argument("--workers", type=int, nargs="+", metavar="WORKERS")
    parser.add_argument("--repeats", type=int, default=5, help="with --workers")
    parser.add_argument("--tasks", type=int, nargs="+", metavar="PARTITIONS")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--unit", type=float, default=0.0, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help="where to write the files")
    args = parser.parse_args()
    if args.step:
        run(args.step, args.folder, args.threads, args.unit)
        return
    if args.tasks:
        time_tasks(args.tasks)
        return
    n_partitions = args.partitions or max(1, args.rows // 500_000)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        write(folder, args.rows, args.features, n_partitions)
        print(f"{args.rows:,} × {args.features}, {n_partitions} files")
        if args.workers:
            compare_workers(args.workers, args.steps, folder, args.repeats)
            return
        unit = 0.0
        for step in ["plain", *(one for one in args.steps if one != "plain"), "plain"]:
            again = [sys.executable, __file__, "--step", step, "--folder", folder]
            again += ["--threads", str(args.threads), "--unit", str(unit)]
            subprocess.run(again, check=True, env=worker_environment())
            unit = unit or float(Path(folder, "_cpu").read_text())


if __name__ == "__main__":
    main()
