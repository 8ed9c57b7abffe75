"""What ``certify`` adds where the attacker moves the centroids."""

import warnings

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skpoison import bound_curve
from skpoison._whole_rows import copied_points
from skpoison.exceptions import FilterWarning


def fixed_curve(settings, sample):
    """Bound the same attackers with fixed centroids, to compare with.

    Parameters
    ----------
    settings : Settings
        What to certify.
    sample : Sample
        Clean rows.

    Returns
    -------
    curve : Bunch
        What :func:`skpoison.bound_curve` returns.
    """
    bound = settings.bound(defense="fixed")
    return bound_curve(bound, sample.X, sample.signs, [*settings.epsilons, 0.0])


def measured_defenses(bound, sample, settings, performance):
    """Measure the attack behind both filters that are fitted on poisoned rows.

    Parameters
    ----------
    bound : CertifiedBound
        A fitted bound.
    sample : Sample
        Clean rows and test rows.
    settings : Settings
        What was certified.
    performance : callable
        Turns coefficients and intercept into losses and errors on the test rows.

    Returns
    -------
    columns : dict
        Test loss and error behind the filter whose centroids are estimated, and behind
        the one that estimates everything.
    """
    attack = bound.attack_
    moved = performance(attack.filtered_coef, attack.filtered_intercept, sample)
    learner = _behind(settings.bound().filter, bound, sample, settings)
    estimated = performance(learner.coef_, learner.intercept_, sample)
    return {
        "filtered_test_loss": moved["test_loss"],
        "filtered_test_error": moved["test_error"],
        "reestimated_test_loss": estimated["test_loss"],
        "reestimated_test_error": estimated["test_error"],
    }


def _behind(filter_, bound, sample, settings):
    """Train on the rows that a filter keeps which is fitted on poison too."""
    attack = bound.attack_
    stack = sparse.vstack if sparse.issparse(sample.X) else np.vstack
    copies = attack.X[copied_points(attack.n_copies)]
    X = stack([sample.X, copies])
    X = X.tocsr() if sparse.issparse(X) else X
    y = np.append(sample.signs, np.repeat(attack.y, attack.n_copies))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FilterWarning)
        kept = np.flatnonzero(clone(filter_).fit(X, y).inlier_mask_)
    frozen = FrozenEstimator(bound.filter_)
    options = {"filter": frozen, "epsilon": 0.0, "max_iter": None, "defense": "fixed"}
    return settings.bound(**options).fit(X[kept], y[kept])


def draw_reestimated(display, rows):
    """Draw what the attack does where everything is re-estimated.

    Parameters
    ----------
    display : BoundDisplay
        A drawn display.
    rows : list of dict
        Numbers of each epsilon.
    """
    points = sorted((row["epsilon"], row["reestimated_test_loss"]) for row in rows)
    style = {"color": "black", "linestyle": ":", "marker": "x", "markersize": 4}
    display.ax_.plot(*zip(*points, strict=True), **style)
    # Beside the line, as the legend above it is full.
    display.ax_.annotate(
        "test loss, everything\nre-estimated",
        points[-1],
        xytext=(-4, 4),
        textcoords="offset points",
        ha="right",
        fontsize="x-small",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
    )
