"""The set of rows that a bounded perturbation can reach."""

from typing import NamedTuple

import torch

TINY = torch.finfo(torch.float32).tiny


class AllowedRows(NamedTuple):
    """All rows within a distance of the bases, and within a range of values."""

    bases: torch.Tensor
    radius: float
    norm: str
    low: torch.Tensor
    high: torch.Tensor

    def to(self, *args):
        """Return the same set on another device, or in another precision."""
        tensors = (self.bases, self.low, self.high)
        bases, low, high = (tensor.to(*args) for tensor in tensors)
        return self._replace(bases=bases, low=low, high=high)

    def project(self, rows):
        """Return the nearest allowed rows."""
        if self.norm == "linf":
            low = (self.bases - self.radius).clamp(min=self.low)
            return rows.clamp(low, (self.bases + self.radius).clamp(max=self.high))
        change = (rows - self.bases).flatten(1)
        limit = torch.where(
            change.reshape(rows.shape) > 0,
            self.high - self.bases,
            self.bases - self.low,
        )
        limit = limit.flatten(1).clamp(min=0)
        change = _into_ball(change, limit, self.radius)
        moved = self.bases + change.reshape(rows.shape)
        return moved.clamp(self.low, self.high)

    def draw(self, generator):
        """Draw one row for each base, uniformly among the allowed ones."""
        shape, device = self.bases.shape, self.bases.device
        if self.norm == "linf":
            change = 2 * torch.rand(shape, generator=generator) - 1
        else:
            change = torch.randn(shape, generator=generator)
            lengths = change.flatten(1).norm(dim=1)
            share = torch.rand(len(lengths), generator=generator)
            # All of the ball alike: what is inside a radius grows with its power.
            share **= 1 / max(1, change[0].numel())
            change *= (share / lengths).reshape(-1, *[1] * (len(shape) - 1))
        change = change.to(device, self.bases.dtype)
        return self.project(self.bases + self.radius * change)

    def step(self, share):
        """Return the change of each value in a step of a fraction of the radius."""
        width = (self.high - self.low).max().item()
        radius = self.radius
        if self.norm == "l2":
            radius /= self.bases[0].numel() ** 0.5
        return share * min(radius, width)


def _into_ball(change, limit, radius):
    """Project changes onto the ball and the limits.

    The nearest change is ``min(t * change, limit)`` in each value, for one t in (0, 1].
    Where fewer values are at their limits than should be, t is too small, so it only
    grows, and ends once no more values reach their limits.
    """
    size = change.abs()
    inside = torch.minimum(size, limit).square().sum(dim=1) <= radius**2
    if inside.all():
        return torch.minimum(size, limit) * change.sign()
    free = torch.ones_like(size, dtype=torch.bool)
    while True:
        rest = (radius**2 - (limit.square() * ~free).sum(dim=1)).clamp(min=0)
        t = (rest / (size.square() * free).sum(dim=1).clamp(min=TINY)).sqrt()
        t = torch.where(inside, torch.ones_like(t), t)[:, None]
        still = free & (t * size < limit)
        if torch.equal(still, free):
            return torch.minimum(t * size, limit) * change.sign()
        free = still
