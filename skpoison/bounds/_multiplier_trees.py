"""Multipliers of sphere and slab for rows of a domain, as certificate files hold them.

Trees of which each leaf has its own: the least Lagrangian bounds, and where these leave
a gap to the bound that was found, branch and bound over whole features.
"""

import heapq
from itertools import count
from typing import NamedTuple

import numpy as np

from skpoison.feasible import SphereSlab
from skpoison.feasible._columns import Columns
from skpoison.feasible.discrete._blocks import EmptySetError, split
from skpoison.feasible.discrete._branch_and_bound import cut, fractional
from skpoison.feasible.discrete._dual import minimize_dual
from skpoison.feasible.discrete._lagrangian import Lagrangian
from skpoison.feasible.discrete._listing import list_rows

MAX_LEAVES = 150
# Where rows are listed the bound is exact, and its proof is longer the more there are.
LEAVES_PER_ROW = 4
# What multipliers that prove a set empty are multiplied by.
EMPTY = 1e9


class Tree(NamedTuple):
    """A tree in preorder: splits with their limits, and leaves with multipliers."""

    features: list
    limits: list
    multipliers: list

    def __add__(self, other):
        return Tree(*(one + two for one, two in zip(self, other, strict=True)))


NO_TREE = Tree([], [], [])


def leaf(lam: float, nu: float) -> Tree:
    """Return a tree that is not split."""
    return Tree([-1], [0.0], [(lam, nu)])


class _Node:
    """A part of the set with its bound, which may be split."""

    def __init__(self, problem, start=None):
        minimum = minimize_dual(problem, start)
        best = minimum.best
        # Of an empty set, larger multipliers of the same kind have any bound.
        times = EMPTY if best.value < problem.floor() else 1.0
        self.problem, self.multipliers = problem, (times * best.lam, times * best.nu)
        self.bound = best.value + minimum.rounding
        self.split_at = fractional(problem, minimum)
        self.parts: list[_Node] = []

    def split(self):
        """Split at the feature that is farthest from whole."""
        feature, middle = self.split_at
        ends = ("upper", np.floor(middle)), ("lower", np.ceil(middle))
        cuts = [cut(self.problem, feature, *end) for end in ends]
        self.parts = [_Node(part, self.multipliers) for part in cuts]
        return self.parts

    def tree(self, norm):
        """Return the tree, its multipliers those of a function of this norm."""
        if not self.parts:
            lam, nu = self.multipliers
            return leaf(norm * lam, norm * nu)
        feature, middle = self.split_at
        here = Tree([int(feature)], [float(np.floor(middle))], [(0.0, 0.0)])
        return here + self.parts[0].tree(norm) + self.parts[1].tree(norm)


def trees_of_set(
    base: SphereSlab, columns: Columns, a: np.ndarray, enough: float
) -> Tree:
    """Return a tree for each piece of a domain, for the largest ``a @ x`` of a set.

    Where the bound is above `enough`, the set is split as often as this helps.
    """
    found = NO_TREE
    for piece in columns.pieces:
        found += _tree_of_piece(base, piece, a, enough)
    return found


def _tree_of_piece(base, columns, a, enough):
    norm = float(np.linalg.norm(a))
    if not norm > 0.0:
        return leaf(0.0, 0.0)
    try:
        parts = split(columns, base)
    except EmptySetError:  # whose limits contradict each other, at any multipliers
        return leaf(0.0, 0.0)
    square = base.radius**2
    root = _Node(Lagrangian(parts, a / norm, square, base.lower, base.upper))
    limit = (enough - float(a @ base.center)) / norm
    order = count()
    opened = [(-root.bound, next(order), root)]
    listed = list_rows(parts, base)
    most = MAX_LEAVES + (0 if listed is None else LEAVES_PER_ROW * len(listed))
    while len(opened) < most and -opened[0][0] > limit:
        node = opened[0][2]
        if node.split_at[0] is None:
            break
        heapq.heappop(opened)
        for part in node.split():
            heapq.heappush(opened, (-part.bound, next(order), part))
    return root.tree(norm)
