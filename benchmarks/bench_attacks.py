"""Attacks on MNIST 1-vs-7 against the published figure: harm and seconds.

Run with ``SKPOISON_DATA=folder OMP_NUM_THREADS=1 python benchmarks/bench_attacks.py``;
name sections (``figure training gradient``) to run only those. The defense is fixed:
sphere and slab at percentile 70, fitted on the clean rows; the learner is
``NormConstrainedSVC(rho=0.8 ** 0.5)``; harm is its mean hinge loss on the test rows
after training on clean rows and poison.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.frozen import FrozenEstimator

from skpoison import NormConstrainedSVC, SlabFilter, SphereFilter
from skpoison._learners import learner_of, train_hinge
from skpoison.attacks import GradientAttack, KKTAttack, LabelFlipAttack, MinMaxAttack
from skpoison.attacks._bilevel import Aim, Bilevel
from skpoison.solvers._signed_design import Rows

DATA = Path(os.environ.get("SKPOISON_DATA", "../shared/data"))
RHO = 0.8**0.5
SVC = NormConstrainedSVC(RHO)
EPSILONS = (0.01, 0.03, 0.05, 0.1, 0.3)
# Read off figure 2(c) at epsilon = 0.3.
PUBLISHED = {
    "clean": 0.035,
    "feasible flips": 0.043,
    "gradient": 0.053,
    "min-max": 0.068,
}


def main():
    sections = {"figure": figure, "training": training, "gradient": gradient}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", default=list(sections))
    for name in parser.parse_args().sections:
        print(f"\n== {name}")
        sections[name]()


def ones_and_sevens():
    data = np.load(DATA / "mnist_17.npz")
    X, X_test = data["X_train"] / 255.0, data["X_test"] / 255.0
    return X, data["y_train"], X_test, data["y_test"].astype(float)


def attacks(fixed):
    aimed = {"estimator": SVC, "filter": fixed, "random_state": 0}
    return {
        "feasible flips": LabelFlipAttack(
            strategy="feasible", filter=fixed, random_state=0
        ),
        "alfa": LabelFlipAttack(strategy="alfa", **aimed),
        "gradient": GradientAttack(**aimed),
        "kkt": KKTAttack(**aimed),
        "min-max": MinMaxAttack(rho=RHO, tol=1e-4, filter=fixed, random_state=0),
    }


def harm(data, X_poison, y_poison):
    """Train on clean rows and poison, copies as weights; return the test loss."""
    X, y, X_test, y_test = data
    rows, first, copies = np.unique(
        X_poison, axis=0, return_index=True, return_counts=True
    )
    svc = NormConstrainedSVC(RHO).fit(
        np.vstack([X, rows]),
        np.append(y, y_poison[first]),
        np.append(np.ones(len(X)), copies),
    )
    return np.maximum(0, 1 - y_test * svc.decision_function(X_test)).mean(), len(rows)


def figure():
    """Every attack at every epsilon; the published values are those at 0.3."""
    data = ones_and_sevens()
    X, y = data[:2]
    fixed = FrozenEstimator((SphereFilter(70) & SlabFilter(70)).fit(X, y))
    clean, _ = harm(data, X[:0], y[:0])
    print(f"clean: {clean:.4f}, published {PUBLISHED['clean']:.3f}")
    print("attack          epsilon   rows  distinct  passes", end="")
    print("  test loss  published  seconds")
    for name, attack in attacks(fixed).items():
        for epsilon in EPSILONS:
            attack.set_params(epsilon=epsilon)
            start = time.perf_counter()
            X_poison, y_poison = attack.poison(X, y)
            taken = time.perf_counter() - start
            passes = (fixed.predict(X_poison, y_poison) == 1).all()
            loss, distinct = harm(data, X_poison, y_poison)
            published = PUBLISHED.get(name) if epsilon == 0.3 else None
            beside = "" if published is None else f"{published:.3f}"
            print(
                f"{name:14}  {epsilon:7.2f}  {len(y_poison):5d}  {distinct:8d}  "
                f"{passes!s:6}  {loss:9.4f}  {beside:>9}  {taken:7.2f}",
                flush=True,
            )


def bilevel_at(data, width=0.2, n_points=10):
    """Return a gradient attacker's position: rows, learner and where it trained."""
    X, y = data[0], data[1].astype(float)
    feasible = (SphereFilter(70) & SlabFilter(70)).fit(X, y).feasible_set()
    signs = np.where(np.arange(n_points) % 2, 1.0, -1.0)
    points = np.array(
        [feasible[s].project(X[y != s][[i]])[0] for i, s in enumerate(signs)]
    )
    learner, clean = learner_of(SVC, "benchmark"), Rows(X, y)
    smooth = learner.smoothed(width)
    copies = np.full(n_points, int(0.3 * len(y)) // n_points)
    bilevel = Bilevel(clean, signs, copies, smooth, Aim(clean, smooth.loss))
    theta = train_hinge(learner, clean, tol=1e-4, rng=0)
    return bilevel, points, theta


def training(repeats=5):
    """One gradient, and one warm training, in fits of the exact classifier."""
    data = ones_and_sevens()
    bilevel, points, theta = bilevel_at(data)
    trained = bilevel.solve_lower(points, theta).trained
    moved = points + 0.05 * np.random.default_rng(0).normal(size=points.shape)
    contenders = {
        "exact fit": lambda: NormConstrainedSVC(RHO).fit(*data[:2]),
        "smooth training, warm": lambda: bilevel.solve_lower(moved, trained.theta),
        "gradient": lambda: bilevel.gradient(points, trained),
    }
    times = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, action in contenders.items():
            start = time.perf_counter()
            action()
            times[name].append(time.perf_counter() - start)
    base = np.median(times["exact fit"])
    for name, taken in times.items():
        median = np.median(taken)
        print(f"{name:22} {median:8.4f} s  {median / base:7.2f} fits")


def gradient(n_directions=5, h=1e-4):
    """The gradient on real data against differences through re-training."""
    bilevel, points, theta = bilevel_at(ones_and_sevens())
    trained = bilevel.solve_lower(points, theta).trained
    found, rng = bilevel.gradient(points, trained), np.random.default_rng(0)
    for _ in range(n_directions):
        way = rng.normal(size=points.shape)
        way /= np.linalg.norm(way)
        ends = [
            bilevel.solve_lower(points + s * h * way, trained.theta).value
            for s in (1, -1)
        ]
        expected, value = (ends[0] - ends[1]) / (2 * h), float((found * way).sum())
        error = abs(value - expected) / abs(expected)
        print(f"gradient {value:+.6e}  differences {expected:+.6e}  error {error:.1e}")


if __name__ == "__main__":
    main()
