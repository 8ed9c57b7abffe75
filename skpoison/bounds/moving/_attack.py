"""Attacks in whole rows: from displacements to rows that the filter keeps."""

import warnings
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import clone

from skpoison._whole_rows import apportion_upwards, n_poison_rows
from skpoison.bounds.moving._branch_and_bound import cover_splits
from skpoison.bounds.moving._displacements import repaired, worst_at_split
from skpoison.bounds.moving._reduction import COUNTING, SIDES, reduce_to_plane
from skpoison.exceptions import FilterWarning
from skpoison.solvers._train import PoisonCopies, train_on, warm_start
from skpoison.solvers._working_set import Solution

# How far inside of sphere and slab rows are put, relatively, until the filter agrees.
MARGINS = (1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)
# Attacks that are sent through the filter and trained on: those that made the bound,
# and the worst ones against what was trained on the best so far.
MAX_PLANS, N_ANSWERS = 4, 3


class Trial(NamedTuple):
    """An attack tried against the filter, and the learner trained on what was kept.

    Parameters
    ----------
    attack : PoisonCopies
        Rows in whole copies; the filter, fitted on them too, keeps all of them.
    trained : Solution
        The learner trained on what the filter keeps.
    kept : ndarray of shape (n_samples,), dtype=bool
        The clean rows that the filter keeps.
    """

    attack: PoisonCopies
    trained: Solution
    kept: np.ndarray


class RefittedFilter:
    """The filter as it is used, fitted on clean and poison rows together.

    Parameters
    ----------
    filter : filter
        Radii given, centroids not.
    X : {ndarray, csr_matrix} of shape (n_samples, n_features)
        Clean rows.
    codes : ndarray of shape (n_samples,)
        Positions of their labels.
    classes : ndarray of shape (2,)
        Both labels.
    """

    def __init__(self, filter, X, codes, classes):
        self.filter, self.X, self.codes, self.classes = filter, X, codes, classes

    def keeps(self, attack):
        """Return which clean rows and which poison rows pass.

        Returns masks: clean rows (n_samples,), distinct poison rows (n_points,).
        """
        points = np.repeat(attack.points.astype(self.X.dtype), attack.copies, axis=0)
        stack = np.vstack
        if sparse.issparse(self.X):
            points, stack = sparse.csr_matrix(points), _stack_sparse
        codes = np.append(self.codes, np.repeat(attack.signs > 0, attack.copies))
        with warnings.catch_warnings():
            # A class that loses every row keeps its best one: the mask says so.
            warnings.simplefilter("ignore", FilterWarning)
            fitted = clone(self.filter).fit(
                stack([self.X, points]), self.classes[codes.astype(int)]
            )
        firsts = len(self.codes) + np.cumsum(attack.copies) - attack.copies
        mask = fitted.inlier_mask_
        return mask[: len(self.codes)], mask[firsts]


def _stack_sparse(parts):
    return sparse.vstack(parts, format="csr")


def best_trial(found, defense, refitted, *, tol, rng):
    """Try the most promising attacks; keep the most harmful, or an empty one."""
    best: Trial | None = None
    for plan in plans(found, defense):
        best = _better(best, plan, found, defense, refitted, tol, rng)
    if best is None:
        attack, kept = _nothing(found, refitted)
        return _trial(found, attack, kept, tol, rng)
    for _ in range(N_ANSWERS):
        plan = _answer(best.trained, found, defense)
        best = _better(best, plan, found, defense, refitted, tol, rng)
    return best


def _better(best, plan, found, defense, refitted, tol, rng):
    """Try an attack; return it if it does more harm than the best one so far."""
    sent = None if plan is None else send(plan, found, defense, refitted, rng)
    if sent is None:
        return best
    attack, kept = sent
    trial = _trial(found, attack, kept, tol, rng)
    if best is None or trial.trained.upper > best.trained.upper:
        return trial
    return best


def _trial(found, attack, kept, tol, rng):
    return Trial(attack, train_behind(found, kept, attack, tol, rng), kept)


def _answer(trained, found, defense):
    """Return approximately the worst attack on a trained learner."""
    theta = trained.best_primal.theta
    plane, _ = reduce_to_plane(theta, defense, found.problem.poison.epsilon)
    return cover_splits(
        plane, len(theta) - 1, goal=lambda lower: 2.0 * lower, max_programs=20
    ).attack


