"""What ``skpoison attack`` computes."""

from dataclasses import asdict
from itertools import chain

import numpy as np
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import euclidean_distances

from skpoison import __version__
from skpoison._io import DataError
from skpoison._io.matrix import Poison
from skpoison._whole_rows import copied_points
from skpoison.bounds._linear import signed_rows
from skpoison.feasible import Domain, as_domain
from skpoison.solvers._regularizers import regularizer
from skpoison.solvers._train import PoisonCopies, train_on

from .certificate import few_threads, reached
from .settings import domain_of

MOST_CELLS = 10**8
# Rows at the filter's very limit could fall beyond it by the rounding of their scale.
SHRINK = 1e-6
STEPS = (SHRINK, 1e-4, 0.01, 0.03, 0.1, 0.2, 0.4, 0.7)
MOST_NEAR = 20
TINY = 1e-9
# Of the tolerance, what training on the rows that are written may leave.
CLOSER = 0.1


def attack(sample, settings):
    """Find the attack that nearly reaches the bound for the one epsilon.

    Returns the fitted bound, the attack's rows (each as often as it is sent) and what
    ``--json`` writes.
    """
    (epsilon,) = settings.epsilons
    domain = _domain(settings, sample.encoder)
    with few_threads(sample.X):
        bound = settings.bound(epsilon=epsilon, domain=domain)
        bound.fit(sample.X, sample.y)
    found = bound.attack_
    rows = copied_points(found.n_copies)
    labels = sample.target.values(found.y)
    if len(rows) * found.X.shape[1] > MOST_CELLS:
        raise DataError(
            f"The attack has {len(rows):,} rows of {found.X.shape[1]:,} features, more "
            "than can be written; use a smaller --epsilon."
        )
    encoder = sample.encoder
    if hasattr(encoder, "written"):
        X, sent = _as_written(sample, bound, settings)
    else:
        X = _unscaled(encoder, _inwards(bound, sample), settings)
        sent = encoder.rescale(X)
    numbers = _numbers(bound, labels, sample, settings)
    numbers["written_loss"] = _loss_behind(sample, bound, sent, settings)
    numbers["negative"] = _newly_negative(sample, sent)
    X = X[rows]
    poison = Poison(X, [labels[i] for i in rows], encoder.columns(X))
    return bound, poison, numbers


def _domain(settings, encoder):
    """Return the attacker's domain: of a column of categories, one; gaps or none.

    Learners with other losses than the hinge loss, of two classes, have bounds for
    convex domains: their attackers can send mixtures, which are rounded to be written.
    """
    domain = domain_of(settings.domain, encoder)
    gaps = list(getattr(encoder, "indicators", {}).values())
    if not encoder.groups and not gaps:
        return domain
    domain = as_domain(domain)
    members = np.concatenate([*encoder.groups, gaps]).astype(int)
    if not settings.is_plain_hinge:
        return _mixtures(domain, members, len(encoder.names))
    kinds = np.full(len(encoder.names), domain.kind, dtype=object)
    kinds[members] = "real"
    kinds[gaps] = "binary"
    return Domain(kinds, lower=domain.lower, groups=encoder.groups or None)


def _mixtures(domain, members, n_features):
    """Return a domain in which features of 0 or 1 (none is scaled) lie between."""
    kinds = np.full(n_features, domain.kind, dtype=object)
    kinds[members] = "real"
    lower = np.full(n_features, -np.inf if domain.lower is None else domain.lower)
    upper = np.full(n_features, np.inf)
    lower[members], upper[members] = 0.0, 1.0
    return Domain(kinds, lower=lower, upper=upper)


def _unscaled(encoder, X, settings):
    """Return rows in the columns' own scale; rounding makes none negative."""
    X = encoder.unscale(X)
    if settings.domain == "nonnegative" and encoder.scaled:
        X = X.maximum(0) if sparse.issparse(X) else np.maximum(X, 0)
    return X


def _as_written(sample, bound, settings):
    """Return the attack's distinct rows in their own scale, and as they are read.

    Whole numbers are rounded to be written, and texts have whole words, which can move
    rows beyond the filter's limits: those are moved towards the center of their class
    until the filter keeps what is read, or else replaced by the nearest clean row.
    """
    encoder, found = sample.encoder, bound.attack_
    points, labels = _dense(found.X), _for_filter(sample, found.y)
    centers = _centers(bound, sample)
    given = _unscaled(encoder, points, settings)
    sent = encoder.written(sample.data, given)
    nearer = (points * (1 - share) + centers * share for share in STEPS)
    for rows in chain(nearer, _clean_rows_near(sample, bound, points)):
        beyond = _beyond(bound, sent, labels)
        if not len(beyond):
            return given, sent
        given[beyond] = _unscaled(encoder, rows[beyond], settings)
        sent = encoder.written(sample.data, given)
    if len(_beyond(bound, sent, labels)):
        raise DataError(
            "No row that can be written lies close to the attack's and passes the "
            "filter; use a larger --percentile."
        )
    return given, sent


