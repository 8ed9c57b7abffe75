"""What a network does not forget
==============================

Dropping poison does not undo what it has taught: see how a network unlearns it.

A network was trained on some handwritten digits of 8 x 8 pixels. Someone trains a
linear head on its features, on digits of their own, among which are 15 that an attacker
has changed (a bullseye polytope): correctly labeled, with features around those of one
digit of the test set, which is to be taken for another. Three heads are trained, which
differ in their defense: none, EPIC, and EPIC that draws the head again once its rounds
are over and takes back rows that are then classified as labeled. The margin of the
target is its largest other logit minus that of the attacker's class; below zero, the
attack succeeds. Run it as ``python examples/plot_epic_forgetting.py forgetting.png``.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from skpoison.inspection import EPICDisplay
from skpoison.neural import (
    BullseyePolytopeAttack,
    EPICCallback,
    FilteredNetClassifier,
    LayerFeatures,
)

TARGET, WANTED = 1732, 4


class Watch(Callback):
    """The target's margin, and accuracy on test rows, after each epoch."""

    def __init__(self, target, X, y):
        self.target, self.X, self.y = target, X, y

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Begin with nothing seen."""
        self.margins_, self.accuracies_ = [], []

    def on_epoch_end(self, net, **kwargs):
        """Look at the target and at the test rows."""
        with torch.no_grad():
            logits = net.infer(torch.as_tensor(self.target[None]))[0].numpy()
        self.margins_.append(np.delete(logits, WANTED).max() - logits[WANTED])
        self.accuracies_.append(np.mean(net.predict(self.X) == self.y))


def network(module, n_epochs, lr, *callbacks):
    torch.manual_seed(0)
    return FilteredNetClassifier(
        module,
        lr=lr,
        max_epochs=n_epochs,
        batch_size=64,
        optimizer__momentum=0.9,
        callbacks=list(callbacks),
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )


def problem():
    """Features of rows with poison, of the target, and of test rows; labels."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype("float32")
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
    )
    features = LayerFeatures(network(module, 20, 0.1).fit(X[:600], y[:600]))
    attack = BullseyePolytopeAttack(
        features,
        X[TARGET],
        WANTED,
        epsilon=0.0188,
        radius=0.5,
        n_steps=80,
        random_state=0,
    )
    rows, labels = attack.fit_resample(X[600:1400], y[600:1400])
    test = features.embed(X[1400:])
    return features.embed(rows), labels, attack.poison_mask_, test, y[1400:]


def trained(data, *callbacks):
    """Return a head that is trained with a defense, and what was seen meanwhile."""
    X, y, X_test, y_test = data
    watch = Watch(X_test[TARGET - 1400], X_test, y_test)
    net = network(torch.nn.Linear, 40, 0.3, *callbacks, watch)
    net.set_params(module__in_features=64, module__out_features=10).fit(X, y)
    return net, dict(net.callbacks_)["Watch"]


def main(path=None):
    X, y, is_poison, *test = problem()
    rounds = {"warmup": 3, "stop_after": 9, "min_class_rows": 30}
    forgets = {"forget": "reset-head", "readmit_after": 5}
    defenses = {
        "no defense": [],
        "EPIC": [EPICCallback(0.3, **rounds)],
        "EPIC that forgets": [EPICCallback(0.3, **rounds, **forgets)],
    }
    figure, axes = plt.subplots(2, 2, figsize=(8.5, 6), layout="constrained")
    for name, callbacks in defenses.items():
        net, watch = trained((X, y, *test), *callbacks)
        margin, accuracy = watch.margins_[-1], watch.accuracies_[-1]
        print(f"{name}: margin of the target {margin:+.1f}, accuracy {accuracy:.3f}")
        epochs = np.arange(1, 41)
        axes[1, 0].plot(epochs, watch.margins_, label=name)
        axes[1, 1].plot(epochs, watch.accuracies_, label=name)
        if callbacks:
            ax = axes[0, int(callbacks[0].forget is not None)]
            EPICDisplay.from_estimator(net, poison_mask=is_poison, ax=ax)
            ax.set_title(name)
    axes[1, 0].axhline(0, color="black", linewidth=0.6)
    axes[1, 0].set(xlabel="Epoch", ylabel="Margin of the target", ylim=(-12, 20))
    axes[1, 0].legend(frameon=False, loc="upper right")
    axes[1, 1].set(xlabel="Epoch", ylabel="Accuracy on test rows", ylim=(0.7, 1))
    if path is None:
        plt.show()
    else:
        figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
