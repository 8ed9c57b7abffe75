"""What ``skpoison certify`` computes."""

from dataclasses import asdict, dataclass

import numpy as np
from sklearn.frozen import FrozenEstimator

from skpoison import CertifiedBound, SlabFilter, SphereFilter, __version__, bound_curve

# The solver's own floor: bounds below it count as zero for the tolerance.
LOSS_FLOOR = 1e-3


@dataclass(frozen=True)
class Settings:
    """What to certify.

    Parameters
    ----------
    epsilons : tuple of float
        Shares of poison.
    percentile : float
        Share of each class that sphere and slab enclose each, in percent.
    C, rho : float or None
        The learner; one of them is None.
    tol : float
        Relative gap that is wanted.
    max_iter : int or None
        Most steps of the solver.
    seed : int
        Seed of all draws.
    """

    epsilons: tuple
    percentile: float = 70.0
    C: float | None = None
    rho: float | None = None
    tol: float = 1e-3
    max_iter: int | None = None
    seed: int = 0

    def bound(self, **changes):
        """Return an unfitted CertifiedBound with these settings."""
        settings = {
            "filter": SphereFilter(self.percentile) & SlabFilter(self.percentile),
            "rho": self.rho,
            "C": self.C,
            "tol": self.tol,
            "max_iter": self.max_iter,
            "random_state": self.seed,
        }
        return CertifiedBound(**(settings | changes))


class Ticker:
    """Callback that tells of every bound that is done.

    Parameters
    ----------
    advance : callable
        What to call.
    """

    def __init__(self, advance):
        self._advance = advance

    def setup(self, estimator, context):
        """Nothing to prepare."""

    def on_fit_task_begin(self, estimator, context):
        """Nothing to tell yet."""

    def on_fit_task_end(self, estimator, context):
        """Tell."""
        if context.task_name == "bound":
            self._advance()

    def teardown(self, estimator, context):
        """Nothing to clean up."""


def certify(sample, settings, advance=None):
    """Bound the damage for each share of poison, and measure the candidate attacks.

    Parameters
    ----------
    sample : Sample
        Clean rows to train on and to test on.
    settings : Settings
        What to certify.
    advance : callable, default=None
        Called whenever one more of the bounds is done.

    Returns
    -------
    numbers : dict
        What ``--json`` writes; the command's help describes it.
    curve : Bunch
        The fitted bounds, as :func:`skpoison.bound_curve` returns them.
    """
    # A bound without poison is the learner on clean rows; the walk gets it cheaply.
    epsilons = [*settings.epsilons, 0.0]
    bound = settings.bound()
    if advance is not None:
        bound.set_callbacks(Ticker(advance))
    curve = bound_curve(bound, sample.X, sample.signs, epsilons)
    clean = curve.estimators.pop()
    numbers = {
        "skpoison": __version__,
        "command": "certify",
        "data": sample.describe(),
        "settings": asdict(settings),
        "defense": _defense(clean.filter_, sample),
        "no_attack": {
            "all_rows": _clean_performance(clean, sample),
            "kept_rows": _filtered_performance(clean, sample, settings),
        },
        "bounds": [_row(bound, sample, settings.tol) for bound in curve.estimators],
    }
    return numbers, curve


def _defense(filter_, sample):
    kept = filter_.inlier_mask_
    radii = [member.radii_.tolist() for member in filter_.filters_]
    return {
        "kind": "fixed",
        "filters": ["sphere", "slab"],
        "sphere_radii": radii[0],
        "slab_half_widths": radii[1],
        "n_kept": int(kept.sum()),
        "kept_share": float(kept.mean()),
    }


def _filtered_performance(clean, sample, settings):
    kept = np.flatnonzero(clean.filter_.inlier_mask_)
    # The filter stays as it is: radii measured again on the kept rows would shrink.
    learner = settings.bound(filter=FrozenEstimator(clean.filter_), epsilon=0.0)
    learner.fit(sample.X[kept], sample.signs[kept])
    return _clean_performance(learner, sample)


def _clean_performance(bound, sample):
    """Return the performance of a learner that no poison reaches."""
    tested = _performance(bound.coef_, bound.intercept_, sample)
    return {"train_loss": bound.upper_bound_, **tested}


def reached(bound, tol):
    """Tell whether upper and lower bound have come as close as asked for."""
    return bool(bound.dual_gap_ <= tol * max(bound.upper_bound_, LOSS_FLOOR))


def _row(bound, sample, tol):
    attacked = _performance(bound.poisoned_coef_, bound.poisoned_intercept_, sample)
    return {
        "epsilon": float(bound.epsilon),
        "n_poison": int(bound.attack_.n_copies.sum()),
        "upper_bound": bound.upper_bound_,
        "lower_bound": bound.lower_bound_,
        "dual_gap": bound.dual_gap_,
        "converged": reached(bound, tol),
        "clean_loss": bound.clean_loss_,
        "poison_loss": bound.poison_loss_,
        "attack_loss": bound.attack_loss_,
        "attack_test_loss": attacked["test_loss"],
        "attack_test_error": attacked["test_error"],
        "n_iter": int(bound.n_iter_),
    }


def _performance(coef, intercept, sample):
    """Return mean hinge loss and share of errors on the test rows, if there are any."""
    if sample.X_test is None:
        return {"test_loss": None, "test_error": None}
    scores = sample.X_test @ coef[0] + intercept[0]
    signs = sample.signs_test
    return {
        "test_loss": float(np.maximum(1.0 - signs * scores, 0.0).mean()),
        "test_error": float(np.mean((scores > 0) != (signs > 0))),
    }
