"""Model, defenses and attacks where none are given, and at what attacks are aimed."""

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.svm import LinearSVC

from skpoison.filters import SphereFilter

from .metrics import is_unequal

BOTH = "sphere & slab"
UNDEFENDED = "no defense"
MAX_ITER = 2000
# What somebody sends whom no filter stops, to have some limit for the attacks.
TIMES_AS_FAR = 3.0
ANYWHERE = "rows up to three times as far out as any"


def name_of(percentile):
    """Return what the sphere and slab defense at a percentile is called."""
    return f"{BOTH} {percentile:g}"


def default_estimator(codes, class_weight):
    """Return the model that is audited where none is given.

    With ``class_weight="auto"``, it weights its classes where one is rare.
    """
    weights = weights_of(codes, class_weight)
    return LinearSVC(loss="hinge", class_weight=weights, max_iter=MAX_ITER)


def weights_of(codes, class_weight):
    """Return the weights of classes; "auto" balances them where one is rare."""
    if class_weight == "auto":
        return "balanced" if is_unequal(np.bincount(codes)) else None
    return class_weight


def seeded(thing, seed):
    """Return a clone that draws from a seed wherever it would draw at random.

    What has a seed of its own keeps it, and what is frozen stays as it is.
    """
    thing = clone(thing)
    params = {"": thing, **thing.get_params(deep=True)}
    frozen = [name for name, v in params.items() if isinstance(v, FrozenEstimator)]
    unset = {
        name: seed
        for name, value in params.items()
        if name.rpartition("__")[-1] == "random_state"
        and value is None
        and not any(name.startswith(f"{one}__" if one else "") for one in frozen)
    }
    if unset:
        thing.set_params(**unset)
    return thing


def default_filters(percentile):
    """Return defenses beside sphere and slab, each keeping a percentage of a class."""
    from skpoison import filters as f

    return {
        "auto": f.AutoFilter(),
        "mahalanobis": f.MahalanobisFilter(percentile),
        "subspace": f.SubspaceFilter(percentile),
        "neighbors": f.NeighborsFilter(percentile),
        "neighbor labels": f.NeighborsFilter(percentile, criterion="labels"),
        "loss": f.LossFilter(percentile),
        "spectral": f.SpectralFilter(percentile),
        "sever": f.SeverFilter(percentile),
    }


def default_attacks(learner, estimator, n_classes):
    """Return attacks by name, as far as they can be made on so many classes.

    `learner` is the one that bounds are for.
    """
    from skpoison.attacks import LabelFlipAttack, MinMaxAttack

    flips = {"flips": LabelFlipAttack(strategy="feasible")}
    if n_classes > 2:
        return flips | {"random flips": LabelFlipAttack(strategy="random")}
    own = estimator if learner.is_model and learner.is_hinge else None
    alfa = LabelFlipAttack(strategy="alfa", estimator=own)
    return {"min-max": MinMaxAttack(**learner.options), **flips, "alfa flips": alfa}


def can_adapt(attacks, fitted) -> dict[str, bool]:
    """Tell which attacks can be made against a fitted defense, knowing it."""
    judges = hasattr(fitted, "decision_function")
    bounded = hasattr(fitted, "feasible_set") and fitted.feasible_set().is_bounded
    return {
        name: _listens(attack) and bool(bounded if looks_at_sets(attack) else judges)
        for name, attack in attacks.items()
    }


def _listens(attack):
    """Tell whether an attack makes use of knowing the defense."""
    params = attack.get_params(deep=False)
    return "filter" in params and params.get("strategy") != "random"


def looks_at_sets(attack):
    """Tell whether an attack looks for its rows in the defense's feasible set."""
    return getattr(attack, "_needs_feasible_set", True)


def far_out(X, y):
    """Return a fitted sphere that lets rows through far beyond all that there are."""
    fitted = SphereFilter(100).fit(X, y)
    wide = SphereFilter(centroids=fitted.centroids_, radii=TIMES_AS_FAR * fitted.radii_)
    return FrozenEstimator(wide.fit(X, y))


def aimed(attacks, filter_, seed):
    """Aim attacks at a filter; those with a filter of their own keep it."""
    found = {}
    for name, attack in attacks.items():
        if is_free(attack):
            attack = clone(attack).set_params(filter=seeded(filter_, seed))
        found[name] = attack
    return found


def is_free(attack):
    """Tell whether an attack can be aimed at a filter, and has none of its own."""
    return attack.get_params(deep=False).get("filter", attack) is None


def all_defenses(plan):
    """Return all defenses, and none: a sphere around all rows rejects no row."""
    return {UNDEFENDED: SphereFilter(100), **plan.defenses}


def within(name, plan):
    """A defense and stricter percentiles of it: what passes these passes it, too."""
    known = {name_of(p): p for p in plan.percentiles}
    return {name, *(one for one, p in known.items() if p < known.get(name, 0))}
