"""What ``skpoison attack`` computes."""

from dataclasses import asdict

import numpy as np
from scipy import sparse

from skpoison import __version__
from skpoison._io import DataError
from skpoison._io.matrix import Poison
from skpoison._whole_rows import copied_points
from skpoison.feasible import Domain, restrict, shrink_until_kept

from .certificate import few_threads, reached

MOST_CELLS = 10**8
# Rows at the filter's very limit could fall beyond it by the rounding of their scale.
SHRINK = 1e-6


def attack(sample, settings):
    """Find the attack that nearly reaches the bound for the one epsilon.

    Returns the fitted bound, the attack's rows (each as often as it is sent) and what
    ``--json`` writes.
    """
    (epsilon,) = settings.epsilons
    domain = _domain(settings.domain, sample.encoder)
    with few_threads(sample.X):
        bound = settings.bound(epsilon=epsilon, domain=domain)
        bound.fit(sample.X, sample.signs)
    found = bound.attack_
    rows = copied_points(found.n_copies)
    values = {1: sample.classes.positive, -1: sample.classes.negative}
    labels = [values[sign] for sign in found.y.tolist()]
    if len(rows) * found.X.shape[1] > MOST_CELLS:
        raise DataError(
            f"The attack has {len(rows):,} rows of {found.X.shape[1]:,} features, more "
            "than can be written; use a smaller --epsilon."
        )
    encoder = sample.encoder
    X = _kept(bound, encoder, domain) if encoder.groups else _inwards(bound, encoder)
    X = encoder.unscale(X)[rows]
    poison = Poison(X, [labels[i] for i in rows], encoder.columns(X))
    return bound, poison, _numbers(bound, labels, sample, settings)


def _domain(kind, encoder):
    """Return the attacker's domain: of a column of categories, one."""
    if not encoder.groups:
        return kind
    kinds = np.full(len(encoder.names), kind, dtype=object)
    kinds[np.concatenate(encoder.groups)] = "real"
    return Domain(kinds, groups=encoder.groups)


def _kept(bound, encoder, domain):
    """Return the attack's distinct rows, so that the filter keeps what is written."""
    found = bound.attack_
    X = found.X.toarray() if sparse.issparse(found.X) else found.X
    if not len(X):
        return X
    sets = restrict(bound.filter_.feasible_set(), domain)

    def keeps(rows):
        written = encoder.rescale(encoder.unscale(rows))
        return bound.filter_.decision_function(written, found.y) >= 0

    of_rows = [sets[sign] for sign in found.y.tolist()]
    rows, kept = shrink_until_kept(of_rows, X, keeps, np.float64)
    if not kept.all():
        raise DataError(
            "The attack's rows are within rounding errors of the filter's limits; use "
            "a larger --percentile."
        )
    return rows


def _inwards(bound, encoder):
    """Return the attack's distinct rows, a little inside where they get rescaled."""
    X, y = bound.attack_.X, bound.attack_.y
    if not encoder.scaled:
        return X
    centers = bound.filter_.filters_[0].centroids_[np.searchsorted((-1, 1), y)]
    if sparse.issparse(X):
        return sparse.csr_array(X.toarray() * (1 - SHRINK) + centers * SHRINK)
    return X * (1 - SHRINK) + centers * SHRINK


def _numbers(bound, labels, sample, settings):
    return {
        "skpoison": __version__,
        "command": "attack",
        "data": sample.describe(),
        "settings": asdict(settings),
        "n_poison": int(bound.attack_.n_copies.sum()),
        "rows": [
            {"label": label, "n_copies": int(n)}
            for label, n in zip(labels, bound.attack_.n_copies, strict=True)
        ],
        "upper_bound": bound.upper_bound_,
        "lower_bound": bound.lower_bound_,
        "converged": reached(bound, settings.tol),
        "attack_loss": bound.attack_loss_,
    }
