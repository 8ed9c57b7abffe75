"""What EPIC adds to the training of a network: time and memory of the selection.

    python benchmarks/bench_neural_overhead.py --device cpu
    python benchmarks/bench_neural_overhead.py --device cuda

``selection`` picks medoids among made-up gradient proxies at the sizes of CIFAR-10
(50,000 rows, 10 classes), of ImageNet (1,300 rows in each of 1,000 classes), and of
100,000 rows in one class, 10 % medoids each. ``epoch`` times one epoch of ResNet-18 at
32 x 32 pixels (its usual form for CIFAR-10) on some batches of random images, one
scoring pass, what takes its place with ``proxies="training"`` (recording the outputs of
batches, and the gradients of all recorded rows), and a selection of the first size. It
states what EPIC every 2 epochs adds to training with either: half of a round, as a
share of an epoch. Batches, recordings and selections take turns, medians.
"""

import argparse
import resource
import statistics
import threading
import time
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from skpoison.neural import FilteredNetClassifier
from skpoison.neural._batch_log import TrainingProxies
from skpoison.neural._selection import select_medoids
from skpoison.neural._subset import RowPool

SIZES = {
    "50,000 rows, 10 classes": (10, 5_000, 10),
    "1,300 rows x 1,000 classes": (1_000, 1_300, 1_000),
    "100,000 rows, 1 class of 10": (1, 100_000, 10),
}
# To try this script with.
SMALL = {"300 rows, 3 classes": (3, 100, 10)}
N_TRAIN = 50_000


