"""What EPIC's callback leaves of attacks, and what it leaves where the net forgets.

    python benchmarks/bench_epic_forgetting.py frozen --targets 100
    python benchmarks/bench_epic_forgetting.py finetune perceptron --save found.npz
    python benchmarks/bench_epic_forgetting.py frozen --choose
    python benchmarks/bench_epic_forgetting.py frozen --adaptive 1
    python benchmarks/bench_epic_forgetting.py frozen finetune --collision
    python benchmarks/bench_epic_forgetting.py shares --targets 30
    python benchmarks/bench_epic_forgetting.py trace
    python benchmarks/bench_epic_forgetting.py cost --size 20000

``frozen`` and ``finetune`` are the victims of bench_neural_transfer.py, attacked by the
bullseye polytope; ``perceptron`` and ``cnn`` those of bench_neural_scratch.py, attacked
by gradient matching; ``sleeper`` is the perceptron, attacked by a Sleeper Agent;
``resnet`` is a head on the features of a narrow ResNet-18 that has learned colored
digits of CIFAR's shape, attacked by the bullseye polytope; ``--collision`` takes
feature collisions in place of polytopes. Every defense faces the same poison with the
same random numbers; success is over the targets that are lost undefended, with Wilson's
intervals, and beside it stand the targets that only plain EPIC saves, and those that
only the other saves. Targets of these tables are test rows with even numbers;
``--choose`` tries more settings, on those with odd ones.

``shares`` is ``frozen`` where poison is a third, a half and two thirds of its class, of
which other rows are left out; ``--targets`` of each, as many for each class.

``trace`` prints the margin of targets (largest other logit minus that of the intended
class) over the epochs, with one change of the training at a time. ``cost`` times epochs
with gradients from a scoring pass and from training, in turn (processor seconds on a
CPU). OMP_NUM_THREADS=1 keeps
it to one core.
"""

import argparse
import os
import statistics
import sys
import time
import warnings
from pathlib import Path

import bench_neural_scratch as scratch
import bench_neural_transfer as transfer
import joblib
import numpy as np
import torch
from networks import ResNet18
from sklearn.base import BaseEstimator, clone
from skorch.callbacks import Callback

from skpoison.exceptions import FilterWarning
from skpoison.neural import (
    EPICCallback,
    FeatureCollisionAttack,
    LayerFeatures,
    evaluate_backdoor,
    evaluate_targeted,
)
from skpoison.neural._victims import MEASURES, normal, wilson

CHUNK = 5
# Rounds, and epochs from the last one until rows come back, for each number of epochs.
ROUNDS = {
    "frozen": {"warmup": 3, "every": 2, "stop_after": 9},
    "finetune": {"warmup": 3, "every": 1, "stop_after": 5},
    "perceptron": {"warmup": 5, "every": 2, "stop_after": 9},
    "cnn": {"warmup": 3, "every": 1, "stop_after": 6},
    "sleeper": {"warmup": 5, "every": 2, "stop_after": 9},
    "resnet": {"warmup": 3, "every": 2, "stop_after": 9},
}
AFTER = {
    **{"frozen": 5, "finetune": 2, "perceptron": 3},
    **{"cnn": 3, "sleeper": 3, "resnet": 5},
}
SHARES = dict.fromkeys(ROUNDS, 0.2) | dict.fromkeys(("frozen", "finetune"), 0.3)
SHARES["resnet"] = 0.3
# Channels of the first stage, rows, epochs and batch size of the pretrained ResNet-18.
RESNET = {"width": 8, "rows": 4000, "epochs": 4, "batch": 64}
SCRATCH = {
    "perceptron": ["--attack", "gradient", "--epsilon", "0.03"],
    "cnn": [
        *("--attack", "gradient", "--epsilon", "0.05", "--net", "cnn"),
        *("--epochs", "15", "--radius", "0.5"),
    ],
    "sleeper": ["--attack", "sleeper", "--epsilon", "0.05"],
}


