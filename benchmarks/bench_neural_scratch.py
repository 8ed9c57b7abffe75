"""Attacks on networks trained from scratch, on MNIST, and what stops them.

    python benchmarks/bench_neural_scratch.py --attack gradient --net perceptron
    python benchmarks/bench_neural_scratch.py --attack patch --net cnn --trials 10
    python benchmarks/bench_neural_scratch.py --attack sleeper --net resnet18 \
        --size 60000 --device cuda

The victim trains a network from random parameters on ``--size`` rows of MNIST, some of
which are replaced by poison. Gradient matching attacks one test row in each trial; the
others plant a trigger. All defenses of a trial face the same poison and the same random
numbers. ``--defenses schedules`` tries EPIC with other schedules, which tells what its
success depends on. OMP_NUM_THREADS=1 keeps it to one core.
"""

import argparse
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from bench_neural_transfer import DropAsMany
from bench_neural_transfer import mnist as all_of_mnist
from networks import NETS
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch
from skorch.callbacks import LRScheduler

from skpoison.exceptions import FilterWarning
from skpoison.filters import (
    ActivationClusteringFilter,
    NeighborsFilter,
    SpectralFilter,
)
from skpoison.neural import (
    EmbeddingFilter,
    EPICCallback,
    FilteredNetClassifier,
    GradientMatchingAttack,
    JPEGCompressor,
    SleeperAgentAttack,
    Trigger,
    TriggerBackdoorAttack,
    evaluate_backdoor,
    evaluate_targeted,
)
from skpoison.neural._victims import MEASURES, normal, wilson

N_CLASSES, N_TEST, CHUNK = 10, 2000, 2
PATCH = np.pad(np.ones((3, 3), dtype="float32"), ((0, 1), (0, 1)))
VEIL = np.random.default_rng(0).random((28, 28)).astype("float32")


def mnist(folder, size):
    """Training rows, drawn once, and the first test rows."""
    X, y, X_test, y_test = all_of_mnist(folder)
    rows = np.random.default_rng(0).permutation(len(X))[:size]
    return X[rows], y[rows], X_test[:N_TEST], y_test[:N_TEST]


def victim(options):
    """The schedule of the papers, at the size of the task: SGD, three steps down."""
    n_epochs = options.epochs
    steps = [int(n_epochs * share) for share in (3 / 8, 5 / 8, 7 / 8)]
    drops = LRScheduler(torch.optim.lr_scheduler.MultiStepLR, milestones=steps)
    width = {"module__width": options.width} if options.net == "resnet18" else {}
    return FilteredNetClassifier(
        NETS[options.net],
        module__n_channels=1,
        module__size=28,
        **width,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        optimizer__weight_decay=5e-4,
        lr=0.05,
        max_epochs=n_epochs,
        batch_size=64,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=[drops] if options.decay else None,
        verbose=0,
        device=options.device,
    )


def trained(net, data):
    torch.manual_seed(0)
    return clone(net).fit(*data[:2]).module_


def attack(options, net, data):
    shared = {"epsilon": options.epsilon, "radius": options.radius, "replace": True}
    if options.attack == "gradient":
        surrogates = [
            trained(clone(net).set_params(max_epochs=n), data)
            for n in options.surrogates or [options.epochs]
        ]
        return GradientMatchingAttack(surrogates, n_steps=options.steps, **shared)
    trigger = Trigger(VEIL, opacity=0.2) if options.attack == "blended" else TRIGGER
    if options.attack == "sleeper":
        return SleeperAgentAttack(
            net, trigger, n_steps=options.steps, n_retrain=options.retrain, **shared
        )
    if options.attack == "clean":
        module = trained(net, data)
        shared |= {"labels": "clean", "net": module, "n_steps": options.steps}
    return TriggerBackdoorAttack(trigger, **shared)


TRIGGER = Trigger(PATCH)


def embedded(net, filter_):
    return EmbeddingFilter(net, filter=filter_)


