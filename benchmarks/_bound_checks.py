"""What the benchmarks of CertifiedBound(estimator=…) share: sections and checks."""

import argparse
import time
import warnings
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skpoison import CertifiedBound, SlabFilter, SphereFilter

ROUNDS, PROBLEMS, TRIES = 3, 300, 10_000


class Part(NamedTuple):
    """One of several runs that do what one whole run does.

    `problems` small problems are solved as conic programs, too.
    """

    place: int
    of: int
    problems: int = PROBLEMS

    @classmethod
    def read(cls, text):
        """Read a part such as ``2/5``."""
        place, of = (int(number) for number in text.split("/"))
        if not 1 <= place <= of:
            raise ValueError
        return cls(place - 1, of)

    def take(self, items):
        """Return every so-manieth of some learners or settings."""
        return items[self.place :: self.of]

    def tries(self):
        """Return the first and the last of the tries."""
        ends = [TRIES * place // self.of for place in (self.place, self.place + 1)]
        return ends[0], ends[1]


def run_sections(sections, description):
    """Run the sections named on the command line, by default all, whole or in parts."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", default=list(sections))
    parser.add_argument(
        "--part",
        type=Part.read,
        default=Part(0, 1),
        help="run one of several parts, such as 2/5: every fifth learner of each "
        "section, from the second on, and the second fifth of the attacks",
    )
    parser.add_argument(
        "--problems",
        type=int,
        default=PROBLEMS,
        help="small problems that are solved as conic programs, too",
    )
    given = parser.parse_args()
    part = given.part._replace(problems=given.problems)
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name in given.sections:
        print(f"\n== {name}", flush=True)
        start = time.process_time()
        sections[name](part)
        print(f"{time.process_time() - start:.0f} s of CPU time", flush=True)


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
            f"{bound.upper_bound_:.5f}",
            flush=True,
        )


def seconds(action):
    start = time.process_time()
    action()
    return time.process_time() - start


def report_distances(estimator, found, fewest=0.95):
    """Print how far bounds are from a conic solver's; NaN where it gave up."""
    found = np.array(found)
    worst, n_solved = np.nanmax(found), np.sum(np.isfinite(found))
    text = f"{estimator!s:62} {n_solved} problems, farthest {worst:.1e}"
    print(text, flush=True)
    assert worst < 1e-5
    assert n_solved >= fewest * len(found)


def attack_with(learners, ratios, part, spare=1e-7):
    """Attack learners in turn; no loss, as a share of its bound, may be above 1."""
    first, last = part.tries()
    n_tries, closest, n_above = 0, -np.inf, 0
    while first + n_tries < last:
        seed = first + n_tries
        for ratio in ratios(learners[seed % len(learners)], seed):
            n_tries, closest = n_tries + 1, max(closest, ratio)
            n_above += ratio > 1.0 + spare
    print(f"{n_tries} tries, largest loss {closest:.6f} of its bound, above: {n_above}")
    assert n_above == 0


def refined(bound, sent, X, y, worse):
    """Move the rows of an attack a few times to what is worse for the model trained.

    `worse` returns rows and labels, given the bound, a model and the attack.
    """
    for _ in range(2):
        rows, labels = sent
        model = clone(bound.estimator).fit(np.vstack([X, rows]), np.append(y, labels))
        sent = worse(bound, model, rows, labels)
    return sent
