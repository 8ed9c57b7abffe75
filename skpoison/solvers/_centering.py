"""Rows far from the origin: parameters in which products with them lose nothing.

Where a common offset c is much larger than what tells rows apart, ``w @ x + b`` is the
small difference of large numbers. It is ``w @ (x - c) + u`` with ``u = w @ c + b``; but
the learner's norm is that of (w, b), not of (w, u). So parameters are turned, which
leaves their norm alone: a reflection takes the direction of (c, 1) to the last axis.
There rows are ``(x - c, 0)``, reflected, plus ``||(c, 1)||`` in the last entry, which
is as large as the parameter that it is multiplied with is small.
"""

import math
from copy import copy
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skpoison.solvers._adversary import PoisonTerm, capped_simplex_jacobian
from skpoison.solvers._signed_design import Rows

# Rows count as far away from so many times their spread on; it is looked for in few.
FAR, FEW_ROWS = 1e4, 256
# Rows that are nearer by this factor need no closer look.
SURELY = 10.0
# Splits a float into halves whose products are exact.
SPLITTER = 2.0**27 + 1.0


class Frame:
    """Coordinates around an offset.

    Parameters
    ----------
    offset : ndarray of shape (n_features,)
        The offset c.
    """

    def __init__(self, offset):
        self.offset = offset
        self.length = float(np.hypot(np.linalg.norm(offset), 1.0))
        self.intercept = np.append(offset, 1.0) / self.length
        mirror = self.intercept.copy()
        mirror[-1] -= 1.0
        self.mirror = mirror / np.linalg.norm(mirror)

    def reflect(self, vector):
        """Turn parameters into the frame, or back."""
        return vector - (2.0 * (self.mirror @ vector)) * self.mirror

    def split(self, theta):
        """Return the weights w and the score u of the offset."""
        return self.reflect(theta)[:-1], self.length * float(theta[-1])

    def parameters(self, theta):
        """Return coefficients and intercept whose score of the offset is u."""
        w, u = self.split(theta)
        return np.append(w, math.fsum([u, *_products(w, -self.offset)]))

    def around_offset(self, theta):
        """Return w and u of coefficients and intercept."""
        w, b = theta[:-1], theta[-1]
        return np.append(w, math.fsum([b, *_products(w, self.offset)]))

    def centered(self, X):
        """Subtract the offset from rows."""
        if not sparse.issparse(X):
            return X.astype(np.float64) - self.offset
        columns = np.flatnonzero(self.offset)
        block = X[:, columns].toarray().astype(np.float64) - self.offset[columns]
        return _with_columns(X, columns, block)

    def turned(self, X):
        """Return centered rows in the frame, with their last entry."""
        along = X @ self.mirror[:-1]
        last = self.length - 2.0 * self.mirror[-1] * along
        if not sparse.issparse(X):
            features = X - 2.0 * np.outer(along, self.mirror[:-1])
            return np.column_stack([features, last])
        columns = np.flatnonzero(self.offset)
        block = X[:, columns].toarray()
        block -= 2.0 * np.outer(along, self.mirror[columns])
        features = _with_columns(X, columns, block)
        column = sparse.csr_array(last[:, np.newaxis])
        return sparse.csr_array(sparse.hstack([features, column]))


def _with_columns(X, columns, block):
    """Replace some columns of sparse rows."""
    others = np.ones(X.shape[1])
    others[columns] = 0.0
    rest = sparse.csr_array(X).astype(np.float64) @ sparse.diags_array(others)
    place = np.tile(columns, X.shape[0]), np.arange(0, block.size + 1, len(columns))
    dense = sparse.csr_array((block.ravel(), *place), shape=X.shape)
    return sparse.csr_array(rest + dense)


def _products(a, b):
    """Return numbers whose sum is ``a @ b`` exactly: products, and their errors."""
    product = a * b
    a_high, b_high = a * SPLITTER, b * SPLITTER
    a_high -= a_high - a
    b_high -= b_high - b
    a_low, b_low = a - a_high, b - b_high
    error = a_high * b_high - product
    error += a_high * b_low
    error += a_low * b_high
    error += a_low * b_low
    return np.concatenate([product, error])


