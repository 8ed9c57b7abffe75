"""Which filters the bound covers, and what of them an attacker cannot move."""

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skpoison._fitted import unbounded
from skpoison.bounds.moving._reduction import MovingDefense
from skpoison.filters import FilterIntersection, SlabFilter, SphereFilter

FLAW = (
    "defense='moving_centroids' supports only SphereFilter, SlabFilter and their "
    "intersections, with estimated centroids"
)


def with_given_radii(fitted):
    """Return the filter as it is run, not fitted: radii given, centroids estimated."""
    if isinstance(fitted, FrozenEstimator):
        return with_given_radii(fitted.estimator)
    if isinstance(fitted, FilterIntersection):
        members = [
            (name, with_given_radii(fitted.named_filters_[name]))
            for name, _ in fitted.filters
        ]
        return clone(fitted).set_params(filters=members)
    _check_member(fitted)
    # By label: radii in the order of labels would not tell a label that is unknown.
    radii = dict(zip(fitted.classes_.tolist(), fitted.radii_.tolist(), strict=True))
    return clone(fitted).set_params(radii=radii)


def _check_member(fitted):
    if type(fitted) not in (SphereFilter, SlabFilter):
        raise ValueError(f"{FLAW}; got {fitted!r}.")
    if fitted.centroids is not None:
        raise ValueError(f"{FLAW}; the centroids of {fitted!r} are given.")
    if type(fitted) is SphereFilter and fitted.norm != "l2":
        raise ValueError(f"{FLAW} and norm='l2'; got {fitted!r}.")


def read_defense(filter_, X, codes, reach=None):
    """Return the defense's numbers.

    Clean centroids and shares from X (n_samples, n_features), codes (n_samples,).
    """
    radii, widths = np.full(2, np.inf), np.full(2, np.inf)
    for member in getattr(filter_, "filters_", [filter_]):
        inner = _radii_and_widths(member)
        radii, widths = np.minimum(radii, inner[0]), np.minimum(widths, inner[1])
    if not np.all(np.isfinite(radii)):
        raise unbounded(filter_)
    means = np.array([_mean(X[codes == code]) for code in (0, 1)])
    shares = np.bincount(codes, minlength=2) / len(codes)
    radii, widths = np.repeat(radii, 2), np.repeat(widths, 2)
    if reach is not None:
        # Rejected rows and idle ones do the same: move centroids, at no loss.
        radii[1::2], widths[1::2] = np.maximum(radii[1::2], reach), np.inf
    return MovingDefense(means, shares, radii, widths)


def _radii_and_widths(member):
    if isinstance(member, FilterIntersection):
        inner = [_radii_and_widths(one) for one in member.filters_]
        return np.min([one[0] for one in inner], 0), np.min(
            [one[1] for one in inner], 0
        )
    unlimited = np.full(2, np.inf)
    if isinstance(member, SphereFilter):
        return member.radii_, unlimited
    return unlimited, member.radii_


def _mean(rows):
    return np.asarray(rows.mean(axis=0, dtype=np.float64)).ravel()


def widest_distance(columns, centroids):
    """Bound the distance between two rows of a domain; infinity if unbounded.

    Shapes: centroids (2, n_features).
    """
    lower = np.minimum(columns.lower, centroids.min(axis=0))
    upper = np.maximum(columns.upper, centroids.max(axis=0))
    return float(np.linalg.norm(upper - lower))
