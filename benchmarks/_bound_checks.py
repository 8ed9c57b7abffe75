"""What the benchmarks of CertifiedBound(estimator=…) share: sections and checks."""

import argparse
import time
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skpoison import CertifiedBound, SlabFilter, SphereFilter

ROUNDS, PROBLEMS, TRIES = 3, 300, 10_000


def run_sections(sections, description):
    """Run the sections named on the command line, by default all."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("sections", nargs="*", default=list(sections))
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name in parser.parse_args().sections:
        print(f"\n== {name}", flush=True)
        sections[name]()


def sphere_and_slab(percentile):
    return SphereFilter(percentile) & SlabFilter(percentile)


def compare(X, y, estimators):
    """Print the bound's time beside the same estimator's, both the median of a few."""
    for estimator in estimators:
        bound = CertifiedBound(
            epsilon=0.03, estimator=estimator, tol=1e-4, random_state=0
        )
        times = np.array(
            [
                [
                    seconds(lambda e=estimator: clone(e).fit(X, y))
                    for _ in range(ROUNDS)
                ],
                [seconds(lambda b=bound: b.fit(X, y)) for _ in range(ROUNDS)],
            ]
        )
        fit, own = np.median(times, axis=1)
        print(
            f"{estimator!s:62} fit {fit:.2f} s, bound {own:.2f} s = {own / fit:4.1f} "
            f"fits, gap {bound.dual_gap_ / bound.upper_bound_:.0e} of "
            f"{bound.upper_bound_:.5f}"
        )


def seconds(action):
    start = time.process_time()
    action()
    return time.process_time() - start


def report_distances(estimator, found, fewest=286):
    """Print how far bounds are from a conic solver's; NaN where it gave up."""
    found = np.array(found)
    worst, n_solved = np.nanmax(found), np.sum(np.isfinite(found))
    text = f"{estimator!s:62} {n_solved} problems, farthest {worst:.1e}"
    print(text, flush=True)
    assert worst < 1e-5
    assert n_solved >= fewest


def attack_with(learners, ratios, spare=1e-7):
    """Attack learners in turn; no loss, as a share of its bound, may be above 1."""
    n_tries, closest, n_above = 0, -np.inf, 0
    while n_tries < TRIES:
        learner = learners[n_tries % len(learners)]
        for ratio in ratios(learner, n_tries):
            n_tries, closest = n_tries + 1, max(closest, ratio)
            n_above += ratio > 1.0 + spare
    print(f"{n_tries} tries, largest loss {closest:.6f} of its bound, above: {n_above}")
    assert n_above == 0
