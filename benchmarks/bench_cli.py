"""What the command line takes, beside imports and beside reading the same file.

    python benchmarks/bench_cli.py [--parts start-up million] [--repeats 5]

- start-up: help, errors of arguments and ``certify`` of scikit-learn's digits, against
  the import of scikit-learn's svm. Modules are compiled before.
- million: a CSV of 1,000,000 rows and 20 columns of numbers is made in a temporary
  folder and read with pandas, read with pyarrow, certified for six values of epsilon,
  and for one.

Processes alternate. Printed are medians of wall time and of processor time, the ratios
of both to the first process named, and peak memory.
"""

import argparse
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
    certify = _skpoison("certify", path, "--quiet")
    return {
        "read: pandas": _python(f"import pandas; pandas.read_csv({path!r})"),
        "read: pyarrow": _python(f"from pyarrow import csv; csv.read_csv({path!r})"),
        "certify: six epsilons": certify,
        "certify: one epsilon": [*certify, "--epsilon", "0.1"],
        "import only": _python("import skpoison._cli.certificate, pyarrow.csv"),
    }


def start_up():
    """Return the processes of start-up, and the codes with which they exit."""
    return {
        "import: sklearn.svm": (_python("import sklearn.svm"), 0),
        "--help": (_skpoison("--help"), 0),
        "certify --help": (_skpoison("certify", "--help"), 0),
        "certify --epsilon x": (_skpoison("certify", "--epsilon", "x"), 2),
        "certify no-such-file": (_skpoison("certify", "no-such-file"), 1),
        "certify": (_skpoison("certify"), 0),
    }


def _python(code):
    return [sys.executable, "-c", code]


def _skpoison(*arguments):
    return [sys.executable, "-m", "skpoison", *arguments]


def measure(command, code=0, **options):
    """Return wall seconds, processor seconds and peak gigabytes of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, **options)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != code:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    # Linux counts kibibytes.
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def bench_start_up(repeats):
    """Time short commands, all of them compiled before."""
    sides = start_up()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        runs = {name: [] for name in sides}
        for repeat in range(repeats + 1):
            for name, side in sides.items():
                measured = measure(*side, env=environment, **quiet)
                if repeat:  # the first compiles
                    runs[name].append(measured)
    print(f"Start-up, {repeats} rounds")
    report(runs, "import: sklearn.svm")


def bench_million(repeats):
    """Time a large file."""
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
    report(runs, "read: pandas")
    peak = max(peak for _, _, peak in runs["certify: six epsilons"])
    verdict = "below" if peak < MEMORY_LIMIT_GB else "NOT below"
    print(f"largest peak {peak:.2f} GB, {verdict} {MEMORY_LIMIT_GB:g} GB")


def report(runs, unit):
    medians = {
        name: [statistics.median(column) for column in zip(*values, strict=True)]
        for name, values in runs.items()
    }
    unit_wall, unit_cpu, _ = medians[unit]
    print(f"{'':24}{'wall s':>8}{'cpu s':>8}{'wall /':>8}{'cpu /':>8}{'peak GB':>9}")
    for name, (wall, cpu, peak) in medians.items():
        ratios = f"{wall / unit_wall:8.2f}{cpu / unit_cpu:8.2f}"
        print(f"{name:24}{wall:8.2f}{cpu:8.2f}{ratios}{peak:9.2f}")


PARTS = {"start-up": bench_start_up, "million": bench_million}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    for part in args.parts:
        PARTS[part](args.repeats)


if __name__ == "__main__":
    main()
