"""An attack with few poison rows that make given parameters optimal."""

import numpy as np
from scipy import sparse

from skpoison._learners import hinge_learner_of, train_hinge
from skpoison.attacks._base import repeat_rows
from skpoison.attacks._bilevel import Aim
from skpoison.attacks._decoys import SPLITS, Decoy, flipped_decoys
from skpoison.attacks._frank_wolfe import MixedRows
from skpoison.attacks._pairs import PairProgram
from skpoison.attacks._targeted import BaseAimedAttack
from skpoison.feasible import SphereSlab
from skpoison.losses import Hinge
from skpoison.solvers._signed_design import Rows
from skpoison.solvers._train import PoisonCopies

# Training is many times slower on sparse rows, as long as there are few values.
DENSE_CELLS = 100_000


class KKTAttack(BaseAimedAttack):
    """Add few distinct rows that make decoy parameters optimal for the learner.

    First, the attack trains decoys: harmful parameters, learned from the clean rows and
    repeated target rows of high loss with flipped labels, which need not pass the
    filter. Then, for each decoy and several splits of the poison rows between the
    classes, it finds at most one distinct row per class, in the filter's feasible set,
    whose gradient balances that of the clean rows at the decoy, so that training ends
    at the decoy (or near it, if the feasible set is too small). The attack returns the
    rows that do the most harm after actual training. With a `domain`, a few rows of
    each class replace the single one.

    The filter's feasible set must be large enough to balance the gradient at the decoy.
    If the set is small or there are few features, no rows achieve this, and label flips
    or :class:`GradientAttack` do more harm. ``residual_`` measures the imbalance.

    Parameters
    ----------
    epsilon : float, default=0.03
        Poison rows divided by clean rows, between 0 and 1. ``floor(epsilon * n)`` rows
        are added, or none if none of the rows tried increases the loss. With given
        `decoys`, fewer rows are added if these come closer to a decoy.
    filter : filter with ``feasible_set``, default=None
        The defense that the attacker faces. A fitted filter is used unchanged (wrap it
        in :class:`sklearn.frozen.FrozenEstimator` to keep it fitted when the attack is
        cloned); otherwise it is cloned and fitted on the clean rows. None means sphere
        and slab at percentile 70, intersected under the names ``sphere`` and ``slab``.
    estimator : LinearSVC or NormConstrainedSVC, default=None
        The learner that is attacked, with the hinge loss; only its parameters are used.
        None means ``LinearSVC(loss="hinge")``.
    targets : tuple of (X, y), default=None
        Rows and their true labels on which the attacker wants a large loss. None means
        the clean rows.
    domain : str or :class:`skpoison.feasible.Domain`, default=None
        Restricts the rows that the attacker can add, as in
        :class:`~skpoison.CertifiedBound`. None means all rows that pass the filter.
    decoys : array-like of shape (n_decoys, n_features + 1), default=None
        Parameters to make optimal, with the intercept last in each row; for each, only
        the split with the smallest residual is tried. None means twelve decoys trained
        on flipped target rows, with six splits each, each followed by training.
    random_state : int, RandomState instance or None, default=None
        Controls which rows the solver starts with.

    Attributes
    ----------
    n_copies_ : ndarray of shape (n_distinct,)
        Number of copies of each distinct row; copies of a row are consecutive.
    decoy_coef_ : ndarray of shape (1, n_features)
        Weights of the decoy that was chosen.
    decoy_intercept_ : ndarray of shape (1,)
        Its intercept.
    residual_ : float
        Norm of the KKT residual at the decoy: the part of the learner's gradient that
        the poison does not cancel. With 0, the decoy is optimal.
    coef_ : ndarray of shape (1, n_features)
        Weights of the learner trained on clean rows and poison.
    intercept_ : ndarray of shape (1,)
        Its intercept.
    classes_ : ndarray of shape (2,)
        The labels, sorted.
    X_poison_ : {ndarray, CSR matrix} of shape (n_poison, n_features)
        The poison rows, in the precision of the clean ones.
    y_poison_ : ndarray of shape (n_poison,)
        Their labels.
    poison_mask_ : ndarray of shape (n_samples + n_poison,)
        True for the poison rows in what :meth:`fit_resample` returns.
    objective_ : list of float
        For each decoy, the mean hinge loss on the targets after training on the rows
        found for its most harmful split. The largest value is that of the rows added.
    filter_ : filter
        The fitted filter.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    See Also
    --------
    GradientAttack : Maximizes the loss on the targets directly.

    Notes
    -----
    For the hinge loss and convex feasible sets, two distinct rows suffice. The rows and
    their masses (fractional numbers of copies) solve a small conic program (by cvxpy).
    It is solved for each of several splits of the copies, as in [1]_, and once with
    free masses, which determine the proportion of copies. Clean rows whose margin at
    the decoy is exactly 1 are treated as beyond the margin.

    References
    ----------
    .. [1] P. W. Koh, J. Steinhardt, P. Liang, "Stronger Data Poisoning Attacks Break
       Data Sanitization Defenses", Machine Learning 111, 2022, section 4.2 (the attack)
       and algorithm 3 (decoy parameters).

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skpoison import NormConstrainedSVC
    >>> from skpoison.attacks import KKTAttack
    >>> X, y = make_blobs(200, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> svc = NormConstrainedSVC(rho=1.0)
    >>> attack = KKTAttack(0.1, estimator=svc, random_state=0).fit(X, y)
    >>> len(attack.n_copies_) <= 2, len(attack.X_poison_) <= 20
    (True, True)
    """

    _parameter_constraints: dict = {
        **BaseAimedAttack._parameter_constraints,
        "decoys": ["array-like", None],
    }

    def __init__(
        self,
        epsilon=0.03,
        *,
        filter=None,
        estimator=None,
        targets=None,
        domain=None,
        decoys=None,
        random_state=None,
    ):
        super().__init__(
            epsilon,
            filter=filter,
            estimator=estimator,
            targets=targets,
            domain=domain,
            random_state=random_state,
        )
        self.decoys = decoys

    def _learner(self):
        return hinge_learner_of(self.estimator, type(self).__name__)

    def _poison(self, X, codes, n_poison, rng):
        defense = self._defend(X, codes)
        sets = defense.sets(type(self).__name__, self.domain, self._names)
        clean = Rows(_solver_rows(X), 2.0 * codes - 1.0)
        aim = Aim(self._target_rows(clean), Hinge())
        program = self._program(sets, n_poison / len(clean), len(clean))
        best: tuple | None = None
        self.objective_ = []
        for theta in self._decoys(clean, aim.rows, n_poison, rng):
            tried = []
            for found in self._found(Decoy(theta, clean, self._learner()), program):
                points = defense.inwards(
                    sets, found.points, found.labels, X.dtype, self._types
                )
                found = found._replace(points=points)
                trained = self._train(clean, found, rng)
                tried.append((aim.value(trained), found, theta, trained))
            worst = max(tried, key=lambda one: one[0])
            self.objective_.append(worst[0])
            best = worst if best is None or worst[0] >= best[0] else best
        assert best is not None  # there is at least one decoy
        return self._report(X, *best[1:])

    def _found(self, decoy, program):
        """Return rows for a decoy: for several splits, unless the decoy was given."""
        if self.decoys is not None or not program.share:
            return [decoy.find_rows(program)]
        found = [
            decoy.find_rows(program, split, all_rows=True) for split in (None, *SPLITS)
        ]
        return [one for one in found if one is not None]

    def _program(self, sets, share, n_rows):
        """Return the program that finds rows for a decoy."""
        if not all(isinstance(rows, SphereSlab) for rows in sets):
            return MixedRows(sets, share)
        return PairProgram(sets, share, self._learner().multiple(n_rows))

    def _decoys(self, clean, targets, n_poison, rng):
        if self.decoys is None:
            return flipped_decoys(clean, targets, self._learner(), n_poison, rng)
        decoys = np.asarray(self.decoys, dtype=np.float64)
        if decoys.ndim != 2 or decoys.shape[1] != clean.dim or not len(decoys):
            raise ValueError(
                f"decoys must have the shape (n_decoys, {clean.dim}): a weight for "
                f"each feature, and the intercept; got {decoys.shape}."
            )
        if not np.isfinite(decoys).all():
            raise ValueError("decoys must not contain NaN or infinity.")
        return decoys

    def _train(self, clean, found, rng):
        """Train the learner on clean rows and copies of the poison rows."""
        poison = PoisonCopies(found.points, Decoy.signs[found.labels], found.copies)
        return train_hinge(self._learner(), clean, poison, tol=1e-4, rng=rng)

    def _report(self, X, found, theta, trained):
        self.n_copies_, self.residual_ = found.copies, found.residual
        self.decoy_coef_, self.decoy_intercept_ = theta[np.newaxis, :-1], theta[-1:]
        self.coef_, self.intercept_ = trained[np.newaxis, :-1], trained[-1:]
        rows = repeat_rows(found.points, found.copies, sparse.issparse(X), X.dtype)
        return rows, np.repeat(found.labels, found.copies), self.objective_


def _solver_rows(X):
    """Rows as training takes them: few sparse ones are faster as dense ones."""
    if not sparse.issparse(X):
        return X
    X = X.astype(np.float64)
    return X.toarray() if X.shape[0] * X.shape[1] <= DENSE_CELLS else X
