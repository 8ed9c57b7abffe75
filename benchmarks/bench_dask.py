"""Sphere and slab on Parquet files that Dask reads, beside one plain pass over them.

Rows are written first, and deleted afterwards. Each step runs in a process of its own,
which prints its CPU seconds (of all threads), its seconds, and the most memory that it
has had. A plain pass reads the columns and sums them.

    python benchmarks/bench_dask.py --rows 50_000_000 --features 20
"""

import argparse
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


STEPS = {step.__name__: step for step in (plain, fit, mask)}


def run(name, folder, n_threads):
    """Run a step, and print what it took."""
    import dask

    with dask.config.set(scheduler="threads", num_workers=n_threads):
        start, cpu = time.perf_counter(), time.process_time()
        STEPS[name](folder)
        cpu, took = time.process_time() - cpu, time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{name:6} {cpu:8.1f} s CPU {took:8.1f} s {memory:6.2f} GiB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument(
        "--partitions", type=int, default=None, help="500,000 rows each"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help="where to write the files")
    args = parser.parse_args()
    if args.step:
        run(args.step, args.folder, args.threads)
        return
    n_partitions = args.partitions or max(1, args.rows // 500_000)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        write(folder, args.rows, args.features, n_partitions)
        print(f"{args.rows:,} × {args.features}, {n_partitions} files")
        for step in STEPS:
            again = [sys.executable, __file__, "--step", step, "--folder", folder]
            subprocess.run([*again, "--threads", str(args.threads)], check=True)


if __name__ == "__main__":
    main()