def peers(net, options):
    n_poison = options.epsilon * options.size
    share = min(1.5 * n_poison / (options.size / N_CLASSES), 0.5)
    neighbors = NeighborsFilter(
        criterion="labels", n_neighbors=int(2 * n_poison), radii=[0.5] * N_CLASSES
    )
    return {
        "JPEG, quality 75": make_pipeline(JPEGCompressor(75), net),
        "JPEG, quality 25": make_pipeline(JPEGCompressor(25), net),
        "spectral signatures": embedded(net, SpectralFilter(contamination=share)),
        "activation clustering": embedded(
            net, ActivationClusteringFilter(random_state=0)
        ),
        "deep k-NN": embedded(net, neighbors),
    }


class LoggedEPIC(EPICCallback):
    """EPIC that writes down, for the table, what it drops when."""

    log = []
    clean = None

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Find out which rows are poison: those that are not the clean ones."""
        super().on_train_begin(net, X, y, **kwargs)
        rows, labels = self.clean
        differ = np.asarray(X != rows).reshape(len(rows), -1).any(axis=1)
        self.mask_ = differ | (np.asarray(y) != labels)

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Write down the share of poison and of clean rows that each epoch lacks."""
        super().on_train_end(net, X, y, **kwargs)
        at = net.dropped_at_
        epochs = np.arange(1, len(net.history) + 1)
        gone = (at > 0) & (at <= epochs[:, None])
        shares = [gone[:, rows].mean(axis=1) for rows in (self.mask_, ~self.mask_)]
        self.log.append((self.medoid_fraction, shares))


class Sparing:
    """Training rows of which some cannot be dropped."""

    def __init__(self, subset, spared):
        self.subset, self.spared = subset, spared

    def __getattr__(self, name):
        """Find all else in the training rows."""
        return getattr(self.subset, name)

    def __len__(self):
        """How many are left."""
        return len(self.subset)

    def drop(self, rows, epoch):
        """Drop those rows that can be."""
        self.subset.drop(rows[~self.spared[rows]], epoch)


class EPICOfPoison(LoggedEPIC):
    """EPIC that drops isolated poison only, as nobody can."""

    def _drop(self, net, subset):
        return super()._drop(net, Sparing(subset, ~self.mask_))


class EPICOfClean(LoggedEPIC):
    """EPIC that drops isolated clean rows only."""

    def _drop(self, net, subset):
        return super()._drop(net, Sparing(subset, self.mask_))


