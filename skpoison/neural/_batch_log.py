"""Which rows each training batch is made of."""

from collections import deque

import numpy as np
import torch
from torch.utils.data import DataLoader

from skpoison.neural._proxies import check_finite, is_by_row, target_marks


class BatchLog:
    """Rows of the batches that a loader was asked for, in the order it yields them."""

    def __init__(self):
        self.asked = deque()

    def watch(self, loader):
        """Write down the rows of each batch of a new loader."""
        batches = getattr(loader, "batch_sampler", None)
        if not isinstance(loader, DataLoader) or batches is None:
            raise ValueError(
                "proxies='training' needs to know which rows a batch is made of: "
                "iterator_train must make a torch DataLoader with a batch_size or a "
                f"batch_sampler; it made a {type(loader).__name__}"
                f"{'' if batches is not None else ' without one'}. "
                "proxies='scoring' works with any."
            )
        if loader.num_workers and not getattr(loader, "in_order", True):
            raise ValueError(
                "proxies='training' needs batches in the order of their rows: "
                "iterator_train must not have in_order=False; it has."
            )
        if not isinstance(batches, LoggedBatches):
            # A DataLoader refuses to have it set, since most loaders have begun.
            object.__setattr__(loader, "batch_sampler", LoggedBatches(batches, self))

    def next_rows(self, n_rows):
        """Return the positions of the rows of the next batch."""
        rows = self.asked.popleft() if self.asked else []
        if len(rows) != n_rows:
            raise ValueError(
                f"a batch of {n_rows} rows was made of {len(rows)}: with "
                "proxies='training', iterator_train must have no collate_fn that "
                "leaves out or adds rows."
            )
        return np.asarray(rows, dtype=np.intp)


class LoggedBatches:
    """A batch sampler that writes down what it is asked for."""

    def __init__(self, batches, log):
        self.batches, self.log = batches, log

    def __iter__(self):
        self.log.asked.clear()
        for rows in self.batches:
            rows = list(rows)
            self.log.asked.append(rows)
            yield rows

    def __len__(self):
        return len(self.batches)

    def __getattr__(self, name):
        if name in ("batches", "log"):
            raise AttributeError(name)
        return getattr(self.batches, name)


class TrainingProxies:
    """Gradients, classes and target marks of rows, taken as they are trained on.

    Where the gradient of a row depends on its own output alone, outputs are kept until
    a round needs gradients, and all are computed at once.
    """

    def __init__(self, pool):
        n_rows = len(pool.labels)
        self.pool = pool
        self.seen = np.zeros(n_rows, dtype=bool)
        self.classes, self.marks = np.zeros((2, n_rows), dtype=np.int64)
        self.gradients, self.flags = None, []
        self.waiting = []

    def __getstate__(self):
        # What was on a GPU can be loaded where there is none.
        return self.__dict__ | {
            "gradients": _on_cpu(self.gradients),
            "flags": [_on_cpu(flag) for flag in self.flags],
            "waiting": [
                (rows, _on_cpu(output), _on_cpu(y)) for rows, output, y in self.waiting
            ],
        }

    def add(self, net, rows, output, y):
        """Take what a batch was trained on."""
        self.seen[rows] = True
        output = detached(output)
        if not is_by_row(type(net).row_gradients):
            self._take(net, rows, output, y)
            return
        output = output[0] if isinstance(output, tuple) else output
        # Not views, which would keep what they are part of.
        self.waiting.append((rows, output.clone(), torch.as_tensor(y).clone()))

    def _take(self, net, rows, output, y):
        part = net.row_gradients(output, y)
        if self.gradients is None:
            shape = len(self.seen), part.shape[1]
            self.gradients = part.new_empty(shape, dtype=torch.float32)
        self.gradients[torch.as_tensor(rows, device=part.device)] = part.float()
        self.classes[rows] = torch.as_tensor(net.row_classes(y)).cpu().numpy()
        self.marks[rows] = target_marks(y)
        self.flags.append(net._batch_flag(output))

    def of(self, net, rows):
        """Return those of some rows, which must have been seen."""
        if self.waiting:
            all_rows, output, y = zip(*self.waiting, strict=True)
            self.waiting, all_rows = [], np.concatenate(all_rows)
            # Of a row that was drawn several times, the last time.
            backwards = np.unique(all_rows[::-1], return_index=True)[1]
            last = torch.from_numpy(len(all_rows) - 1 - backwards)
            output, y = torch.cat(output), torch.cat(y)
            part = output[last.to(output.device)], y[last.to(y.device)]
            self._take(net, all_rows[last.numpy()], *part)
        gradients = self.gradients[torch.as_tensor(rows, device=self.gradients.device)]
        check_finite(gradients)
        net._check_flags(self.flags)
        return gradients, self.classes[rows], self.marks[rows]


def _on_cpu(tensor):
    return tensor.cpu() if torch.is_tensor(tensor) else tensor


def detached(output):
    """Return what a module returned, without its graph."""
    if isinstance(output, tuple):
        return tuple(detached(part) for part in output)
    return output.detach() if torch.is_tensor(output) else output
