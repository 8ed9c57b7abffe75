"""Mixtures of rows: the convex hull of a part of a domain.

A mixture of rows has a mean, and the mean of their squared distances to the center. Of
all mixtures with one mean, the one whose rows lie nearest to the center is known for
every part: whole numbers mix with their neighbors, so that the squared distance is
interpolated between them; intervals do not mix; rows of norm 1 all have a squared
distance that is linear. Everything is measured from the center: z = x - center.
"""

from typing import NamedTuple

import numpy as np

from skpoison.feasible.discrete._blocks import Features, UnitNorm


class Mixture(NamedTuple):
    """The mixture nearest to a point for one multiplier of the sphere.

    Parameters
    ----------
    z : ndarray of shape (n_features,)
        Its mean, as offsets from the center.
    square : float
        The mean of its rows' squared distances to the center.
    slope : ndarray of shape (n_features,)
        How the square grows with each entry of the mean, where that is free to move.
    stiffness : ndarray of shape (n_features,)
        How far each entry follows the point: between 0 and 1.
    normals : list of ndarray of shape (n_features,)
        The mean's derivative is ``diag(stiffness) - sum(outer(n, n))`` over these.
    """

    z: np.ndarray
    square: float
    slope: np.ndarray
    stiffness: np.ndarray
    normals: list


def mixture(parts, q, lam):
    """Minimize ``||z - q||^2 / 2 + lam * square(z)`` over the mixtures of a domain."""
    found = [_part(part, q[part.place], lam) for part in parts]
    if len(found) == 1 and isinstance(parts[0].place, slice):
        return found[0]
    z, slope, stiffness = np.zeros((3, len(q)))
    normals = []
    for part, mixed in zip(parts, found, strict=True):
        z[part.place], slope[part.place] = mixed.z, mixed.slope
        stiffness[part.place] = mixed.stiffness
        for short in mixed.normals:
            normal = np.zeros(len(q))
            normal[part.place] = short
            normals.append(normal)
    return Mixture(z, sum(mixed.square for mixed in found), slope, stiffness, normals)


def can_mix(parts):
    """Whether the mixtures of all parts are known."""
    return all(isinstance(part, Features | UnitNorm) for part in parts)


def _part(part, q, lam):
    if isinstance(part, UnitNorm):
        return _unit_norm(part, q, lam)
    return (_whole if part.whole else _interval)(part, q, lam)


def _whole(part, q, lam):
    """Between whole numbers the square is linear: means rest on these for a while."""
    wide = 1.0 + 2.0 * lam
    x = wide * part.center
    x += q
    x += lam
    below = np.floor(x / wide)
    x -= wide * below
    x -= 2.0 * lam
    np.maximum(x, 0.0, out=x)
    x += below
    np.maximum(x, part.lower, out=x)
    np.minimum(x, part.upper, out=x)
    np.floor(x, out=below)
    share = x - below
    below -= part.center
    slope = 2.0 * below
    slope += 1.0
    square = float(below @ below + share @ slope)
    x -= part.center
    return Mixture(x, square, slope, (share > 0.0).astype(np.float64), [])


def _interval(part, q, lam):
    wide = 1.0 + 2.0 * lam
    x = np.clip(q / wide + part.center, part.lower, part.upper)
    free = (x > part.lower) & (x < part.upper)
    z = x - part.center
    return Mixture(z, float(z @ z), 2.0 * z, free / wide, [])


def _unit_norm(part, q, lam):
    """Rows of norm 1 fill the ball of norm 1; their squares are linear."""
    x = np.maximum(q + (1.0 + 2.0 * lam) * part.center, 0.0)
    norm = float(np.linalg.norm(x))
    free, normals = (x > 0.0).astype(np.float64), []
    if norm > 1.0:
        x /= norm
        free /= norm
        normals = [x / np.sqrt(norm)]
    slope = -2.0 * part.center
    square = float(1.0 + part.center @ part.center + slope @ x)
    return Mixture(x - part.center, square, slope, free, normals)
