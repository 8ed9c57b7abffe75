"""What ``skpoison certify`` takes beside reading the same file.

A CSV of 1,000,000 rows and 20 columns of numbers is made in a temporary folder. Then
processes alternate: one that reads it with pandas, one that reads it with pyarrow, one
that certifies six values of epsilon, one that certifies one. Printed are medians of
wall time and of processor time, the ratios of wall time to reading with pandas, and
peak memory.

Run it as ``python benchmarks/bench_cli.py [repeats]``.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

N_ROWS, N_COLUMNS, SHIFT = 1_000_000, 20, 0.6
MEMORY_LIMIT_GB = 2.0


def make_csv(path, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, N_ROWS)
    columns = {
        f"x{j}": np.round(rng.normal(size=N_ROWS) + SHIFT * labels, 6)
        for j in range(N_COLUMNS)
    }
    csv.write_csv(pa.table({**columns, "label": labels}), path)


def commands(path):
    certify = [sys.executable, "-m", "skpoison", "certify", path, "--quiet"]
    return {
        "read: pandas": _python(f"import pandas; pandas.read_csv({path!r})"),
        "read: pyarrow": _python(f"from pyarrow import csv; csv.read_csv({path!r})"),
        "certify: six epsilons": certify,
        "certify: one epsilon": [*certify, "--epsilon", "0.1"],
        "import only": _python("import skpoison._cli.certificate, pyarrow.csv"),
    }


def _python(code):
    return [sys.executable, "-c", code]


def measure(command):
    """Return wall seconds, processor seconds and peak gigabytes of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    # Linux counts kibibytes.
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def main(repeats=5):
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "rows.csv")
        make_csv(path)
        size = Path(path).stat().st_size / 1e6
        print(f"{N_ROWS:,} rows, {N_COLUMNS} columns, {size:.0f} MB, {repeats} rounds")
        sides = commands(path)
        runs = {name: [] for name in sides}
        for _ in range(repeats):
            for name, command in sides.items():
                runs[name].append(measure(command))
    report(runs)


def report(runs):
    medians = {
        name: [statistics.median(column) for column in zip(*values, strict=True)]
        for name, values in runs.items()
    }
    reading = medians["read: pandas"][0]
    print(f"{'':24}{'wall s':>8}{'cpu s':>8}{'ratio':>8}{'peak GB':>9}")
    for name, (wall, cpu, peak) in medians.items():
        print(f"{name:24}{wall:8.2f}{cpu:8.2f}{wall / reading:8.2f}{peak:9.2f}")
    peak = max(peak for _, _, peak in runs["certify: six epsilons"])
    verdict = "below" if peak < MEMORY_LIMIT_GB else "NOT below"
    print(f"largest peak {peak:.2f} GB, {verdict} {MEMORY_LIMIT_GB:g} GB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