class FramedRows(Rows):
    """Rows in a frame: their last entry is stored, not 1.

    Parameters
    ----------
    centered : Rows
        The rows, less the offset.
    frame : Frame
        The frame.
    X : {ndarray, CSR array} of shape (n_rows, n_features + 1), default=None
        The rows in the frame.
    """

    is_framed = True

    def __init__(self, centered, frame, X=None):
        super().__init__(frame.turned(centered.X) if X is None else X, centered.signs)
        self.centered, self.frame = centered, frame

    @property
    def dim(self):
        return self.X.shape[1]

    def scores(self, theta):
        return self.signs * (self.X @ theta)

    def combine(self, a):
        return self.X.T @ (a * self.signs)

    def take(self, index):
        few = Rows(self.centered.X[index], self.signs[index])
        return FramedRows(few, self.frame, self.X[index])

    def weighted_outer(self, weights):
        if self.is_sparse:
            return (self.X.T.multiply(weights) @ self.X).toarray()
        return (self.X.T * weights) @ self.X

    def like(self, X, signs):
        return FramedRows(Rows(self.frame.centered(X), signs), self.frame)

    def joined(self, other):
        centered = self.centered.joined(other.centered)
        X = Rows(self.X, self.signs).joined(Rows(other.X, other.signs)).X
        return FramedRows(centered, self.frame, X)

    def parameters(self, theta):
        return self.frame.parameters(theta)


class FramedPoison(PoisonTerm):
    """The attacker's term for parameters in a frame.

    Parameters
    ----------
    term : PoisonTerm
        The term, its sets as they are among the rows.
    frame : Frame
        The frame.
    """

    def __init__(self, term, frame):
        sets = [_moved(rows, -frame.offset) for rows in term.sets]
        super().__init__(term.epsilon, term.signs, sets)
        self.plain, self.frame = term, frame

    def _split(self, theta):
        return self.frame.split(theta)

    def gradients(self, points):
        return -self.signs[:, np.newaxis] * self.frame.turned(points)

    def curvature(self, smoothed, share_prox, nu):
        beta, points = smoothed.response
        jacobian = capped_simplex_jacobian(beta)
        vectors = list((jacobian @ self.gradients(points))[beta > 0])
        weights = [self.epsilon / share_prox] * len(vectors)
        identity = 0.0
        for share, found in zip(beta, smoothed.projections, strict=True):
            stiffness = self.epsilon * share * found.scale / nu
            identity += stiffness
            for normal in found.normals:
                vectors.append(self.frame.reflect(np.append(normal, 0.0)))
                weights.append(-stiffness)
        # Points follow the features' weights: all parameters but the intercept.
        vectors.append(self.frame.intercept)
        weights.append(-identity)
        dim = len(self.frame.intercept)
        return np.full(dim, identity), np.array(vectors), np.array(weights)


class CenteredRows(Rows):
    """Rows less an offset, for learners whose intercept is free to take it up.

    Parameters
    ----------
    X : {ndarray, CSR array} of shape (n_rows, n_features)
        The rows, less the offset.
    signs : ndarray of shape (n_rows,)
        Their signs.
    frame : Frame
        The offset.
    """

    def __init__(self, X, signs, frame):
        super().__init__(X, signs)
        self.frame = frame

    def parameters(self, theta):
        w, u = theta[:-1], theta[-1]
        return np.append(w, math.fsum([u, *_products(w, -self.frame.offset)]))

    def centered_parameters(self, theta):
        """Return weights and the score of the offset, of weights and intercept."""
        return self.frame.around_offset(theta)


def centered(rows):
    """Return rows less an offset if they lie far away for their spread."""
    frame = Frame(_offset(rows.X)) if _is_far(rows.X) else None
    if frame is None or not frame.offset.any():
        return rows
    return CenteredRows(frame.centered(rows.X), rows.signs, frame)


def moved_sets(sets, rows, back=False):
    """Return sets of rows less the offset of centered rows, or with it again."""
    if not isinstance(rows, CenteredRows):
        return sets
    by = rows.frame.offset if back else -rows.frame.offset
    return [_moved(one, by) for one in sets]


def moved_back(points, rows):
    """Return points with the offset of centered rows."""
    return points + rows.frame.offset if isinstance(rows, CenteredRows) else points


def _moved(rows, by):
    moved = copy(rows)
    moved.center = rows.center + by
    return moved


