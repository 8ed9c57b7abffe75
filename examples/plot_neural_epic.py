"""EPIC inside the training of a network
=====================================

Watch EPIC drop poison while a network is trained.

Handwritten digits of 8 x 8 pixels. The attacker wants one digit of the test set to be
classified as another one (a targeted, clean-label attack). They add 20 correctly
labeled images of that other digit, whose pixels are moved towards the target by up to
half of their range. Two networks are trained, with and without EPIC. This attack fails
with EPIC. With so few rows of raw pixels, other attacks can succeed, and some accuracy
is lost. Run it as ``python examples/plot_neural_epic.py epic.png``.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

from skpoison.inspection import EPICDisplay
from skpoison.neural import EPICCallback, FilteredNetClassifier

TARGET, WANTED = 1628, 2


def poisoned_digits():
    """Training rows with poison at the end, and the rest of the rows."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype("float32")
    bases = X[:1400][y[:1400] == WANTED][:20]
    poison = bases + np.clip(X[TARGET] - bases, -0.5, 0.5)
    X_train = np.concatenate([X[:1400], poison])
    y_train = np.concatenate([y[:1400], np.full(len(poison), WANTED)])
    return X_train, y_train, X, y


def train(X, y, *callbacks):
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
    )
    net = FilteredNetClassifier(
        module,
        lr=0.2,
        max_epochs=25,
        batch_size=64,
        callbacks=list(callbacks),
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
    return net.fit(X, y)


def main(path=None):
    X, y, X_all, y_all = poisoned_digits()
    epic = EPICCallback(0.2, warmup=5, every=2, max_drop_fraction=0.3)
    nets = {"plain": train(X, y), "EPIC": train(X, y, epic)}
    for name, net in nets.items():
        seen_as = net.predict(X_all[[TARGET]])[0]
        accuracy = net.score(X_all[1400:], y_all[1400:])
        print(
            f"{name}: the target, a {y_all[TARGET]}, is classified as {seen_as}; "
            f"accuracy {accuracy:.3f}; {len(net.kept_indices_)} rows kept"
        )

    is_poison = np.arange(len(y)) >= 1400
    display = EPICDisplay.from_estimator(
        nets["EPIC"], X, y, poison_mask=is_poison, label=WANTED
    )
    if path is None:
        plt.show()
    else:
        display.figure_.savefig(path, dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:])
