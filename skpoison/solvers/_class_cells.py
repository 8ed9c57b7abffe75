"""Bounds of a class's largest loss by branch and bound over boxes of scores.

The largest value of a convex function over a convex set. On a box, a sum of convex
functions of one number each lies below any affine function that it does not exceed at
the ends of each number's interval, and the support of the set of scores is the largest
value of that. See docs/mathematics.md, section "Several classes".
"""

from typing import NamedTuple

import numpy as np

from skpoison.losses import Squared
from skpoison.solvers._class_images import BallSlabImage, Image
from skpoison.solvers._class_losses import (
    ClassLoss,
    CrammerSinger,
    OneVsRest,
    one_hot,
)
from skpoison.solvers._class_squares import largest_squares
from skpoison.solvers._worst_class_rows import Terms, relaxed_loss

# Cells of a class: as many, or for many classes as many products of scores.
MAX_CELLS, MAX_PRODUCTS, BATCH = 30_000, 3_000_000, 256
# Steps on the affine functions above a cell, and how far from its ends it is cut.
MAX_STEPS, OFF_ENDS = 6, 0.3
TIED = 1e-12


class Cells(NamedTuple):
    """Boxes of numbers, with a bound of the sum of terms on each.

    The numbers of the row that the bound comes from say where to cut.
    """

    lower: np.ndarray  # (n_cells, n_terms)
    upper: np.ndarray  # (n_cells, n_terms)
    bounds: np.ndarray  # (n_cells,)
    numbers: np.ndarray  # (n_cells, n_terms)

    def take(self, index: np.ndarray) -> "Cells":
        """Return some of the cells."""
        return Cells(*(part[index] for part in self))

    def joined(self, other: "Cells") -> "Cells":
        """Return these cells and others."""
        return Cells(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))


class Bounded(NamedTuple):
    """A bound of a class's largest loss, and the largest loss met on the way.

    Parameters
    ----------
    bound : float
        No row of the class loses more.
    loss : float
        What some row loses.
    function : ndarray of shape (n_classes,)
        The linear function of the scores that is largest at that row.
    """

    bound: float
    loss: float
    function: np.ndarray


