"""Medoids among gradient proxies, on their device.

The twin of :mod:`skpoison.coreset` in torch: dissimilarities are the same integers,
computed by the same operations, each rounded on its own, in the same order; so are
gains, which are sums of integers. Hence the same medoids, ties included. (No operation
here may fuse a product with a sum, which would round once instead of twice.)
"""

import numpy as np
import torch

from skpoison.coreset import facility_location
from skpoison.coreset.backend import (
    BASE,
    FARTHEST,
    SERIES,
    STEPS,
    UNIT,
    WEIGHT,
    ClassSplit,
    LazyQueue,
)

# Dissimilarities of a batch of classes that are stored, in bytes; and how many are
# computed at once, at about forty bytes each.
STORED_BYTES = 2**30
BLOCK = 2**22
PICKED = -1


def select_medoids(
    proxies, labels, medoid_fraction, similarity, order, backend, partitions=None
):
    """Pick medoids within each class, as :func:`skpoison.coreset.facility_location`.

    ``backend="auto"`` is torch on CUDA devices, which does not divide classes; all
    backends give the same medoids of classes that are not divided.
    """
    on_device = backend == "auto" and proxies.device.type == "cuda"
    if on_device or backend == "torch":
        return _select_in_torch(proxies, labels, medoid_fraction, similarity, order)
    return facility_location(
        proxies.cpu().numpy(),
        float(medoid_fraction),
        labels=labels,
        similarity=similarity,
        order=order,
        backend=backend,
        partitions=partitions,
    )


@torch.no_grad()
def _select_in_torch(proxies, labels, medoid_fraction, similarity, order):
    split = ClassSplit(labels, float(medoid_fraction))
    parts = [None] * len(split.counts)
    for classes in batches(split.counts, proxies.shape[1]):
        batch = ClassBatch(proxies, [split.rows[code] for code in classes], similarity)
        found = greedy(batch, split.budgets[classes], order)
        for code, part in zip(classes, found, strict=True):
            parts[code] = part
    return split.join(parts)


def batches(counts, n_features):
    """Yield classes that are processed together, large ones first.

    As many as can have all dissimilarities stored; of larger ones, each alone.
    """
    order = np.argsort(-counts, kind="stable")
    start = 0
    while start < len(order):
        largest = int(counts[order[start]])
        n_fitting = STORED_BYTES // (4 * largest * max(largest, n_features))
        stop = start + max(1, n_fitting)
        yield order[start:stop]
        start = stop