class Stored(BaseEstimator):
    """An attack whose poison is stored in files, so that others can face it too."""

    def __init__(
        self,
        attack,
        folder,
        target=None,
        intended_label=None,
        source_label=None,
        trigger=None,
        random_state=None,
    ):
        self.attack = attack
        self.folder = folder
        self.target = target
        self.intended_label = intended_label
        self.source_label = source_label
        self.trigger = trigger
        self.random_state = random_state

    def fit_resample(self, X, y):
        """Return rows with poison in place of some, from a file if there is one."""
        own = {
            name: getattr(self, name)
            for name in ("target", "intended_label", "source_label", "random_state")
            if name in self.attack.get_params(deep=False)
        }
        path = Path(self.folder) / f"{joblib.hash((own, joblib.hash((X, y))))}.npz"
        if not path.exists():
            attack = clone(self.attack).set_params(**own, replace=True).fit(X, y)
            path.parent.mkdir(parents=True, exist_ok=True)
            poison = attack.base_indices_, attack.X_poison_
            np.savez(path, rows=poison[0], X=poison[1], objective=attack.objective_)
        with np.load(path) as stored:
            X = X.copy()
            X[stored["rows"]] = stored["X"]
            self.poison_mask_ = np.isin(np.arange(len(X)), stored["rows"])
            self.objective_ = stored["objective"].tolist()
        return X, y


def colored(X, seed):
    """Images of CIFAR's shape: digits in a color of their own on one of their own."""
    rng = np.random.default_rng(seed)
    ground, ink = rng.uniform((0.0, 0.5), (0.5, 1.0), (len(X), 3, 2)).transpose(2, 0, 1)
    share = np.pad(X, ((0, 0), (0, 0), (2, 2), (2, 2)))
    mixed = ground[..., None, None] * (1 - share) + ink[..., None, None] * share
    return mixed.astype("float32")


def narrow_resnet(X, y, device):
    """Train a narrow ResNet-18; return its features."""
    torch.manual_seed(0)
    net = ResNet18(width=RESNET["width"]).to(device)
    adam = torch.optim.Adam(net.parameters(), 2e-3)
    X, y = torch.from_numpy(X).to(device), torch.from_numpy(y).to(device)
    for _ in range(RESNET["epochs"]):
        for batch in torch.randperm(len(X)).split(RESNET["batch"]):
            loss = torch.nn.functional.cross_entropy(net(X[batch]), y[batch])
            adam.zero_grad()
            loss.backward()
            adam.step()
    return torch.nn.Sequential(*list(net)[:-1]).eval()


def resnet_problem(options):
    """A head on the features of a ResNet, on colored digits of CIFAR's shape."""
    X, y, X_test, y_test = transfer.mnist(options.data)
    n_rows = 300 if options.tiny else transfer.N_ROWS
    n_before = 200 if options.tiny else RESNET["rows"]
    order = np.random.default_rng(0).permutation(len(X))
    before, rows = np.split(order[: n_before + n_rows], [n_before])
    features = narrow_resnet(colored(X[before], 1), y[before], options.device)
    data = colored(X[rows], 2), y[rows], colored(X_test[:1000], 3), y_test[:1000]
    extract = LayerFeatures(features, "")
    scale = extract.embed(data[0][:500]).std()
    head = torch.nn.Linear(8 * RESNET["width"], 10)
    net = transfer.victim(head, options.device, lr=0.05, max_epochs=40)
    attack = transfer.attack(features, radius=0.3).set_params(
        n_steps=2 if options.tiny else 60
    )
    return attack, net, data, lambda images: extract.embed(images) / scale