def bound_loss(
    loss: ClassLoss,
    image: Image,
    code: int,
    enough: float,
    max_cells: int | None = None,
    *,
    stops_at_row: bool = False,
) -> Bounded:
    """Bound a class's largest loss from above, by `enough` if that is a bound.

    With `stops_at_row`, the bound is a rough one where a row shows that it is none.
    """
    rough = relaxed_loss(loss, image, code)
    if max_cells is None:
        max_cells = min(MAX_CELLS, MAX_PRODUCTS // len(image.theta) ** 2)
    met = Bounded(rough, -np.inf, np.zeros(len(image.theta)))
    if rough <= enough or isinstance(loss, CrammerSinger):
        return met
    if _is_sum_of_squares(loss) and isinstance(image, BallSlabImage):
        targets = 2.0 * one_hot(np.array([code]), len(image.theta))[0] - 1.0
        bound, found, slopes = largest_squares(image, targets, enough)
        return Bounded(min(rough, bound), found, slopes)
    terms = Terms.of(loss, image, code)
    aim = terms.needed(enough)
    low, high = terms.lower[np.newaxis], terms.upper[np.newaxis]
    whole = Cells(low, high, np.array([np.inf]), low)
    cells, met = _tighten(terms, image, whole, aim, loss, code, met)
    n_cells = 1
    while len(cells.bounds) and n_cells < max_cells:
        if stops_at_row and met.loss > enough:
            break
        order = np.argsort(-cells.bounds, kind="stable")
        halves = _split(terms, cells.take(order[:BATCH]))
        n_cells += len(halves.bounds)
        halves, met = _tighten(terms, image, halves, aim, loss, code, met)
        cells = cells.take(order[BATCH:]).joined(halves)
    worst = terms.total(float(cells.bounds.max(initial=aim)))
    return met._replace(bound=min(rough, max(enough, worst)))


def _is_sum_of_squares(loss):
    return isinstance(loss, OneVsRest) and isinstance(loss.loss, Squared)


def _tighten(terms, image, cells, aim, loss, code, met):
    """Bound cells, and leave out those that cannot pass the aim."""
    above = _Above(terms, image, cells, aim)
    for _ in range(MAX_STEPS):
        if not above.step():
            break
    found = above.found
    losses = loss.value(found.scores, np.full(len(found.values), code))
    best = int(losses.argmax())
    if losses[best] > met.loss:
        function = above.slopes_found[best] @ terms.functions
        met = met._replace(loss=float(losses[best]), function=function)
    numbers = np.clip(above.numbers, cells.lower, cells.upper)
    bounded = cells._replace(bounds=above.bounds, numbers=numbers)
    return bounded.take(np.flatnonzero(above.bounds > aim)), met


def bounded_by_slopes(
    terms: Terms,
    image: Image,
    cells: Cells,
    aim: float,
    slopes: np.ndarray | None = None,
) -> tuple[Cells, np.ndarray]:
    """Bound cells; return them with the slopes of the affine functions that do.

    Slopes that are given have led to the bounds that the cells come with.
    """
    above = _Above(terms, image, cells, aim)
    if slopes is not None:
        above.best = slopes
    for _ in range(MAX_STEPS):
        if not above.step():
            break
    numbers = np.clip(above.numbers, cells.lower, cells.upper)
    return cells._replace(bounds=above.bounds, numbers=numbers), above.best


class _Above:
    """Affine functions above the terms on cells, improved by Polyak's steps."""

    def __init__(self, terms, image, cells, aim):
        self.terms, self.image, self.aim = terms, image, aim
        self.low, self.high, self.bounds = cells.lower, cells.upper, cells.bounds
        self.numbers = cells.numbers
        self.at_low, self.at_high = terms.value(self.low), terms.value(self.high)
        width = self.high - self.low
        self.width = np.where(width > 0.0, width, np.inf)
        self.chord = (self.at_high - self.at_low) / self.width
        self.slopes = self.best = self.chord

    def step(self) -> bool:
        """Bound the cells by these slopes, and improve them; False at the end."""
        self.slopes_found = self.slopes
        self.found = self.image.extremes(self.slopes @ self.terms.functions)
        numbers = self.found.scores @ self.terms.functions.T
        ends = np.maximum(
            self.at_low - self.slopes * self.low, self.at_high - self.slopes * self.high
        )
        values = self.found.values + ends.sum(axis=1)
        better = values < self.bounds
        self.bounds = np.where(better, values, self.bounds)
        self.numbers = np.where(better[:, np.newaxis], numbers, self.numbers)
        self.best = np.where(better[:, np.newaxis], self.slopes, self.best)
        return self._improve(values, numbers)

    def _improve(self, values, numbers):
        tied = np.abs(self.slopes - self.chord) <= TIED * np.abs(self.chord)
        inside = np.clip(numbers, self.low, self.high)
        end = np.where(self.slopes < self.chord, self.high, self.low)
        # A subgradient of the bound, in units of the intervals.
        off = (numbers - np.where(tied, inside, end)) / self.width
        size = np.vecdot(off, off)
        step = np.maximum(values - self.aim, 0.0) / np.where(size > 0.0, size, np.inf)
        moved = self.slopes - step[:, np.newaxis] * off / self.width
        # A step across the chord's slope ends there, where the bound has its kink.
        across = (self.slopes - self.chord) * (moved - self.chord) < 0.0
        self.slopes = np.where(across & ~tied, self.chord, moved)
        return bool(step.any())


def _split(terms, cells):
    """Cut each cell in two."""
    return split_at(terms, cells)[2]


def split_at(terms: Terms, cells: Cells) -> tuple[np.ndarray, np.ndarray, Cells]:
    """Cut each cell in two, across the term that its chord is farthest above.

    Returned are these terms, where they are cut, and the lower and the upper halves.
    """
    low, high = cells.lower, cells.upper
    at_low, at_high = terms.value(low), terms.value(high)
    width = high - low
    share = (cells.numbers - low) / np.where(width > 0.0, width, 1.0)
    off = at_low + share * (at_high - at_low) - terms.value(cells.numbers)
    # The row may lie on ends of all intervals: then the term that changes most.
    off += 1e-9 * np.abs(at_high - at_low)
    rows, which = np.arange(len(low)), off.argmax(axis=1)
    share = np.clip(share[rows, which], OFF_ENDS, 1.0 - OFF_ENDS)
    cut = low[rows, which] + share * width[rows, which]
    first, second = high.copy(), low.copy()
    first[rows, which], second[rows, which] = cut, cut
    halves = Cells(
        np.concatenate([low, second]),
        np.concatenate([first, high]),
        np.tile(cells.bounds, 2),
        np.tile(cells.numbers, (2, 1)),
    )
    return which, cut, halves
