"""The model, the defenses and the attacks that an audit takes where none are given."""

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.svm import LinearSVC

BOTH = "sphere & slab"
UNDEFENDED = "no defense"
MAX_ITER = 2000


def name_of(percentile):
    """Return what the sphere and slab defense at a percentile is called."""
    return f"{BOTH} {percentile:g}"


def default_estimator():
    """Return the model that is audited where none is given."""
    return LinearSVC(loss="hinge", max_iter=MAX_ITER)


def learner_of(estimator):
    """Return the learner that bounds speak of, and whether it is the model itself.

    Parameters
    ----------
    estimator : classifier
        The model.

    Returns
    -------
    learner : dict
        ``C`` or ``rho``.
    is_own : bool
        False where bounds speak of ``LinearSVC(loss="hinge", C=1)`` in its place.
    """
    from skpoison._learners import hinge_learner_of

    try:
        learner = hinge_learner_of(estimator, "audit")
    except ValueError:
        return {"C": 1.0}, False
    return ({"C": learner.C} if learner.rho is None else {"rho": learner.rho}), True


def seeded(thing, seed):
    """Return a clone that draws from a seed wherever it would draw at random.

    Parameters
    ----------
    thing : estimator
        A model, a filter or an attack.
    seed : int
        The seed; what has one of its own keeps it.

    Returns
    -------
    thing : estimator
        The clone. What is frozen in it stays as it is.
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
    """Return defenses beside sphere and slab, each keeping a share of every class.

    Parameters
    ----------
    percentile : float
        The share that they keep, in percent.

    Returns
    -------
    filters : dict of str to filter
        The filters by name.
    """
    from skpoison import filters as f

    return {
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

    Parameters
    ----------
    learner : dict
        ``C`` or ``rho`` of the learner that is attacked.
    estimator : classifier
        The model.
    n_classes : int
        Number of classes.

    Returns
    -------
    attacks : dict of str to attack
        The attacks.
    """
    from skpoison.attacks import LabelFlipAttack, MinMaxAttack

    flips = {"flips": LabelFlipAttack(strategy="feasible")}
    if n_classes > 2:
        return flips | {"random flips": LabelFlipAttack(strategy="random")}
    own = learner_of(estimator)[1]
    alfa = LabelFlipAttack(strategy="alfa", estimator=estimator if own else None)
    return {"min-max": MinMaxAttack(**learner), **flips, "alfa flips": alfa}
