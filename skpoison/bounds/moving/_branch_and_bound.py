"""The largest loss over all splits, certified: branch and bound."""

import heapq
from typing import NamedTuple

import numpy as np

from skpoison.bounds.moving._displacements import (
    coordinates,
    mean_loss,
    repaired,
    worst_at_split,
)
from skpoison.bounds.moving._programs import (
    MASSES,
    N_OVER_CELL,
    SQUARES,
    Cell,
    cell_program,
)
from skpoison.bounds.moving._reduction import GROUPS
from skpoison.solvers._conic import SolverError, solve_program

# Cells narrower than this are left as they are: solvers need an inside.
NARROWEST = 1e-3


class TreeCell(NamedTuple):
    """A cell of the tree of cells, with what proves its bound, and how it was halved.

    Parameters
    ----------
    dual : ndarray of shape (n_rows,) or None
        Multipliers of the cell's program; None where no solver solved it.
    group, limit : int, float
        The group whose part was halved, and where; -1 for a cell that was not.
    halves : tuple of int
        The positions of both halves.
    """

    dual: np.ndarray | None
    group: int = -1
    limit: float = 0.0
    halves: tuple[int, ...] = ()


class Cover(NamedTuple):
    """Bounds on the worst attack at given parameters.

    Parameters
    ----------
    upper : float
        No attack has a larger mean loss, whatever its split.
    lower : float
        Mean loss of `attack`, which passes.
    attack : Displacements or None
        The worst attack found.
    n_programs : int
        Number of conic programs solved.
    n_cells : int
        Number of cells among them.
    tree : list of TreeCell
        The cells, the first of which is halved first.
    """

    upper: float
    lower: float
    attack: object
    n_programs: int
    n_cells: int
    tree: list[TreeCell]


def cover_splits(plane, n_axes, *, goal, max_programs=10_000, splits=()):
    """Bound the mean loss of every attack, whatever its split.

    The splits are covered by cells; the cell with the largest bound is halved until
    the best attack found is within tolerance of it.

    Shapes: splits (4,).
    """
    search = _CellSearch(plane, n_axes)
    for split in [*np.eye(GROUPS)[::2], *splits]:
        search.try_split(split)
    search.push(Cell(np.zeros(GROUPS), np.ones(GROUPS)), np.inf)
    while search.heap and search.n_programs < max_programs:
        upper, place, cell, point = search.top()
        if upper <= goal(search.lower) or _width(cell) < NARROWEST:
            break
        search.pop()
        search.try_point(point)
        group, limit = split_of(cell, point)
        search.halved(place, group, limit)
        for half in halves(cell, group, limit):
            search.push(half, upper)
    return search.result()


class _CellSearch:
    """Cells by their bounds, and the best attack so far."""

    def __init__(self, plane, n_axes):
        self.plane, self.n_axes = plane, n_axes
        self.heap, self.tree = [], []
        self.lower, self.attack = 0.0, None
        self.n_programs = self.n_cells = 0

    def try_split(self, split):
        self.n_programs += 1
        attack = worst_at_split(self.plane, split, self.n_axes)
        loss = 0.0 if attack is None else mean_loss(self.plane, attack)
        if loss > self.lower:
            self.lower, self.attack = loss, attack

    def try_point(self, point):
        """Try the split of a cell's solution, if it looks promising."""
        masses = np.maximum(point[MASSES], 0.0)
        split = masses / masses.sum()
        rows = coordinates(point, self.n_axes) / np.maximum(masses, 1e-9)[:, np.newaxis]
        attack = repaired(self.plane, split, rows)
        if attack is not None and mean_loss(self.plane, attack) > self.lower:
            self.try_split(split)

    def push(self, cell, at_most):
        """Bound a cell by at most the bound of its parent."""
        self.n_programs += 1
        self.n_cells += 1
        try:
            value, point, dual = solve_program(cell_program(self.plane, cell))
        except SolverError:
            if at_most == np.inf:
                raise
            # What bounds the cell around it bounds the cell.
            value, point, dual = at_most, _middle(cell), None
        value = min(value, at_most)
        heapq.heappush(self.heap, (-value, len(self.tree), cell, point))
        self.tree.append(TreeCell(dual))

    def halved(self, place, group, limit):
        """Note how a cell is halved, before its halves are pushed."""
        parts = len(self.tree), len(self.tree) + 1
        self.tree[place] = TreeCell(self.tree[place].dual, group, limit, parts)

    def top(self):
        value, place, cell, point = self.heap[0]
        return -value, place, cell, point

    def pop(self):
        heapq.heappop(self.heap)

    def result(self):
        upper = max(self.top()[0], self.lower, 0.0)
        found = self.lower, self.attack, self.n_programs, self.n_cells
        return Cover(upper, *found, self.tree)


def _middle(cell):
    point = np.zeros(N_OVER_CELL)
    point[MASSES] = 0.5 * (cell.lower + cell.upper)
    point[SQUARES] = point[MASSES] ** 2 + 0.25 * (cell.upper - cell.lower) ** 2
    return point


def _width(cell):
    return float(np.max(cell.upper - cell.lower))


def split_of(cell, point):
    """Return the group and the limit to halve a cell at, by a solution.

    The group is the one whose relaxation is least exact. Shapes: point (n_variables,).
    """
    widths = cell.upper - cell.lower
    slack = np.maximum(point[SQUARES] - point[MASSES] ** 2, 0.0)
    group = int(np.argmax(slack + 1e-3 * widths**2))
    return group, float(0.5 * (cell.lower[group] + cell.upper[group]))


def halves(cell, group, limit):
    """Halve a cell at a limit of a group's part."""
    lower, upper = cell.lower.copy(), cell.upper.copy()
    lower[group] = upper[group] = limit
    return [tightened(cell.lower, upper), tightened(lower, cell.upper)]


def tightened(lower, upper):
    """Tighten limits by the condition that the parts sum to one.

    Shapes: lower, upper (4,).
    """
    lower = np.maximum(lower, 1.0 - (upper.sum() - upper))
    upper = np.minimum(upper, 1.0 - (lower.sum() - lower))
    return Cell(lower, np.maximum(upper, lower))
