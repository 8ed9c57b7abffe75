"""EPIC's published experiments on CIFAR-10, from published poison sets.

    python benchmarks/reproduce_epic.py --cifar data/ --poisons poisons/ \
        --setting eps8-40 --device cuda

``--cifar`` is a folder that torchvision has put CIFAR-10 into,
``torchvision.datasets.CIFAR10("data/", download=True)``. ``--poisons`` is a folder with
``poisons.pickle``, ``base_indices.pickle`` and ``target.pickle``, or a folder of such
folders, one for each trial. A ResNet-18 is trained on the poisoned training set from
the beginning, without a defense and with EPIC.

Settings are those of the released code (Y. Yang, T. Y. Liu and B. Mirzasoleiman, "Not
All Poisons are Created Equal", ICML 2022; github.com/YuYang0901/EPIC at 72ce127,
examples.sh and the defaults of train_poison_epic.py): SGD with Nesterov momentum 0.9, a
learning rate of 0.1 that falls to a tenth at 3/8, 5/8 and 7/8 of 40 epochs or at 1/2
and 3/4 of 200, weight decay 5e-4 on all but biases and normalization (it goes by names,
so that the normalization of the ways around blocks does decay), batches of 128, random
flips and crops with 4 reflected pixels. Rounds are at epochs that ``every``
divides, from ``warmup`` on and up to the last fall of the rate, with medoids among all
rows and no guard. ``--rule paper`` picks medoids among the rows that are left, as the
paper's algorithm 1 says.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from networks import ResNet18
from sklearn.utils import Bunch
from skorch.callbacks import LRScheduler
from torch import nn

from skpoison.datasets import load_published_poisons
from skpoison.neural import EPICCallback, FilteredNetClassifier, RandomCropFlip
from skpoison.neural._victims import wilson

MEAN, SPREAD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)
# For poison of 1 % of the rows within 8/255 or 16/255, by gradient matching.
SETTINGS = {
    "eps8-40": {"epochs": 40, "every": 2, "warmup": 10},
    "eps8-200": {"epochs": 200, "every": 10, "warmup": 30},
    "eps16-40": {"epochs": 40, "every": 5, "warmup": 5},
}


class Scaled(nn.Module):
    """Images with the mean 0 and the spread 1 in each channel."""

    def __init__(self):
        super().__init__()
        for name, values in (("mean", MEAN), ("spread", SPREAD)):
            self.register_buffer(name, torch.tensor(values).reshape(3, 1, 1))

    def forward(self, images):
        """Scale images in [0, 1]."""
        return (images - self.mean) / self.spread


class Victim(nn.Sequential):
    """The ResNet-18, which augments in training."""

    def __init__(self, width=64):
        augment = RandomCropFlip(4, padding_mode="reflect")
        super().__init__(augment, Scaled(), ResNet18(width=width))


def milestones(n_epochs):
    shares = (1 / 2, 3 / 4) if n_epochs == 200 else (3 / 8, 5 / 8, 7 / 8)
    return [int(n_epochs * share) for share in shares]


def undecayed(width):
    """Names of parameters that weight decay leaves alone."""
    names = ["*bias"]
    for name, part in Victim(width).named_modules():
        if isinstance(part, nn.BatchNorm2d) and ".around." not in name:
            names.append(f"{name}.weight")
    return [(name, {"weight_decay": 0.0}) for name in names]


def victim(options, fraction):
    """Return the net of a setting, with EPIC unless the fraction of medoids is zero."""
    setting = SETTINGS[options.setting]
    n_epochs = options.epochs or setting["epochs"]
    falls = milestones(n_epochs)
    callbacks = [LRScheduler(torch.optim.lr_scheduler.MultiStepLR, milestones=falls)]
    if fraction:
        callbacks.append(
            EPICCallback(
                fraction,
                every=setting["every"],
                warmup=min(setting["warmup"], falls[-1]),
                stop_after=falls[-1],
                ground_set="all" if options.rule == "released" else "remaining",
                max_drop_fraction=1.0,
                min_class_rows=1,
                order="lazy",
            )
        )
    return FilteredNetClassifier(
        Victim,
        module__width=options.width,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        optimizer__nesterov=True,
        optimizer__weight_decay=5e-4,
        optimizer__param_groups=undecayed(options.width),
        lr=0.1,
        max_epochs=n_epochs,
        batch_size=128,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=callbacks,
        verbose=0,
        device=options.device,
    )


def cifar10(folder):
    """Images of CIFAR-10, channels first and in [0, 1], and their labels."""
    from torchvision.datasets import CIFAR10

    found = {}
    for part in ("train", "test"):
        data = CIFAR10(folder, train=part == "train")
        images = data.data.transpose(0, 3, 1, 2)
        found[f"X_{part}"] = np.ascontiguousarray(images / np.float32(255))
        found[f"y_{part}"] = np.array(data.targets, dtype=np.int64)
    return Bunch(**found)


def trial(options, data, poisons, fraction):
    """Train on poisoned rows; return success, accuracy, shares dropped, seconds."""
    X, y = data.X_train.copy(), data.y_train.copy()
    X[poisons.base_indices], y[poisons.base_indices] = (
        poisons.X_poison,
        poisons.y_poison,
    )
    torch.manual_seed(options.seed)
    net = victim(options, fraction).fit(X, y)
    predicted = net.predict(poisons.target[None])[0]
    dropped = net.dropped_at_ > 0
    is_poison = np.isin(np.arange(len(X)), poisons.base_indices)
    return (
        predicted == poisons.intended_label,
        np.mean(net.predict(data.X_test) == data.y_test),
        dropped[is_poison].mean(),
        dropped[~is_poison].mean(),
        sum(net.history[:, "dur"]),
    )


def poison_folders(path):
    """Return the folders of the poison sets at a path, sorted."""
    path = Path(path)
    if (path / "poisons.pickle").exists():
        return [path]
    found = sorted(file.parent for file in path.rglob("poisons.pickle"))
    if not found:
        raise FileNotFoundError(
            f"{path} has no poisons.pickle, and no folder that has."
        )
    return found


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cifar", required=True)
    parser.add_argument("--poisons", required=True)
    parser.add_argument("--setting", choices=SETTINGS, default="eps8-40")
    parser.add_argument("--rule", choices=("released", "paper"), default="released")
    parser.add_argument("--fractions", type=float, nargs="*", default=[0.1, 0.2, 0.3])
    parser.add_argument("--epochs", type=int, help="in place of the setting's")
    parser.add_argument("--width", type=int, default=64, help="of the ResNet-18")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = options_of(arguments)
    data = cifar10(options.cifar)
    sets = [
        load_published_poisons(folder) for folder in poison_folders(options.poisons)
    ]
    print(f"{options.setting}, poison sets: {len(sets)}, the {options.rule} rule")
    print("medoids  success, 95 %       accuracy  poison  clean dropped  seconds")
    for fraction in (0.0, *options.fractions):
        rows = np.array([trial(options, data, one, fraction) for one in sets], float)
        rate, low, high = wilson(rows[:, 0])
        _, accuracy, poison, clean, seconds = rows.mean(axis=0)
        print(
            f"{fraction:7.0%}  {rate:.2f} [{low:.2f}, {high:.2f}]   {accuracy:.4f} "
            f"{poison:7.2f} {clean:14.3f} {seconds:8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
