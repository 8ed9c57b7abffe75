"""Targeted clean-label poison in transfer learning, on MNIST, and what stops it.

    python benchmarks/bench_neural_transfer.py --part frozen --targets 100
    python benchmarks/bench_neural_transfer.py --part finetune --device cuda

A small convolutional network is trained on half of MNIST. A victim takes it and trains,
on 2,500 other rows, a linear head on its features (``frozen``) or all of its layers
(``finetune``). The bullseye polytope changes 25 of these rows. Targets are drawn among
test rows, and what they shall be taken for among the other classes; defenses are
compared on the targets for which the attack succeeds without any, with the same poison
and the same random numbers. OMP_NUM_THREADS=1 keeps it to one core.
"""

import argparse
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import Bunch
from torch import nn

from skpoison.exceptions import FilterWarning
from skpoison.filters import (
    ActivationClusteringFilter,
    NeighborsFilter,
    SpectralFilter,
)
from skpoison.neural import (
    BullseyePolytopeAttack,
    EmbeddingFilter,
    EPICCallback,
    FilteredNetClassifier,
    LayerFeatures,
    RelearningClassifier,
    evaluate_targeted,
)
from skpoison.neural._evaluate import MEASURES, summarize
from skpoison.neural._proxies import gradient_proxies

N_ROWS, N_POISON, WIDTH, N_CLASSES = 2500, 25, 128, 10
RADIUS, WIDE_RADIUS = 0.4, 0.6
CHUNK = 5
# What the papers reject where they know the share of poison: 25 of 250 rows.
SHARE = N_POISON / (N_ROWS / N_CLASSES)


def mnist(folder):
    """Images in [0, 1] and labels: training rows, then test rows."""
    with np.load(Path(folder) / "mnist.npz") as data:
        X, y, X_test, y_test = (
            data[f"{kind}_{part}"] for part in ("train", "test") for kind in "Xy"
        )
    images = [a.reshape(-1, 1, 28, 28) / np.float32(255) for a in (X, X_test)]
    return images[0], y.astype(np.int64), images[1], y_test.astype(np.int64)


def convolutions():
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 49, WIDTH),
        nn.ReLU(),
    )


def pretrained(X, y, device, n_epochs=6):
    """Train a network; return its features."""
    torch.manual_seed(0)
    net = nn.Sequential(convolutions(), nn.Linear(WIDTH, N_CLASSES)).to(device)
    adam = torch.optim.Adam(net.parameters(), 1e-3)
    X, y = torch.from_numpy(X).to(device), torch.from_numpy(y).to(device)
    for _ in range(n_epochs):
        for batch in torch.randperm(len(X)).split(128):
            loss = nn.functional.cross_entropy(net(X[batch]), y[batch])
            adam.zero_grad()
            loss.backward()
            adam.step()
    return net[0].eval()


class DropAsMany(EPICCallback):
    """Drop as many rows of each class, in each round, as EPIC would, but others.

    ``by`` is "chance", "loss" (the highest) or "confidence" (the lowest).
    """

    def __init__(self, by="chance", medoid_fraction=0.2, **params):
        super().__init__(medoid_fraction, **params)
        self.by = by

    def get_params(self, deep=True):
        """Parameters, those of EPIC too."""
        names = EPICCallback(0.1).get_params(deep=False)
        return {"by": self.by} | {name: getattr(self, name) for name in names}

    def _drop(self, net, subset):
        before = subset.pool.dropped_at.copy()
        rows = subset.rows[subset.indices]
        proxies, labels, _ = gradient_proxies(
            net, torch.utils.data.Subset(subset.base, rows)
        )
        n_dropped = super()._drop(net, subset)
        counts = np.bincount(labels[subset.pool.dropped_at[rows] > 0], minlength=10)
        subset.pool.dropped_at[:] = before
        drop = _worst(self._suspicion(proxies.cpu().numpy(), labels), labels, counts)
        subset.drop(rows[drop], len(net.history))
        return n_dropped

    def _suspicion(self, proxies, labels):
        if self.by == "chance":
            return torch.rand(len(labels)).numpy()
        at = np.arange(len(labels))
        proxies[at, labels] += 1
        if self.by == "loss":
            return -proxies[at, labels]
        return -proxies.max(axis=1)


def _worst(suspicion, labels, counts):
    worst = []
    for label, count in enumerate(counts):
        rows = np.flatnonzero(labels == label)
        worst.append(rows[np.argsort(-suspicion[rows], kind="stable")[:count]])
    return np.concatenate(worst)


def victim(module, device, **params):
    return FilteredNetClassifier(
        module,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        batch_size=128,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        device=device,
        **params,
    )


def deep_knn():
    # Twice as many neighbors as there is poison, so that poison is no majority.
    return NeighborsFilter(
        criterion="labels", n_neighbors=2 * N_POISON, radii=[0.5] * N_CLASSES
    )


def peers():
    return {
        "spectral signatures": SpectralFilter(contamination=1.5 * SHARE),
        "activation clustering": ActivationClusteringFilter(random_state=0),
        "deep k-NN": deep_knn(),
    }


def relearner(net, fraction, readmit=True):
    epic = EPICCallback(fraction, warmup=5, every=2, stop_after=9)
    return RelearningClassifier(
        clone(net).set_params(callbacks=[epic]), readmit=readmit
    )