def epic(fraction, options, kind=LoggedEPIC, **changed):
    """EPIC from a quarter of the training on, every tenth of it."""
    schedule = {
        "warmup": max(1, options.epochs // 4),
        "every": max(1, options.epochs // 10),
        "min_class_rows": min(100, options.size // (2 * N_CLASSES)),
    }
    return kind(medoid_fraction=fraction, **schedule | changed)


def schedules(options):
    """What EPIC's success may depend on, one change at a time."""
    half = options.epochs // 2
    return {
        "EPIC, 20 %, as in the table": epic(0.2, options),
        "from the first epoch on": epic(0.2, options, warmup=1),
        "from the half on": epic(0.2, options, warmup=half),
        "every epoch": epic(0.2, options, every=1),
        "every epoch from the first": epic(0.2, options, warmup=1, every=1),
        "medoids among all rows": epic(0.2, options, ground_set="all"),
        "no guard": epic(0.2, options, max_drop_fraction=1.0, min_class_rows=1),
        "isolated poison only": epic(0.2, options, EPICOfPoison),
        "isolated clean rows only": epic(0.2, options, EPICOfClean),
    }


def defenses(net, options):
    if options.defenses == "schedules":
        return schedules(options)
    own = {f"EPIC, {n} %": epic(n / 100, options) for n in (10, 20, 30)}
    own["as many at random"] = epic(0.2, options, DropAsMany, by="chance")
    if options.defenses == "epic":
        return own
    return own | peers(net, options)


def trials(options, net, data, seed, n_trials):
    """Measure some trials; return what all kinds of attack have in common."""
    arguments = attack(options, net, data), defenses(net, options), net, *data
    if options.attack == "gradient":
        found = evaluate_targeted(*arguments, n_targets=n_trials, random_state=seed)
    else:
        found = evaluate_backdoor(*arguments, n_trials=n_trials, random_state=seed)
    names = ("defense", "clean_accuracy", "clean_success", "objective", *MEASURES)
    return {name: found[name] for name in names if name in found}


def evaluate(options, net, data):
    """Go on where a former run has stopped, a few trials at a time."""
    save = options.save
    done = dict(np.load(save)) if save and Path(save).exists() else {}
    while (n_done := len(done.get("objective", ()))) < options.trials:
        n_trials = min(CHUNK, options.trials - n_done)
        found = trials(options, net, data, n_done, n_trials)
        for name in ("objective", "clean_success", *MEASURES):
            if name in found:
                before = [done[name]] if n_done else []
                done[name] = np.concatenate([*before, found[name]])
        done |= {name: found[name] for name in ("defense", "clean_accuracy")}
        if save:
            np.savez(save, **done)
        print(f"{n_done + n_trials} trials", file=sys.stderr, flush=True)
    return Bunch(**done)


def show(options, results):
    print(
        f"{options.attack} against {options.net}, {options.size} rows, "
        f"{options.epsilon:.1%} poison, radius {options.radius}, "
        f"{len(results.success)} trials. Accuracy without poison "
        f"{results.clean_accuracy:.4f}."
    )
    if not np.isnan(results.objective).all():
        print(f"Mean objective of the attack {results.objective.mean():.2f}.")
    if "clean_success" in results:
        share = results.clean_success.mean()
        print(f"Without poison the trigger works on {share:.2f}.")
    summary = {name: results[name].mean(axis=0) for name in MEASURES}
    summary["success"] = rates(results)
    times = summary["seconds"] / summary["seconds"][0]
    print(f"{'defense':28} success, 95 %       accuracy  poison  clean dropped  time")
    for i, name in enumerate(results.defense):
        rate, low, high = summary["success"][i]
        print(
            f"{name:28} {rate:.2f} [{low:.2f}, {high:.2f}]   "
            f"{summary['accuracy'][i]:.4f} {summary['poison_dropped'][i]:7.2f}"
            f"{summary['clean_dropped'][i]:10.3f}{times[i]:10.1f}"
        )


def rates(results):
    """Success with intervals: Wilson's over targets, of means over triggers."""
    if "clean_success" in results:
        return [np.clip(normal(column), 0, 1) for column in results.success.T]
    return [wilson(column) for column in results.success.T]


def show_epochs():
    """Print what EPIC has dropped by which epoch, in the trials of this run."""
    for fraction in sorted({name for name, _ in LoggedEPIC.log}):
        found = [shares for name, shares in LoggedEPIC.log if name == fraction]
        poison, clean = np.mean(found, axis=0)
        rounds = np.flatnonzero(np.diff(clean, prepend=0.0) > 0)
        texts = [f"{e + 1}: {poison[e]:.2f}/{clean[e]:.3f}" for e in rounds]
        print(
            f"EPIC {fraction:.0%}, poison/clean dropped by epoch  " + "  ".join(texts)
        )


def options_of(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    attacks = ("gradient", "sleeper", "patch", "blended", "clean")
    parser.add_argument("--attack", choices=attacks, default="gradient")
    parser.add_argument("--net", choices=NETS, default="perceptron")
    parser.add_argument(
        "--defenses", choices=("all", "epic", "schedules"), default="all"
    )
    parser.add_argument(
        "--width", type=int, default=64, help="channels of the ResNet-18's first stage"
    )
    parser.add_argument("--size", type=int, default=2500, help="training rows")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--epsilon", type=float, default=0.05)
    parser.add_argument("--radius", type=float, default=0.3)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--retrain", type=int, default=2)
    parser.add_argument(
        "--surrogates", type=int, nargs="*", help="epochs of each surrogate"
    )
    parser.add_argument("--decay", action="store_true", help="three steps down")
    parser.add_argument("--device", default="cpu")
    folder = os.environ.get("SKPOISON_DATA", "../shared/data")
    parser.add_argument("--data", default=folder, help="folder with mnist.npz")
    parser.add_argument("--save", help="file for results, where another run goes on")
    return parser.parse_args(arguments)


def main():
    options = options_of()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FilterWarning)
    data = mnist(options.data, options.size)
    LoggedEPIC.clean = data[:2]
    results = evaluate(options, victim(options), data)
    show(options, results)
    if options.defenses != "schedules":
        show_epochs()


if __name__ == "__main__":
    main()