def proxies_of(n_labels, n_rows, n_outputs, device, seed=0):
    """Softmax minus one-hot, of logits like those of a half-trained network."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n_labels).repeat_interleave(n_rows)
    logits = 2 * torch.randn(len(labels), n_outputs, generator=generator)
    logits[torch.arange(len(labels)), labels] += 4
    proxies = logits.softmax(dim=1)
    proxies[torch.arange(len(labels)), labels] -= 1
    return proxies.to(device), labels.numpy()


class PeakMemory:
    """Most memory used in between, beyond what was used before, in bytes."""

    def __init__(self, device):
        self.cuda = device.startswith("cuda")

    def __enter__(self):
        if self.cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated()
            return self
        self.before = self.peak = resident_bytes()
        self.done = threading.Event()
        self.watcher = threading.Thread(target=self._watch)
        self.watcher.start()
        return self

    def _watch(self):
        while not self.done.wait(0.01):
            self.peak = max(self.peak, resident_bytes())

    def __exit__(self, *error):
        if self.cuda:
            self.peak = torch.cuda.max_memory_allocated()
            return
        self.done.set()
        self.watcher.join()

    @property
    def megabytes(self):
        """The same in MB."""
        return (self.peak - self.before) / 2**20


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def timed_selection(proxies, labels, backend, repeats):
    """Median seconds and most memory of a selection."""
    seconds = []
    device = str(proxies.device)
    for _ in range(repeats):
        with PeakMemory(device) as memory:
            begin = time.perf_counter()
            select_medoids(proxies, labels, 0.1, "exp", "canonical", backend)
            seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds), memory.megabytes


def bench_selection(args):
    print(f"{'size':30} {'backend':8} {'seconds':>9} {'MB':>7}")
    warm, labels = proxies_of(2, 2_000, 10, args.device)
    for backend in args.backends:  # compiled and loaded, before anything is timed
        select_medoids(warm, labels, 0.1, "exp", "canonical", backend)
    for name in args.sizes:
        proxies, labels = proxies_of(*(SIZES | SMALL)[name], args.device)
        for backend in args.backends:
            found = timed_selection(proxies, labels, backend, args.repeats)
            print(f"{name:30} {backend:8} {found[0]:9.2f} {found[1]:7.0f}", flush=True)


class Block(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.around = nn.Identity()
        if stride > 1 or n_in != n_out:
            self.around = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, X):
        """Add both."""
        return torch.relu(self.inner(X) + self.around(X))


def resnet18(n_classes=10):
    """Network of 18 layers for images of 32 x 32 pixels."""
    layers = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
    for place, (n_in, n_out) in enumerate(pairwise(widths)):
        layers.append(Block(n_in, n_out, 2 if place in (2, 4, 6) else 1))
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, n_classes)]
    return nn.Sequential(*layers, *head)


def synchronize(device):
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def train_batch(net, optimizer, X, y, mixed):
    with torch.autocast(X.device.type, torch.bfloat16, enabled=mixed):
        loss = nn.functional.cross_entropy(net(X), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@torch.no_grad()
def score_batch(net, X, mixed):
    with torch.autocast(X.device.type, torch.bfloat16, enabled=mixed):
        return net(X)


class Recording:
    """Outputs of batches recorded as the callback does, and their gradients."""

    def __init__(self, net, labels):
        self.net = FilteredNetClassifier(net).initialize()
        self.labels = labels
        self.pool = RowPool(len(labels), None)
        self.start()

    def start(self):
        """Forget what was recorded."""
        self.recorded, self.n_rows = TrainingProxies(self.pool), 0

    def add(self, output):
        """Record a batch."""
        rows = np.arange(self.n_rows, min(self.n_rows + len(output), len(self.labels)))
        self.n_rows += len(rows)
        y = torch.as_tensor(self.labels[rows])
        self.recorded.add(self.net, rows, output[: len(rows)], y)

    def gradients(self, output):
        """Return the gradients of all rows; what is not recorded yet, is before."""
        while self.n_rows < len(self.labels):
            self.add(output)
        begin = time.perf_counter()
        self.recorded.of(self.net, np.arange(self.n_rows))
        seconds = time.perf_counter() - begin
        self.start()
        return seconds


def bench_epoch(args):
    device = args.device
    torch.manual_seed(0)
    net = resnet18().to(device)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    X = torch.randn(args.batch_size, 3, 32, 32, device=device)
    y = torch.randint(0, 10, (args.batch_size,), device=device)
    proxies, labels = proxies_of(*(SIZES | SMALL)[args.sizes[0]], device)
    backend = args.backends[0]
    select_medoids(proxies[:8_000], labels[:8_000], 0.1, "exp", "canonical", backend)
    recording, output = Recording(net, labels), torch.randn(len(X), 10, device=device)
    seconds = {"train": [], "score": [], "record": [], "gradients": [], "select": []}
    for turn in range(args.batches + 1):
        for name, work in {
            "train": lambda: train_batch(net.train(), optimizer, X, y, args.mixed),
            "score": lambda: score_batch(net.eval(), X, args.mixed),
            "record": lambda: recording.add(output),
            "select": lambda: select_medoids(
                proxies, labels, 0.1, "exp", "canonical", backend
            ),
        }.items():
            if name == "select" and turn > args.repeats:
                continue
            synchronize(device)
            begin = time.perf_counter()
            work()
            synchronize(device)
            if turn:  # the first one warms up
                seconds[name].append(time.perf_counter() - begin)
        if turn <= args.repeats:
            seconds["gradients"].append(recording.gradients(output))
    report_epoch(args, {name: statistics.median(s) for name, s in seconds.items()})


def report_epoch(args, seconds):
    n_batches = N_TRAIN / args.batch_size
    epoch, pass_, recording = (
        n_batches * seconds[name] for name in ("train", "score", "record")
    )
    recording += seconds["gradients"]
    print(
        f"ResNet-18, 32 x 32 pixels, {N_TRAIN:,} rows, batches of {args.batch_size}, "
        f"{'bfloat16' if args.mixed else 'float32'}, {args.device}, medians of "
        f"{args.batches} batches, loading not counted:"
    )
    print(f"  an epoch of training      {epoch:9.2f} s")
    print(f"  a pass over the rows      {pass_:9.2f} s  {pass_ / epoch:7.2%} of it")
    share = recording / epoch
    print(f"  recording, gradients      {recording:9.2f} s  {share:7.2%} of it")
    select = seconds["select"]
    print(f"  a selection, 10 % medoids {select:9.2f} s  {select / epoch:7.2%} of it")
    share = (pass_ + select) / 2 / epoch
    print(
        f"  EPIC every 2 epochs adds {share:.2%}; with proxies='training' "
        f"{(recording + select) / 2 / epoch:.2%}; the selection alone "
        f"{select / 2 / epoch:.2%}"
    )


PARTS = {"selection": bench_selection, "epoch": bench_epoch}


def options_of(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=[*PARTS, "all"], nargs="?", default="all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--backends", nargs="+", default=["auto"])
    parser.add_argument(
        "--sizes", nargs="+", default=list(SIZES), choices=[*SIZES, *SMALL]
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--mixed", action="store_true", help="bfloat16")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


def main():
    args = options_of()
    torch.set_num_threads(args.threads)
    for name, part in PARTS.items():
        if args.part in (name, "all"):
            part(args)


if __name__ == "__main__":
    main()