def defenses(net, filters):
    return {
        "EPIC, 10 %": EPICCallback(0.1),
        "EPIC, 20 %": EPICCallback(0.2),
        "EPIC, 30 %": EPICCallback(0.3),
        "as many at random": DropAsMany("chance"),
        "as many, highest loss": DropAsMany("loss"),
        "as many, lowest confidence": DropAsMany("confidence"),
        **filters,
        "relearning, no readmission": relearner(net, 0.3, readmit=False),
        "relearning, EPIC 20 %": relearner(net, 0.2),
        "relearning, EPIC 30 %": relearner(net, 0.3),
    }


def frozen(X, y, X_test, y_test, features, device):
    """Arguments for a victim who trains a head."""
    extract = LayerFeatures(features, "")
    scale = extract.embed(X[:500]).std()
    net = victim(nn.Linear(WIDTH, N_CLASSES), device, lr=0.05, max_epochs=40)
    return {
        "attack": attack(features),
        "defense": defenses(net, peers()),
        "estimator": net,
        "embedding": lambda rows: extract.embed(rows) / scale,
    }


def attack(features, radius=RADIUS):
    return BullseyePolytopeAttack(
        features,
        epsilon=N_POISON / N_ROWS,
        radius=radius,
        n_steps=80,
        replace=True,
    )


def finetune(X, y, X_test, y_test, features, device):
    """Arguments for a victim who trains all layers."""
    torch.manual_seed(1)
    module = nn.Sequential(features, nn.Linear(WIDTH, N_CLASSES)).to(device)
    net = victim(module, device, lr=0.01, max_epochs=12)
    filters = {
        name: EmbeddingFilter(features, "", filter_)
        for name, filter_ in peers().items()
    }
    # Layers that change while they are trained: the attack aims at several, with more
    # room. On the last layer alone, and as near, one attack in ten succeeds.
    layers = [LayerFeatures(features, name) for name in ("", "3", "1")]
    return {
        "attack": attack(layers, radius=WIDE_RADIUS),
        "defense": defenses(net, filters),
        "estimator": net,
    }


def show(results):
    summary = results.summary
    n_targets = len(results.target)
    low, high = summary.success_all_low[0], summary.success_all_high[0]
    print(
        f"Accuracy without poison {results.clean_accuracy:.4f}. Undefended, "
        f"{summary.success_all[0]:.2f} [{low:.2f}, {high:.2f}] of {n_targets} targets "
        "are taken for the intended class."
    )
    print(
        f"On these {int(np.sum(results.success[:, 0] == 1))}:\n"
        f"{'defense':27} success, 95 %       accuracy, change in points  "
        "poison  clean dropped  seconds"
    )
    chosen = results.success[:, 0] == 1
    change = 100 * (results.accuracy - results.accuracy[:, :1])[chosen]
    error = 1.96 * change.std(axis=0, ddof=1) / np.sqrt(len(change))
    for i, name in enumerate(results.defense):
        print(
            f"{name:27} {summary.success[i]:.2f} [{summary.success_low[i]:.2f}, "
            f"{summary.success_high[i]:.2f}]   {summary.accuracy[i]:.4f}  "
            f"{change[:, i].mean():+.2f} ± {error[i]:.2f}"
            f"{summary.poison_dropped[i]:14.2f}{summary.clean_dropped[i]:12.3f}"
            f"{summary.seconds[i]:12.1f}"
        )


PARTS = {"frozen": frozen, "finetune": finetune}
FIELDS = ("target", "intended_label", "objective", *MEASURES)


def evaluate(data, part, n_targets, save):
    """Evaluate a few targets at a time, and go on where a former run has stopped."""
    done = dict(np.load(save)) if save and Path(save).exists() else {}
    n_done = len(done.get("target", ()))
    while n_done < n_targets:
        found = evaluate_targeted(
            *(part[name] for name in ("attack", "defense", "estimator")),
            *data,
            n_targets=min(CHUNK, n_targets - n_done),
            embedding=part.get("embedding"),
            only_successful=True,
            random_state=n_done,
        )
        for name in FIELDS:
            done[name] = np.concatenate(
                [done[name], found[name]] if n_done else [found[name]]
            )
        done |= {name: found[name] for name in ("defense", "clean_accuracy")}
        n_done = len(done["target"])
        if save:
            np.savez(save, **done)
        print(f"{n_done} targets", file=sys.stderr, flush=True)
    return Bunch(**done, summary=summarize(Bunch(**done)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, default="frozen")
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--data", default=os.environ.get("SKPOISON_DATA", "../shared/data")
    )
    parser.add_argument("--save", help="file for results, where another run goes on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FilterWarning)
    X, y, X_test, y_test = mnist(options.data)
    order = np.random.default_rng(0).permutation(len(X))
    half, rows = order[: len(X) // 2], order[len(X) // 2 :][:N_ROWS]
    features = pretrained(X[half], y[half], options.device)
    data = X[rows], y[rows], X_test, y_test
    part = PARTS[options.part](*data, features, options.device)
    show(evaluate(data, part, options.targets, options.save))


if __name__ == "__main__":
    main()