def _nothing(found, refitted):
    n_features = found.problem.rows.dim - 1
    nobody = PoisonCopies(
        np.zeros((0, n_features)), np.zeros(0), np.zeros(0, dtype=int)
    )
    return nobody, refitted.keeps(nobody)[0]


def plans(found, defense):
    """Return the attacks worth trying: those in the dual, and their mixture."""
    beta = found.solution.best_dual.poison.beta
    used = [i for i in np.argsort(-beta) if beta[i] > 0][: MAX_PLANS - 1]
    chosen = [found.attacks[i] for i in used]
    if len(chosen) > 1:
        mixture = beta[used] @ [attack.split for attack in chosen]
        epsilon, theta = found.problem.poison.epsilon, found.best_primal.theta
        plane, _ = reduce_to_plane(theta, defense, epsilon)
        mixed = worst_at_split(plane, mixture / mixture.sum(), len(theta) - 1)
        chosen += [] if mixed is None else [mixed]
    return chosen or found.attacks[-1:]


def send(plan, found, defense, refitted, rng):
    """Turn displacements into whole rows that the filter keeps.

    Returns the rows and the mask of the clean rows kept beside them, (n_samples,); or
    None for less than a row, or where rows do not pass however far inside they are put.
    """
    n_rows = len(refitted.codes)
    total = n_poison_rows(found.problem.poison.epsilon, n_rows)
    if total == 0:
        return None
    copies = apportion_upwards(plan.split * total, total)
    # The centroids move by the copies that are sent, not by the parts wanted.
    plane, frame = reduce_to_plane(
        found.best_primal.theta, defense, copies.sum() / n_rows
    )
    axes = turned_axes(plan, frame, defense, _aim(found), rng)
    for margin in MARGINS:
        whole = repaired(plane, copies / copies.sum(), plan.rows, margin)
        if whole is None:
            return None
        attack = placed(whole, copies, plane, frame.unit * axes, defense)
        kept, passed = refitted.keeps(attack)
        if passed.all():
            return attack, kept
    return None


def _aim(found):
    """The direction in which poison counteracts the clean rows."""
    best_dual = found.solution.best_dual
    return -best_dual.row_sum[:-1]


def turned_axes(plan, frame, defense, aim, rng):
    """Return orthonormal axes for displacements, turned against the weights.

    Shapes: aim (n_features,); returns axes (n_axes, n_features).
    """
    n_axes, n_features = plan.rows.shape[1], len(aim)
    total = (SIDES[COUNTING] * plan.split[COUNTING]) @ plan.rows[COUNTING]
    line = frame.axes[:1] if frame.axes[0].any() else np.zeros((0, n_features))
    total[: len(line)] = 0.0
    own = _orthonormal([np.eye(n_axes)[0]] * len(line) + [total], n_axes, rng)
    wanted = _orthonormal([*line, aim], n_features, rng)[:n_axes]
    return own.T @ wanted


def _orthonormal(first, size, rng):
    """Return an orthonormal basis that begins with the directions given."""
    more = rng.standard_normal((min(size, 6), size))
    rows: list[np.ndarray] = []
    for vector in [*first, *more]:
        for _ in range(2):
            for row in rows:
                vector = vector - (row @ vector) * row
        length = np.linalg.norm(vector)
        if length > 1e-12 and len(rows) < size:
            rows.append(vector / length)
    return np.array(rows)


def placed(attack, copies, plane, axes, defense):
    """Return an attack's rows among the features.

    Shapes: copies (4,), axes (n_axes, n_features).
    """
    used = copies > 0
    points = placed_at(attack, plane, axes, defense)
    return PoisonCopies(points[used], SIDES[used], copies[used])


def placed_at(attack, plane, axes, defense):
    """Return a row for each group, (4, n_features)."""
    moved = (plane.leverages * attack.split)[:, np.newaxis] * attack.rows
    shifts = np.repeat(moved.reshape(2, 2, -1).sum(axis=1), 2, axis=0)
    return np.repeat(defense.centroids, 2, axis=0) + (shifts + attack.rows) @ axes


def train_behind(found, kept, attack, tol, rng):
    """Train the learner on what the filter keeps; losses count per clean row."""
    problem, best_primal = found.problem, found.best_primal
    return train_on(
        problem.rows,
        attack,
        problem.learner,
        weights=problem.weights * kept,
        start=warm_start(best_primal.theta, best_primal.margins),
        tol=tol,
        rng=rng,
    )
