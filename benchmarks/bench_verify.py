"""Certificate files: their size, and what writing and checking them takes.

Run with ``SKPOISON_DATA=folder OMP_NUM_THREADS=1 python benchmarks/bench_verify.py``;
name sections (``mnist spam imdb moving digits``) to run only those. Seconds are
processor time. Files are checked in a process of their own, which never loads a solver.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from bench_text import spam_rows, synthetic_reviews
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from skpoison import CertifiedBound, SlabFilter, SphereFilter

DATA = Path(os.environ.get("SKPOISON_DATA", "../shared/data"))
CHECK = """
import sys, time
import numpy as np
path, rows = sys.argv[1:]
parts = np.load(rows)
if "indptr" in parts:
    from scipy import sparse
    X = sparse.csr_matrix((parts["data"], parts["indices"], parts["indptr"]))
    X.resize(parts["shape"])
else:
    X = parts["X"]
from skpoison.verify import check
start = time.process_time()
report = check(path, X, parts["y"])
taken = time.process_time() - start
others = [n for n in sys.modules if n.startswith("skpoison.") and ".verify" not in n]
assert others == ["skpoison._lazy"], others
claimed = {claim.name: claim.claimed for claim in report.claims}
print(f"verified={report.verified}, checked in {taken:.2f} s")
print(f"upper {claimed['upper_bound']:.5f}, lower {claimed['lower_bound']:.5f}")
"""


def main():
    sections = {"mnist": mnist, "spam": spam, "imdb": imdb}
    sections |= {"moving": moving, "digits": digits}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", default=list(sections))
    for name in parser.parse_args().sections:
        print(f"\n== {name}")
        sections[name]()


def mnist():
    """13,007 images of 784 pixels, the paper's settings."""
    data = np.load(DATA / "mnist_17.npz")
    X, y = data["X_train"] / 255.0, data["y_train"]
    for epsilon in (0.01, 0.03, 0.3):
        timed(X, y, epsilon=epsilon, rho=0.8**0.5)


def spam():
    """4,090 mails of 10,372 words: whole counts."""
    timed(*spam_rows(), domain="count", rho=6**0.5, tol=1e-2)


def imdb():
    """25,000 made-up reviews of 90,000 words: whole counts."""
    timed(*synthetic_reviews(), domain="count", rho=4.0, tol=1e-2)


def moving():
    """Moving centroids on the 13,007 images."""
    data = np.load(DATA / "mnist_17.npz")
    X, y = data["X_train"] / 255.0, data["y_train"]
    both = SphereFilter(percentile=70) & SlabFilter(percentile=70)
    options = {"defense": "moving_centroids", "filter": both, "tol": 0.05}
    timed(X, y, epsilon=0.03, rho=0.8**0.5, **options)


def digits():
    """1,797 digits of ten classes."""
    X, y = load_digits(return_X_y=True)
    for estimator in (LogisticRegression(), LinearSVC()):
        timed(X / 16.0, y, estimator=estimator, tol=1e-2)


def timed(X, y, **settings):
    """Fit a bound, write its file, check it; print what this takes."""
    bound = CertifiedBound(**settings, random_state=0)
    to_fit, _ = seconds(lambda: bound.fit(X, y))
    with tempfile.TemporaryDirectory() as folder:
        path, rows = Path(folder, "bound.npz"), Path(folder, "rows.npz")
        to_write, _ = seconds(lambda: bound.to_certificate(path))
        save_rows(rows, X, y)
        size = path.stat().st_size / 1e6
        print(f"{X.shape}, {settings}: fitted in {to_fit:.2f} s, ", end="")
        print(f"written in {to_write:.2f} s, {size:.2f} MB", flush=True)
        subprocess.run([sys.executable, "-c", CHECK, path, rows], check=True)


def save_rows(path, X, y):
    """Write rows for the other process."""
    if sparse.issparse(X):
        shape = np.array(X.shape)
        parts = {"data": X.data, "indices": X.indices, "indptr": X.indptr}
        np.savez(path, **parts, shape=shape, y=y)
    else:
        np.savez(path, X=X, y=y)


def seconds(action):
    """Return the processor time of an action, and its result."""
    start = time.process_time()
    result = action()
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
