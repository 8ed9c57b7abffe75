"""Tracing wrong predictions of networks to the poison that caused them, on MNIST.

    python benchmarks/bench_trace_neural.py --attack gradient
    python benchmarks/bench_trace_neural.py --attack collision --trials 5
    python benchmarks/bench_trace_neural.py --attack sleeper
    python benchmarks/bench_trace_neural.py --attack none

The attacks and the victim are those of ``bench_neural_scratch.py``: a network of one
hidden layer, trained from random parameters on ``--size`` rows, of which ``--epsilon``
are changed. Only targets that an attack takes (the victim's prediction is the intended
label) are traced; ``--trials`` counts those. With ``none`` the rows are clean, and the
victim's honest errors are traced with ``--honest-share``: how often a removal set of
so few rows exists for them is the rate of false alarms.

Printed are the share of poison among the first k rows, k the number of poison rows; how
often a removal set is found, and verified; its size; how much of it is poison; and why
none is found. OMP_NUM_THREADS=1 keeps it to one core.
"""

import argparse
import os
import sys
import time
import warnings
from types import SimpleNamespace

import numpy as np
import torch
from bench_neural_scratch import TRIGGER, mnist, trained, victim
from sklearn.base import clone

from skpoison import trace
from skpoison.exceptions import FilterWarning
from skpoison.neural import (
    FeatureCollisionAttack,
    GradientMatchingAttack,
    LayerFeatures,
    SleeperAgentAttack,
)
from skpoison.neural._seeded import seeded
from skpoison.neural._trigger import put_trigger

MOST_TRIES = 5  # attacks for each target that is to be taken


def crafted(options, net, data, seed):
    """Poison rows for a target drawn at random: rows, labels, mask, target, labels."""
    X, y, X_test, y_test = data
    rng = np.random.default_rng(seed)
    target = int(rng.integers(len(X_test)))
    right = int(y_test[target])
    intended = int((right + 1 + rng.integers(9)) % 10)
    shared = {"epsilon": options.epsilon, "radius": options.radius, "replace": True}
    shared |= {"intended_label": intended, "random_state": seed}
    row = X_test[target]
    if options.attack == "sleeper":
        attack = SleeperAgentAttack(
            net,
            TRIGGER,
            source_label=right,
            n_steps=options.steps,
            n_retrain=2,
            **shared,
        )
        row = np.asarray(put_trigger(TRIGGER, torch.as_tensor(row[None])))[0]
    elif options.attack == "collision":
        module = LayerFeatures(trained(net, data))
        attack = FeatureCollisionAttack(module, row, **shared)
    else:
        module = trained(net, data)
        attack = GradientMatchingAttack(module, row, n_steps=options.steps, **shared)
    X, y = attack.fit_resample(X, y)
    return SimpleNamespace(
        X=X, y=y, mask=attack.poison_mask_, row=row, right=right, intended=intended
    )


def taken(options, net, data):
    """Yield poison with targets that it takes, as many as are wanted."""
    n_taken = 0
    first = options.first_seed
    for seed in range(first, first + MOST_TRIES * options.trials):
        options.n_tried += 1
        poison = crafted(options, net, data, seed)
        with seeded(seed):
            model = clone(net).fit(poison.X, poison.y)
        if model.predict(poison.row[None])[0] == poison.intended:
            n_taken += 1
            yield poison, model
        if n_taken == options.trials:
            return


def honest(options, net, data):
    """Yield honest errors of a net that was trained on clean rows."""
    X, y, X_test, y_test = data
    with seeded(0):
        model = clone(net).fit(X, y)
    said = model.predict(X_test)
    errors = np.flatnonzero(said != y_test)
    for row in np.random.default_rng(0).permutation(errors)[: options.trials]:
        nothing = np.zeros(len(X), dtype=bool)
        parts = {"X": X, "y": y, "mask": nothing, "row": X_test[row]}
        options.n_tried += 1
        yield SimpleNamespace(right=int(y_test[row]), **parts), model


def traced(options, poison, model):
    """Trace one target; return the measurements of a line of the table."""
    begin = time.process_time()
    share = options.honest_share if options.attack == "none" else options.max_removed
    n_poison = int(poison.mask.sum())
    line = {"precision": np.nan, "found": 0.0, "size": np.nan, "poison": np.nan}
    try:
        found = trace(
            model,
            poison.X,
            poison.y,
            poison.row[None],
            [poison.right],
            max_removed=share,
            random_state=0,
        )
    except ValueError as error:
        return line | {"why": "chance" if "other seeds" in str(error) else str(error)}
    if n_poison:
        line["precision"] = poison.mask[found.ranking_[:n_poison]].mean()
    line |= {"why": reason(found), "fits": found.n_fits_}
    if found.removal_set_ is not None:
        rows = found.removal_set_
        line |= {"found": 1.0, "size": len(rows), "poison": poison.mask[rows].mean()}
    return line | {"seconds": time.process_time() - begin}


def reason(found):
    if found.removal_set_ is not None:
        return "found"
    if "at random" in found.reason_:
        return "control"
    return "other seeds" if "other seeds" in found.reason_ else "too few rows"


def show(options, lines):
    print(
        f"{options.attack}: {len(lines)} targets, of {options.n_tried} tried; "
        f"{options.size} rows, {options.epsilon:.1%} poison"
    )
    for name in ("precision", "found", "size", "poison", "fits", "seconds"):
        values = [line.get(name, np.nan) for line in lines]
        if not np.isnan(values).all():
            print(f"  {name:10} mean {np.nanmean(values):.3g}, each", end=" ")
            print(" ".join("-" if np.isnan(v) else f"{v:.3g}" for v in values))
    whys = [line["why"] for line in lines]
    counts = {why: whys.count(why) for why in dict.fromkeys(whys)}
    print("  " + ", ".join(f"{why} {n}" for why, n in counts.items()))


def options_of(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    attacks = ("gradient", "collision", "sleeper", "none")
    parser.add_argument("--attack", choices=attacks, default="gradient")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0, help="go on from there")
    parser.add_argument("--size", type=int, default=2500, help="training rows")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--epsilon", type=float, default=0.05)
    parser.add_argument("--radius", type=float, default=0.3)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--max-removed", type=float, default=0.1)
    parser.add_argument("--honest-share", type=float, default=0.01)
    parser.add_argument("--device", default="cpu")
    folder = os.environ.get("SKPOISON_DATA", "../shared/data")
    parser.add_argument("--data", default=folder, help="folder with mnist.npz")
    options = parser.parse_args(arguments)
    options.net, options.decay, options.n_tried = "perceptron", False, 0
    return options


def main():
    options = options_of()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FilterWarning)
    data = mnist(options.data, options.size)
    net, lines = victim(options), []
    source = honest if options.attack == "none" else taken
    for poison, model in source(options, net, data):
        lines.append(traced(options, poison, model))
        print(f"{len(lines)}: {lines[-1]}", file=sys.stderr, flush=True)
    show(options, lines)


if __name__ == "__main__":
    main()
