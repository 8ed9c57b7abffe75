"""The bound for moving centroids."""

import numpy as np

from skpoison._warn import warn
from skpoison.bounds._result import Result, certificate
from skpoison.bounds._rounding import slack
from skpoison.bounds.moving._attack import best_trial, train_behind
from skpoison.bounds.moving._cutting_plane import MAX_ROUNDS, train
from skpoison.bounds.moving._defense import read_defense, widest_distance
from skpoison.exceptions import FilterWarning
from skpoison.feasible import as_domain


def certify(problem, defense, refitted, *, tol, max_iter, rng, start, monitor):
    """Minimize the bound, and search for the most harmful attack.

    Only the problem's epsilon is used of its poison; `refitted` is the filter that
    attacks have to pass.
    """
    options = {"tol": tol, "rng": rng, "start": start, "monitor": monitor}
    found = train(problem, defense, max_iter=max_iter or MAX_ROUNDS, **options)
    trial = best_trial(found, defense, refitted, tol=tol, rng=rng)
    everything = np.ones(len(problem.rows), dtype=bool)
    trained = train_behind(found, everything, trial.attack, tol, rng)
    best = _certificate(found, defense)
    return Result(found, found.problem, best, trial.attack, trained, _filtered(trial))


def _certificate(found, defense):
    # Poison moves a centroid by less than twice the radius.
    reach = np.linalg.norm(defense.centroids, axis=1).max() + 3.0 * defense.radii.max()
    best = found.best_primal
    poison_loss = float(found.poison_loss)
    return certificate(found.problem, best, poison_loss, found.lower, float(reach))


def _filtered(trial):
    """Return the entries of ``attack_`` on the learner trained on the kept rows."""
    theta = trial.trained.best_primal.theta
    return {
        "clean_kept": trial.kept,
        "filtered_loss": float(trial.trained.upper),
        "filtered_coef": theta[np.newaxis, :-1].copy(),
        "filtered_intercept": theta[-1:].copy(),
    }


def covering_defense(filter_, X, codes, domain, feature_names=None):
    """Read a filter with given radii, with margins for its rounding.

    Where the domain is bounded, rows that the filter rejects are covered too.
    """
    defense = _read(filter_, X, codes, domain, feature_names)
    size = float(np.linalg.norm(defense.centroids, axis=1).max())
    slacks = [slack(radius, size + radius, X) for radius in defense.radii]
    distance, offset = np.array(slacks).T
    return defense._replace(
        radii=defense.radii + distance, widths=defense.widths + offset
    )


def _read(filter_, X, codes, domain, feature_names):
    defense = read_defense(filter_, X, codes)
    columns = as_domain(domain).resolve(X.shape[1], feature_names)
    if not columns.is_bounded:
        if not columns.is_free:
            _warn_of_domain(domain)
        return defense
    reach = widest_distance(columns, defense.centroids)
    return read_defense(filter_, X, codes, reach)


def _warn_of_domain(domain):
    warn(
        f"domain={domain!r} has no effect with defense='moving_centroids', which uses "
        "a domain only if every feature has a lower and an upper bound. The bound is "
        "valid for rows of this domain; the rows of attack_ can lie outside it.",
        FilterWarning,
    )