def problem(name, options):
    """Return attack, victim, data and embedding of a scenario."""
    if name == "resnet":
        return resnet_problem(options)
    if name not in SCRATCH:
        X, y, X_test, y_test = transfer.mnist(options.data)
        order = np.random.default_rng(0).permutation(len(X))
        half = order[: len(X) // 2]
        rows = order[len(X) // 2 :][: transfer.N_ROWS]
        features = transfer.pretrained(X[half], y[half], options.device)
        data = X[rows], y[rows], X_test, y_test
        part = transfer.PARTS[name](*data, features, options.device)
        return part["attack"], part["estimator"], data, part.get("embedding")
    given, net, data = from_scratch(name, options)
    return scratch.attack(given, net, data), net, data, None


def from_scratch(name, options, *more):
    """Return options, victim and data of a scenario from scratch."""
    arguments = [*SCRATCH[name], "--data", str(options.data), *more]
    if options.tiny:
        arguments += ["--size", "300", "--steps", "2", "--retrain", "1"]
    given = scratch.options_of([*arguments, "--device", options.device])
    return given, scratch.victim(given), scratch.mnist(given.data, given.size)


def epic(name, fraction=None, **changed):
    """EPIC with the rounds of a scenario."""
    return EPICCallback(fraction or SHARES[name], **ROUNDS[name] | changed)


def defenses(name):
    """EPIC without an end, with the same rounds, and with what it forgets."""
    back = {"readmit_after": AFTER[name]}
    more = {}
    if name == "sleeper":
        more["reset-head, 30 %"] = epic(name, 0.3, forget="reset-head")
        more["rewind, 30 %"] = epic(name, 0.3, forget="rewind")
        more["rewind, 30 %, readmission"] = epic(name, 0.3, forget="rewind", **back)
    return {
        "EPIC": epic(name, stop_after=None),
        "EPIC, rounds end": epic(name),
        "reset-head": epic(name, forget="reset-head"),
        "reset-head, readmission": epic(name, forget="reset-head", **back),
        "rewind, readmission": epic(name, forget="rewind", **back),
        "reset-head, training": epic(
            name, forget="reset-head", proxies="training", **back
        ),
    } | more


def candidates(name):
    """Settings to choose from: shares of medoids, ends of rounds, ways to forget."""
    found, end = {}, ROUNDS[name]["stop_after"]
    for fraction in (0.1, 0.2, 0.3):
        for last in (end - ROUNDS[name]["every"], end):
            for forget in (None, "reset-head", "rewind"):
                back = {"readmit_after": AFTER[name]} if forget else {}
                found[f"{fraction:.0%} to {last}, {forget}"] = epic(
                    name, fraction, stop_after=last, forget=forget, **back
                )
    return found


def collision(name, polytope):
    """Return feature collisions with the budget of a polytope.

    Against a network that is trained as a whole they need a watermark, as in the paper.
    """
    shared = ("feature_extractor", "epsilon", "radius", "n_steps", "replace")
    return FeatureCollisionAttack(
        **{name: getattr(polytope, name) for name in shared},
        opacity=0.3 if name == "finetune" else 0.0,
    )


def evaluate(name, options):
    """Attack some targets at a time; go on where a former run has stopped."""
    attack, net, data, embedding = problem(name, options)
    if options.collision:
        attack = collision(name, attack)
    if options.adaptive:
        attack.set_params(adaptive=options.adaptive)
        if hasattr(attack, "feature_extractor"):
            attack.set_params(selection="nearest")
    if options.poison:
        trigger = getattr(attack, "trigger", None)
        kind = "collision" if options.collision else f"{options.adaptive:g}"
        folder = Path(options.poison) / f"{name}-{kind}"
        attack = Stored(attack, folder, trigger=trigger)
    X, y, X_test, y_test = data
    half = slice(1, None, 2) if options.choose else slice(0, None, 2)
    data = X, y, X_test[half], y_test[half]
    tried = candidates(name) if options.choose else defenses(name)
    save = f"{options.save}.{name}.npz" if options.save else None
    done = dict(np.load(save)) if save and Path(save).exists() else {}
    while (n_done := len(done.get("objective", ()))) < options.targets:
        n_more = min(CHUNK, options.targets - n_done)
        seed = n_done + 1000 * options.choose
        if name == "sleeper":
            found = evaluate_backdoor(
                attack, tried, net, *data, n_trials=n_more, random_state=seed
            )
        else:
            found = evaluate_targeted(
                *(attack, tried, net, *data),
                n_targets=n_more,
                embedding=embedding,
                only_successful=True,
                random_state=seed,
            )
        add(done, found)
        if save:
            np.savez(save, **done)
        print(f"{name}: {n_done + n_more} targets", file=sys.stderr, flush=True)
    return done


def add(done, found):
    """Append measurements to those of earlier targets."""
    for key in ("objective", *MEASURES):
        before = [done[key]] if key in done else []
        done[key] = np.concatenate([*before, found[key]])
    done["defense"] = found["defense"]


def large_shares():
    """Defenses that may drop most of a small class, and one that may not."""
    small = {"min_class_rows": 10}
    reset = {"forget": "reset-head", "readmit_after": AFTER["frozen"], **small}
    return {
        "EPIC": epic("frozen", stop_after=None, **small),
        "reset-head, readmission": epic("frozen", **reset),
        "and up to 90 % of a class": epic("frozen", max_drop_fraction=0.9, **reset),
        "10 %, reset-head": epic("frozen", 0.1, **reset),
        "rewind, readmission": epic("frozen", **reset | {"forget": "rewind"}),
        **transfer.peers(),
    }


def shares(options):
    """Attack where poison is a large share of its class, of which rows are missing."""
    attack, net, (X, y, X_test, y_test), embedding = problem("frozen", options)
    half = slice(1, None, 2) if options.choose else slice(0, None, 2)
    test = X_test[half], y_test[half]
    classes, n_poison = np.unique(y), transfer.N_POISON
    for share in (1 / 3, 1 / 2, 2 / 3):
        found = {}
        for label in classes:
            rng = np.random.default_rng(label)
            own = rng.permutation(np.flatnonzero(y == label))
            rows = np.delete(np.arange(len(y)), own[round(n_poison / share) :])
            targets = rng.choice(
                np.flatnonzero(test[1] != label), options.targets // len(classes), False
            )
            one = evaluate_targeted(
                clone(attack).set_params(epsilon=n_poison / len(rows)),
                *(large_shares(), net, X[rows], y[rows], *test),
                targets=targets,
                intended_labels=np.full(len(targets), label),
                embedding=embedding,
                only_successful=True,
                random_state=int(label),
            )
            add(found, one)
        print(f"poison is {share:.2f} of its class")
        show("frozen", found)
        if options.save:
            np.savez(f"{options.save}.{share:.2f}.npz", **found)


def show(name, found):
    """Print a table over the targets that are lost undefended."""
    success, names = found["success"], list(found["defense"])
    if name == "sleeper":
        chosen = np.ones(len(success), dtype=bool)
        print(f"{name}: {len(success)} pairs of classes, success over test rows.")
    else:
        chosen = success[:, 0] == 1
        rate, low, high = wilson(success[:, 0])
        print(
            f"{name}: undefended, {rate:.2f} [{low:.2f}, {high:.2f}] of {len(success)} "
            f"targets are taken. On these {chosen.sum()}:"
        )
    if not chosen.any():
        return
    print(
        f"{'defense':26} success, 95 %       better/worse  accuracy, points   "
        "poison  clean dropped  time"
    )
    plain = success[chosen][:, 1]
    change = 100 * (found["accuracy"] - found["accuracy"][:, :1])[chosen]
    times = found["seconds"][chosen].sum(axis=0)
    for i, defense in enumerate(names):
        column = success[chosen][:, i]
        rate, low, high = (normal if name == "sleeper" else wilson)(column)
        error = 1.96 * change[:, i].std() / max(1, len(change) - 1) ** 0.5
        paired = f"{np.sum(column < plain)}/{np.sum(column > plain)}"
        print(
            f"{defense:26} {rate:.2f} [{low:.2f}, {high:.2f}] {paired:>14}     "
            f"{change[:, i].mean():+.2f} ± {error:.2f}"
            f"{found['poison_dropped'][chosen][:, i].mean():12.2f}"
            f"{found['clean_dropped'][chosen][:, i].mean():10.3f}"
            f"{times[i] / times[0]:10.2f}"
        )
    if name == "sleeper":
        for defense, column in zip(names, success.T, strict=True):
            rate, low, high = wilson((column > 0.5).astype(float))
            print(f"{defense:26} {rate:.2f} [{low:.2f}, {high:.2f}] over half obey")


class Margin(Callback):
    """Margin of a target after each epoch: below zero, it is taken."""

    log = []

    def __init__(self, row, intended):
        self.row, self.intended = row, intended

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Begin a line of the log."""
        self.log.append([])

    def on_epoch_end(self, net, **kwargs):
        """Add the margin to it."""
        with torch.no_grad():
            logits = net.infer(torch.as_tensor(self.row[None]).to(net.device))[0]
        intended = logits[self.intended].item()
        logits[self.intended] = -torch.inf
        self.log[-1].append(logits.max().item() - intended)


def changes(name):
    """What may speed up forgetting: defense, and parameters of the victim."""
    end = epic(name)
    return {
        "EPIC": (end, {}),
        "learning rate x 4": (end, {"lr": 0.2}),
        "weight decay 0.0005": (end, {"optimizer__weight_decay": 5e-4}),
        "weight decay 0.005": (end, {"optimizer__weight_decay": 5e-3}),
        "twice as many epochs": (end, {"max_epochs": 80}),
        "rewind": (epic(name, forget="rewind"), {}),
        "reset-head": (epic(name, forget="reset-head"), {}),
    }


def trace(options):
    """Print margins over the epochs, for targets with odd numbers."""
    name = "frozen"
    attack, net, (X, y, X_test, y_test), embedding = problem(name, options)
    data, features = (X, y, X_test[1::2], y_test[1::2]), embedding(X_test[1::2])
    rng, lines = np.random.default_rng(0), {}
    while len(lines.get("EPIC", ())) < options.targets:
        target = int(rng.integers(len(features)))
        intended = int(rng.choice(np.delete(np.arange(10), data[3][target])))
        seed = int(rng.integers(2**31))
        for change, (defense, params) in changes(name).items():
            Margin.log.clear()
            watched = clone(net).set_params(**params)
            watched.set_params(callbacks=[Margin(features[target], intended)])
            found = evaluate_targeted(
                *(attack, {change: defense}, watched, *data),
                targets=[target],
                intended_labels=[intended],
                embedding=embedding,
                random_state=seed,
            )
            if change == "EPIC" and not found.success[0, 0]:
                break
            for kind, line in zip(("none", change), Margin.log[1:], strict=True):
                if kind == change or change == "EPIC":
                    lines.setdefault(kind, []).append(line)
    report_trace(lines)


def report_trace(lines):
    """Print medians of the margins, and how many targets are taken at the end."""
    print("margin of the target after so many epochs, medians")
    for change, margins in lines.items():
        margins = np.array(margins)
        epochs = sorted({*range(2, 14, 2), 19, 29, margins.shape[1] - 1})
        texts = [f"{e + 1}: {np.median(margins[:, e]):+.1f}" for e in epochs]
        taken = np.mean(margins[:, -1] < 0)
        print(f"{change:22} taken {taken:.2f}   {'  '.join(texts)}", flush=True)


def cost(options):
    """Time trainings with and without EPIC, in turn; processor seconds an epoch."""
    n_epochs, found = 4, {}
    kinds = {
        "none": None,
        "scoring": EPICCallback(0.2, warmup=1, every=1),
        "training": EPICCallback(0.2, warmup=1, every=1, proxies="training"),
    }
    for name in ("perceptron", "cnn"):
        _, net, (X, y, *_) = from_scratch(name, options, "--size", str(options.size))
        for turn in range(options.repeats + 1):
            for kind, callback in kinds.items():
                # A limit of zero rows keeps the trainings equally long.
                callbacks = [clone_of(callback)] if callback else []
                one = clone(net).set_params(max_epochs=n_epochs, callbacks=callbacks)
                torch.manual_seed(turn)
                begin = now(options.device)
                one.fit(X, y)
                if turn:
                    seconds = (now(options.device) - begin) / n_epochs
                    found.setdefault((name, kind), []).append(seconds)
        plain = statistics.median(found[name, "none"])
        print(f"{name}, {len(X)} rows: an epoch takes {plain:.3f} s")
        for kind in ("scoring", "training"):
            ratios = np.array(found[name, kind]) / np.array(found[name, "none"]) - 1
            # Three of four epochs begin with a round.
            share = statistics.median(ratios) * n_epochs / (n_epochs - 1)
            print(f"  gradients from {kind:9} a round adds {share:6.1%} of an epoch")


def now(device):
    """Seconds of the processor, or on a GPU those of a clock, with its work done."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def clone_of(callback):
    params = callback.get_params(deep=False)
    return type(callback)(**params | {"max_drop_fraction": 0.0})


OTHERS = {"shares": shares, "trace": trace, "cost": cost}


def options_of(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="+", choices=[*ROUNDS, *OTHERS])
    parser.add_argument("--choose", action="store_true", help="try more settings")
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument(
        "--adaptive", type=float, default=0.0, help="how much poison is pulled together"
    )
    parser.add_argument(
        "--collision", action="store_true", help="feature collisions, no polytopes"
    )
    parser.add_argument("--repeats", type=int, default=5, help="of cost")
    parser.add_argument("--size", type=int, default=2500, help="training rows of cost")
    parser.add_argument("--tiny", action="store_true", help="300 rows, from scratch")
    parser.add_argument("--device", default="cpu")
    folder = os.environ.get("SKPOISON_DATA", "../shared/data")
    parser.add_argument("--data", default=folder, help="folder with mnist.npz")
    parser.add_argument("--poison", help="folder for poison, used again if it is there")
    parser.add_argument("--save", help="begin of the names of files for results")
    return parser.parse_args(arguments)


def main():
    options = options_of()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FilterWarning)
    for part in options.parts:
        if part in OTHERS:
            OTHERS[part](options)
        else:
            show(part, evaluate(part, options))


if __name__ == "__main__":
    main()