class ClassBatch:
    """Rows of several classes, side by side, and their dissimilarities.

    Classes with fewer rows than the largest are padded with copies of their first row,
    which no method counts. ``columns`` (n_batch, n_features, n_most) holds the rows,
    transposed; ``valid`` (n_batch, n_most) is False for padding; ``stored`` are all
    dissimilarities (n_batch, n_most, n_most), int32, or None; ``largest`` (n_batch,) is
    the similarity of equal rows.
    """

    def __init__(self, proxies, rows_of, similarity):
        device, self.sizes = proxies.device, [len(rows) for rows in rows_of]
        n_batch, n_most = len(rows_of), max(self.sizes)
        places = np.array([np.r_[r, np.repeat(r[0], n_most - len(r))] for r in rows_of])
        places = torch.from_numpy(places).to(device)
        self.columns = proxies[places].transpose(1, 2).contiguous()
        sizes = torch.tensor(self.sizes, device=device)
        self.valid = torch.arange(n_most, device=device) < sizes[:, None]
        self.linear = similarity == "linear"
        self._measure(proxies.shape[1])
        tables = (torch.from_numpy(table).to(device) for table in (BASE, WEIGHT))
        self.base, self.weight = tables
        self.stored = None
        if 4 * n_batch * n_most**2 <= STORED_BYTES:
            self.stored = self._all_dissimilarities()

    def __len__(self):
        return len(self.sizes)

    @property
    def device(self):
        """Where the rows are."""
        return self.columns.device

    @property
    def n_most(self):
        """Rows of the largest class."""
        return self.columns.shape[2]

    def _measure(self, n_features):
        self.largest = np.ones(len(self))
        inverse = np.full(len(self), 1.0 / n_features)
        if self.linear:
            self.largest = np.sqrt(self._largest_squares())
            inverse = np.divide(1.0, self.largest, where=self.largest > 0, out=inverse)
            inverse[self.largest == 0] = 0.0
        inverse = torch.from_numpy(inverse.astype(np.float32)).to(self.device)
        self.inverse = inverse[:, None, None]
        span = self.columns.amax(dim=2) - self.columns.amin(dim=2)
        farthest = span.double().square().sum(dim=1).sqrt().max().item()
        self.near = farthest / n_features < 0.99 / STEPS

    def blocks(self, n_rows):
        """Yield slices of positions that are processed at once."""
        step = max(1, BLOCK // (len(self) * self.n_most))
        for start in range(0, n_rows, step):
            yield slice(start, start + step)

    def _squares(self, rows):
        """Squared distances from ``rows`` of each class to all of its rows."""
        n_features = self.columns.shape[1]
        here = self.columns.gather(2, rows[:, None].expand(-1, n_features, -1))
        squares = None
        for x, y in zip(here.unbind(1), self.columns.unbind(1), strict=True):
            difference = x[:, :, None] - y[:, None, :]
            difference.mul_(difference)
            squares = difference if squares is None else squares.add_(difference)
        return squares

    def _all_rows(self):
        rows = torch.arange(self.n_most, device=self.device)
        return rows.expand(len(self), -1)

    def _largest_squares(self):
        largest = torch.zeros(len(self), device=self.device)
        for part in self.blocks(self.n_most):
            squares = self._squares(self._all_rows()[:, part])
            largest = torch.maximum(largest, squares.amax(dim=(1, 2)))
        return largest.double().cpu().numpy()

    def _all_dissimilarities(self):
        shape = (len(self), self.n_most, self.n_most)
        stored = torch.empty(shape, dtype=torch.int32, device=self.device)
        for part in self.blocks(self.n_most):
            stored[:, part] = self._computed(self._all_rows()[:, part])
        return stored

    def _computed(self, rows):
        # The root of a float32 taken in float64 is right to the last bit when rounded
        # back; a root taken in float32 is not, with the vector library that torch uses.
        distances = self._squares(rows).double().sqrt_().float()
        scaled = distances.mul_(self.inverse).double()
        if self.linear:
            units = scaled.clamp_(max=1.0).mul_(UNIT)
        elif self.near:
            units = _near_units(scaled)
        else:
            rest = scaled.clamp_(max=FARTHEST)
            steps = (rest * STEPS).long()
            rest -= steps.double() / STEPS
            units = _near_units(rest).mul_(self.weight[steps]).add_(self.base[steps])
        return units.add_(0.5).to(torch.int32)

    def dissimilarities(self, rows):
        """Return dissimilarities of some rows of each class to all of it, int32."""
        if self.stored is None:
            return self._computed(rows)
        return self.stored[torch.arange(len(self), device=self.device)[:, None], rows]

    def lost_gains(self, rows, old, new):
        """Return how much candidates' gains shrink as rows get nearer to a medoid.

        ``old`` and ``new`` are the distances of ``rows`` (n_batch, n_rows) from their
        medoid; equal ones do not count.
        """
        lost = old.sum(dim=1, dtype=torch.int64)[:, None].repeat(1, self.n_most)
        for part in self.blocks(rows.shape[1]):
            still = self.dissimilarities(rows[:, part])
            torch.minimum(still, old[:, part, None], out=still)
            torch.maximum(still, new[:, part, None], out=still)
            lost -= still.sum(dim=1, dtype=torch.int64)
        return lost

    def first_gains(self):
        """Return the gain of each row as the first medoid; ``PICKED`` for padding."""
        old = self.valid.to(torch.int32) * UNIT
        gains = self.lost_gains(self._all_rows(), old, torch.zeros_like(old))
        return gains.masked_fill_(~self.valid, PICKED)


def _near_units(rest):
    units = rest * SERIES[-1]
    for coefficient in SERIES[-2::-1]:
        units.add_(coefficient).mul_(rest)
    return units


class _Canonical:
    """Picks the largest gain of each class; of equal ones, that of the lowest index."""

    def __init__(self, gains, sizes):
        self.gains = gains

    def next(self, active):
        return self.gains.argmax(dim=1)


class _Lazies:
    """Picks what lazy greedy finds in each class, by heaps in main memory."""

    def __init__(self, gains, sizes):
        self.gains = gains
        self.copy = gains.cpu()
        rows = zip(self.copy.numpy(), sizes, strict=True)
        self.heaps = [LazyQueue(row[:size]) for row, size in rows]

    def next(self, active):
        self.copy.copy_(self.gains)
        found = [
            heap.pop() if goes_on else 0
            for heap, goes_on in zip(self.heaps, active, strict=True)
        ]
        return torch.tensor(found, device=self.gains.device)


def greedy(batch, budgets, order):
    """Pick medoids in all classes of a batch, one in each at a time.

    Returns, for each class, what ``ClassSplit.join`` takes.
    """
    gains = batch.first_gains()
    queue = {"canonical": _Canonical, "lazy": _Lazies}[order](gains, batch.sizes)
    current = batch.valid.to(torch.int32) * UNIT
    nearest = torch.zeros_like(gains)
    shape = (len(batch), int(budgets.max()))
    picks = torch.empty(shape, dtype=torch.int64, device=batch.device)
    picked_gains = torch.empty_like(picks)
    for position in range(shape[1]):
        active = position < budgets
        picks[:, position] = pick = queue.next(active)
        picked_gains[:, position] = gains.gather(1, pick[:, None])[:, 0]
        to_pick = batch.dissimilarities(pick[:, None])[:, 0]
        changed = to_pick < current
        if not active.all():
            changed &= torch.from_numpy(active).to(batch.device)[:, None]
        gains -= batch.lost_gains(*_packed(changed, current, to_pick))
        current = torch.where(changed, to_pick, current)
        nearest.masked_fill_(changed, position)
        gains.scatter_(1, pick[:, None], PICKED)
    return _parts(batch, budgets, picks, picked_gains, nearest)


def _packed(changed, current, to_pick):
    """Return positions of changed rows, their old and new values, zero-padded."""
    most = int(changed.sum(dim=1).max())
    code, row = changed.nonzero(as_tuple=True)
    place = (changed.cumsum(dim=1) - 1)[code, row]
    rows, old, new = (
        torch.zeros((len(changed), most), dtype=dtype, device=changed.device)
        for dtype in (torch.int64, torch.int32, torch.int32)
    )
    rows[code, place] = row
    old[code, place] = current[code, row]
    new[code, place] = to_pick[code, row]
    return rows, old, new


def _parts(batch, budgets, picks, gains, nearest):
    tensors = (tensor.cpu().numpy() for tensor in (picks, gains, nearest))
    rows = zip(*tensors, budgets, batch.sizes, batch.largest / UNIT, strict=True)
    return [
        (picks[:budget], gains[:budget] * unit, nearest[:size])
        for picks, gains, nearest, budget, size, unit in rows
    ]