def _centers(bound, sample):
    """Return the centroid that the filter has for each row of the attack."""
    places = sample.target.positions(bound.attack_.y)
    return bound.filter_.filters_[0].centroids_[places]


def _for_filter(sample, y):
    """Return targets as the filter sees them: numbers not at all."""
    return y if sample.target.has_classes else None


def _beyond(bound, rows, y):
    """Return the places of rows that the filter does not keep."""
    if not rows.shape[0]:
        return np.arange(0)
    return np.flatnonzero(bound.filter_.decision_function(rows, y) < 0)


def _clean_rows_near(sample, bound, points):
    """Yield for each point the nearest clean row of its class that the filter keeps."""
    order = [
        _nearest_kept(sample, bound, point, mark)
        for point, mark in zip(points, bound.attack_.y, strict=True)
    ]
    for places in zip(*order, strict=False):
        rows = sample.X[list(places)]
        yield _dense(rows)


def _nearest_kept(sample, bound, point, mark):
    alike = sample.y == mark if sample.target.has_classes else True
    kept = np.flatnonzero(bound.filter_.inlier_mask_ & alike)
    distances = euclidean_distances(sample.X[kept], point[np.newaxis]).ravel()
    return kept[np.argsort(distances, kind="stable")[:MOST_NEAR]]


def _loss_behind(sample, bound, sent, settings):
    """Return what the rows that are written raise the training loss to, at least.

    It is a lower bound of the least loss, which no bound on attacks can be below.
    """
    copies = bound.attack_.n_copies
    if not len(copies):
        return bound.attack_loss_
    if not settings.is_plain_hinge:
        return _loss_of_other(sample, bound, sent, settings)
    attack = PoisonCopies(sent, bound.attack_.y.astype(float), copies)
    clean = signed_rows(sample.X, (sample.y > 0).astype(int))
    learner = regularizer(settings.rho, settings.C, len(sample.y))
    rng = np.random.RandomState(settings.seed)
    with few_threads(sample.X):
        tol = CLOSER * settings.tol
        trained = train_on(clean, attack, learner, tol=tol, rng=rng)
    return max(float(trained.lower), 0.0)


def _loss_of_other(sample, bound, sent, settings):
    """Return the training loss of a learner that is not that of the plain hinge."""
    places = copied_points(bound.attack_.n_copies)
    if sparse.issparse(sample.X):
        rows = sparse.vstack([sample.X, sparse.csr_array(sent)[places]], format="csr")
    else:
        rows = np.vstack([sample.X, _dense(sent)[places]])
    y = np.append(sample.y, bound.attack_.y[places])
    frozen = FrozenEstimator(bound.filter_)
    learner = settings.bound(filter=frozen, epsilon=0.0, max_iter=None, domain="real")
    learner.set_params(tol=CLOSER * learner.tol)
    with few_threads(sample.X):
        loss = learner.fit(rows, y).lower_bound_
    # It counts per row that the learner is trained on.
    return loss * rows.shape[0] / len(sample.y)


def _dense(rows):
    return rows.toarray() if sparse.issparse(rows) else rows


def _newly_negative(sample, X):
    """Return the names of features that only rows of the attack have below 0."""
    if not X.shape[0]:
        return []
    encoder = sample.encoder
    clean, sent = (
        encoder.unscale(_lows(rows)[np.newaxis]).ravel() for rows in (sample.X, X)
    )
    # Zero is not quite zero again once it has been scaled.
    small = 1e-9 * np.maximum(np.abs(clean), np.abs(sent))
    below = np.flatnonzero((clean >= -small) & (sent < -np.maximum(small, TINY)))
    return [encoder.names[j] for j in below]


def _lows(X):
    low = X.min(axis=0)
    return low.toarray().ravel() if sparse.issparse(low) else np.asarray(low).ravel()


def _inwards(bound, sample):
    """Return the attack's distinct rows, a little inside where they get rescaled."""
    X = bound.attack_.X
    if not sample.encoder.scaled:
        return X
    centers = _centers(bound, sample)
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
        "is_exact": bound.is_exact_,
        "attack_loss": bound.attack_loss_,
    }
