"""The bound on moving centroids, for :class:`skpoison.CertifiedBound`."""

import numpy as np
from scipy import sparse
from sklearn.utils import Bunch, check_random_state

from skpoison._warn import warn
from skpoison.bounds._rounding import margins, slack
from skpoison.bounds.moving._attack import RefittedFilter, best_trial, train_behind
from skpoison.bounds.moving._cutting_plane import MAX_ROUNDS, train
from skpoison.bounds.moving._defense import read_defense, widest_distance
from skpoison.exceptions import FilterWarning
from skpoison.feasible import as_domain
from skpoison.losses import Hinge
from skpoison.solvers._adversary import PoisonTerm
from skpoison.solvers._working_set import Problem


def certify(bound, rows, codes, learner, X, start=None, monitor=None):
    """Compute the bound of an estimator and set its attributes.

    Parameters
    ----------
    bound : CertifiedBound
        The estimator; its `filter_` is fitted, with radii given.
    rows : Rows
        Signed clean rows.
    codes : ndarray of shape (n_samples,)
        Positions of their labels.
    learner : NormBall or Penalty
        The learner.
    X : {ndarray, csr_matrix} of shape (n_samples, n_features)
        The clean rows, as they came.
    start : Training, default=None
        What was found for another epsilon.
    monitor : callable, default=None
        Called with each entry of the history.

    Returns
    -------
    found : Training
        What training found.
    """
    rng = check_random_state(bound.random_state)
    weights = np.full(len(rows), 1.0 / len(rows))
    problem = Problem(rows, weights, PoisonTerm(bound.epsilon, [], []), learner)
    defense = _defense(bound, X, codes)
    options = {"tol": bound.tol, "rng": rng, "start": start, "monitor": monitor}
    found = train(problem, defense, max_iter=bound.max_iter or MAX_ROUNDS, **options)
    _report(bound, found, defense)
    refitted = RefittedFilter(bound.filter_, X, codes, bound.classes_)
    trial = best_trial(found, defense, refitted, tol=bound.tol, rng=rng)
    everything = np.ones(len(rows), dtype=bool)
    trained = train_behind(found, everything, trial.attack, bound.tol, rng)
    _report_attack(bound, trial, trained, X)
    return found


def _defense(bound, X, codes):
    """Read the filter, and cover what its rounding lets through."""
    defense = _read(bound, X, codes)
    size = float(np.linalg.norm(defense.centroids, axis=1).max())
    slacks = [slack(radius, size + radius, X) for radius in defense.radii]
    distance, offset = np.array(slacks).T
    return defense._replace(
        radii=defense.radii + distance, widths=defense.widths + offset
    )


def _read(bound, X, codes):
    """Read the filter; where the domain is bounded, rejected rows are covered too."""
    defense = read_defense(bound.filter_, X, codes)
    names = getattr(bound, "feature_names_in_", None)
    columns = as_domain(bound.domain).resolve(X.shape[1], names)
    if not columns.is_bounded:
        if not columns.is_free:
            _warn_of_domain(bound.domain)
        return defense
    reach = widest_distance(columns, defense.centroids)
    return read_defense(bound.filter_, X, codes, reach)


def _warn_of_domain(domain):
    warn(
        f"domain={domain!r} has no effect with moving centroids: only one with bounds "
        "on all sides has. The bound holds for its rows, too; those of attack_ need "
        "not be in it.",
        FilterWarning,
    )


def _report(bound, found, defense):
    problem, iterate = found.problem, found.best_primal
    # Poison moves a centroid by less than twice the radius.
    reach = np.linalg.norm(defense.centroids, axis=1).max() + 3.0 * defense.radii.max()
    rounding = margins(problem, iterate.theta, found.lower, float(reach))
    bound._store(iterate.theta)
    bound.clean_loss_ = float(problem.weights @ Hinge().of_shortfalls(iterate.margins))
    bound.poison_loss_ = float(found.poison_loss)
    bound.upper_bound_ = float(
        bound.clean_loss_
        + bound.epsilon * bound.poison_loss_
        + problem.learner.value(iterate.theta)
        + rounding.upper
    )
    bound.lower_bound_ = max(float(found.lower) - rounding.lower, 0.0)
    bound.dual_gap_ = max(bound.upper_bound_ - bound.lower_bound_, 0.0)
    bound.n_iter_, bound.history_ = found.n_iter, found.history


def _report_attack(bound, trial, trained, X):
    attack, theta = trial.attack, trial.trained.best_primal.theta
    points = attack.points.astype(X.dtype)
    best_dual = max(float(trained.lower), 0.0)
    bound.attack_ = Bunch(
        X=sparse.csr_matrix(points) if sparse.issparse(X) else points,
        y=bound.classes_[(attack.signs > 0).astype(int)],
        n_copies=attack.copies,
        rounding_slack=max(bound.lower_bound_ - best_dual, 0.0),
        clean_kept=trial.kept,
        filtered_loss=float(trial.trained.upper),
        filtered_coef=theta[np.newaxis, :-1].copy(),
        filtered_intercept=theta[-1:].copy(),
    )
    bound.attack_loss_ = float(trained.upper)
    bound.poisoned_coef_ = trained.best_primal.theta[np.newaxis, :-1].copy()
    bound.poisoned_intercept_ = trained.best_primal.theta[-1:].copy()