def framed(problem):
    """Put a problem in a frame if its rows lie far away for their spread."""
    X = problem.rows.X
    if not _is_far(X):
        return problem
    frame = Frame(_offset(X))
    if not frame.offset.any():
        return problem
    centered = Rows(frame.centered(X), problem.rows.signs)
    return problem._replace(
        rows=FramedRows(centered, frame), poison=FramedPoison(problem.poison, frame)
    )


def _is_far(X):
    few = X[:: max(1, X.shape[0] // FEW_ROWS)]
    if _are_near(few):
        return False
    few = few.astype(np.float64)
    mean = np.asarray(few.mean(axis=0)).ravel()
    spread = np.sqrt(_squared_distances(few, mean) / few.shape[0])
    return bool(0.0 < FAR * spread < np.linalg.norm(mean))


def _are_near(rows):
    """Whether sums of squares, which lose digits far away, show rows to be near.

    They do without a copy of the rows.
    """
    if sparse.issparse(rows) or rows.dtype != np.float64:
        return False
    weights = np.full(len(rows), 1.0 / len(rows))
    mean = weights @ rows
    squares, square = weights @ np.vecdot(rows, rows), mean @ mean
    return bool(squares - square > (SURELY / FAR) ** 2 * square)


def _squared_distances(rows, mean):
    """Return the sum of the squared distances of rows from their mean."""
    if not sparse.issparse(rows):
        apart = (rows - mean).ravel()
        return float(apart @ apart)
    rows.sum_duplicates()
    stored = rows.data - mean[rows.indices]
    n_zeros = rows.shape[0] - np.bincount(rows.indices, minlength=len(mean))
    return float(stored @ stored + n_zeros @ mean**2)


def _offset(X):
    """The rows' mean; of sparse rows, in the columns that are full."""
    mean = np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()
    if sparse.issparse(X):
        counts = np.bincount(X.indices, minlength=X.shape[1])
        mean[counts < X.shape[0]] = 0.0
    return mean


class View(NamedTuple):
    """A solution in the coordinates in which it is reported.

    Parameters
    ----------
    problem : Problem
        The problem, its rows and sets less the offset if there is one.
    theta : ndarray of shape (dim,)
        Coefficients and intercept.
    at : ndarray of shape (dim,)
        The same for rows less the offset.
    margins : ndarray of shape (n_rows,)
        ``1 - score`` of every row.
    lower : float
        The dual's value.
    """

    problem: object
    theta: np.ndarray
    at: np.ndarray
    margins: np.ndarray
    lower: float


def view(problem, found):
    """Return what a solution says of the rows as they are."""
    best = found.best_primal
    if not problem.rows.is_framed:
        margins = best.margins
        if margins is None or best.is_interpolated:
            margins = 1.0 - problem.rows.scores(best.theta)
        return View(problem, best.theta, best.theta, margins, found.lower)
    frame, rows = problem.rows.frame, problem.rows.centered
    theta = frame.parameters(best.theta)
    at = frame.around_offset(theta)
    poison = problem.poison
    around = problem._replace(
        rows=rows, poison=PoisonTerm(poison.epsilon, poison.signs, poison.sets)
    )
    lower = _lower(around, frame.offset, found.best_dual)
    return View(around, theta, at, 1.0 - rows.scores(at), lower)


def _lower(problem, offset, dual):
    """The dual's value, the sum of the signed masses taken exactly."""
    masses = problem.weights * dual.duals
    poisoned = problem.poison.epsilon * dual.poison.beta
    z = problem.rows.combine(masses) + problem.poison.dual_sum(dual.poison)
    signed = [masses * problem.rows.signs, poisoned * problem.poison.signs]
    z[-1] = math.fsum(np.concatenate(signed))
    z[:-1] += z[-1] * offset
    mass = math.fsum(np.concatenate([masses, poisoned]))
    return mass - problem.learner.conjugate(z)


def among_rows(problem, found):
    """Return problem and solution with the attacker's points where the rows are."""
    if not problem.rows.is_framed:
        return problem, found
    poison = found.best_dual.poison
    poison = poison._replace(points=poison.points + problem.rows.frame.offset)
    dual = replace(found.best_dual, poison=poison)
    plain = problem._replace(poison=problem.poison.plain)
    return plain, replace(found, best_dual=dual)
