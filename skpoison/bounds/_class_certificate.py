"""What certificate files hold of a bound for several classes: boxes and slopes."""

from typing import Any, NamedTuple

import numpy as np

from skpoison.bounds._dual import GRID, LIGHTER
from skpoison.losses import Hinge, Logistic, ModifiedHuber, Squared, SquaredHinge
from skpoison.solvers._class_cells import BATCH, Cells, bounded_by_slopes, split_at
from skpoison.solvers._class_images import images
from skpoison.solvers._class_losses import CrammerSinger, Multinomial
from skpoison.solvers._class_problem import ClassProblem, dual_terms
from skpoison.solvers._worst_class_rows import Terms
from skpoison.verify import _classes, _file

MARGINS: dict[type, str] = {
    Hinge: "hinge",
    SquaredHinge: "squared_hinge",
    ModifiedHuber: "modified_huber",
    Logistic: "logistic",
    Squared: "squared",
}


NONE = np.zeros(0, dtype=int)


class ClassDual(NamedTuple):
    """A point of the dual: slopes by the scores times weights, times n."""

    row_masses: np.ndarray  # (n_samples, n_classes)
    points: np.ndarray  # (n_points, n_features)
    labels: np.ndarray  # (n_points,): positions of classes
    poison_masses: np.ndarray  # (n_points, n_classes)
    poison_shares: np.ndarray  # (n_points,): weights of the poison rows


def name_of(loss: Any) -> str | None:
    """Return the name of a loss in files; None where files have none."""
    joint = {Multinomial: _classes.MULTINOMIAL, CrammerSinger: _classes.CRAMMER_SINGER}
    if type(loss) in joint:
        return joint[type(loss)]
    name = MARGINS.get(type(loss.loss))
    return None if name is None else f"{_classes.ONE_VS_REST}{name}"


def dual_of_classes(problem: ClassProblem, found: Any) -> ClassDual:
    """Return the dual point of a solution."""
    n_rows, poison = len(problem.rows.codes), found.poison.rows(problem.epsilon)
    parts: list = [(problem.rows, found.slopes)]
    if problem.has_attacker:
        parts.append((poison, found.poison.aims))
    slopes = dual_terms(problem, parts).slopes
    masses = n_rows * problem.rows.weights[:, np.newaxis] * slopes[0]
    used = np.flatnonzero(poison.weights > 0.0) if problem.has_attacker else NONE
    shares = n_rows * poison.weights[used] * (1.0 - LIGHTER)
    aims = slopes[1][used] if len(used) else np.zeros((0, problem.n_classes))
    sent = shares[:, np.newaxis] * aims
    return ClassDual(masses, poison.X[used], poison.codes[used], sent, shares)


def evened(
    dual: ClassDual, codes: np.ndarray, weights: np.ndarray, loss: Any, is_free: bool
) -> ClassDual:
    """Put masses on a grid, so that they cancel exactly where they have to.

    Those of a joint loss do so in each row, and those of a class over all rows where
    intercepts are free.
    """
    is_joint = isinstance(loss, Multinomial | CrammerSinger)
    largest = np.abs(dual.row_masses).max(initial=0.0)
    if not largest > 0.0 or not (is_joint or is_free):
        return dual
    grid = GRID * 2.0 ** np.floor(np.log2(largest))
    masses = grid * np.trunc(dual.row_masses / grid)
    sent = grid * np.trunc(dual.poison_masses / grid)
    if is_joint:
        masses = _summing_to_zero(masses, codes)
        sent = _summing_to_zero(sent, dual.labels)
    if is_free:
        excess = masses.sum(axis=0) + sent.sum(axis=0)  # exact, on the grid
        if is_joint:
            shares = masses.copy()
            shares[np.arange(len(codes)), codes] += weights
            masses[int(shares.min(axis=1).argmax())] -= excess
        else:
            signs = 2.0 * (codes[:, np.newaxis] == np.arange(masses.shape[1])) - 1.0
            slopes, (least, most) = -signs * masses, loss.loss.slope_range
            slack = np.full_like(slopes, np.inf)
            if np.isfinite(least):
                slack = slopes - least * weights[:, np.newaxis]
            if np.isfinite(most):
                slack = np.minimum(slack, most * weights[:, np.newaxis] - slopes)
            slack[weights == 0.0] = 0.0
            for k, row in enumerate(slack.argmax(axis=0)):
                masses[row, k] -= excess[k]
    return dual._replace(row_masses=masses, poison_masses=sent)


def _summing_to_zero(masses, codes):
    """Let each row's own class take what the others have."""
    masses, each = masses.copy(), (np.arange(len(codes)), codes)
    masses[each] = 0.0
    masses = np.maximum(masses, 0.0)
    masses[each] = -masses.sum(axis=1)
    return masses


def boxes_of(problem: ClassProblem, theta: np.ndarray, enough: float) -> dict:
    """Return the arrays of the boxes that prove the largest loss, class by class."""
    n_classes, nodes = len(theta), []
    if not isinstance(problem.loss, CrammerSinger):
        for code, image in enumerate(images(problem.outer, theta)):
            weight = float(problem.poison_weights[code])
            counts = problem.has_attacker and weight > 0.0
            aim = enough / weight if counts else np.inf
            tree = _Tree(problem.loss, image, code, aim, _file.MOST // n_classes)
            nodes += tree.nodes()
    slopes = np.zeros((len(nodes), n_classes))
    for place, (*_, own) in enumerate(nodes):
        slopes[place, : len(own)] = own
    return {
        "tree_features": np.array([node[0] for node in nodes], dtype=np.int64),
        "tree_limits": np.array([node[1] for node in nodes], dtype=np.float64),
        "tree_slopes": slopes,
    }


class _Tree:
    """Boxes of a class's numbers, cut until none has a bound above the aim."""

    def __init__(self, loss, image, code, enough, most):
        terms = Terms.of(loss, image, code)
        low, high = terms.lower[np.newaxis], terms.upper[np.newaxis]
        whole = Cells(low, high, np.array([np.inf]), low)
        aim = terms.needed(enough)
        cells, slopes = bounded_by_slopes(terms, image, whole, aim)
        self.cuts: list[tuple] = [(-1, 0.0, ())]  # number, limit, and both parts
        self.slopes = [slopes[0]]
        places = np.flatnonzero(cells.bounds > aim)
        cells = cells.take(places)
        while len(places) and len(self.cuts) + 2 * BATCH <= most:
            order = np.argsort(-cells.bounds, kind="stable")
            first, rest = order[:BATCH], order[BATCH:]
            numbers, limits, halves = split_at(terms, cells.take(first))
            start, n_cut = len(self.cuts), len(first)
            for i, place in enumerate(places[first]):
                parts = start + i, start + n_cut + i
                self.cuts[place] = int(numbers[i]), float(limits[i]), parts
            before = np.array([self.slopes[place] for place in places[first]])
            before = np.tile(before, (2, 1))
            halves, slopes = bounded_by_slopes(terms, image, halves, aim, before)
            self.cuts += [(-1, 0.0, ())] * (2 * n_cut)
            self.slopes += list(slopes)
            above = np.flatnonzero(halves.bounds > aim)
            cells = cells.take(rest).joined(halves.take(above))
            places = np.concatenate([places[rest], start + above])

    def nodes(self):
        """Return the nodes in preorder: number, limit and slopes of each."""
        stack = [0]
        while stack:
            here = stack.pop()
            number, limit, parts = self.cuts[here]
            yield number, limit, self.slopes[here]
            stack += reversed(parts)
