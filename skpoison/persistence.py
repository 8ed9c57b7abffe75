"""Saving fitted estimators without pickles."""

import importlib
import inspect
import pkgutil

__all__ = ["trusted_types"]

# Packages whose classes fitted estimators are made of.
_HOMES = (
    "attacks",
    "bounds",
    "coreset",
    "evaluation",
    "feasible",
    "filters",
    "meta",
    "pointwise",
    "solvers",
)
_MODULES = (
    "_as_given",
    "_column_types",
    "_residual_losses",
    "_stored",
    "_tables",
    "losses",
)
_CONTAINERS = ("sklearn.utils._bunch.Bunch",)
# Compiled code follows the numbers in these without checking them.
_COMPILED = (
    "scipy.sparse._csr.csr_array",
    "scipy.sparse._csr.csr_matrix",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
)


def trusted_types(*, compiled: bool = False) -> list[str]:
    """Return the types that files of fitted skpoison estimators are made of.

    `skops <https://skops.readthedocs.io>`_ saves estimators without pickles. It loads
    only types that it knows, such as arrays and scikit-learn's estimators, and those
    that it is told to trust: give it this list. Estimators inside those of skpoison
    that come from other packages have types of their own.

    Parameters
    ----------
    compiled : bool, default=False
        Whether sparse rows, and scikit-learn's trees for classification and for
        neighbors, are among them. ``AutoFilter``, ``CrossFitFilter`` (and what holds
        them, by default all estimators that clean data), ``NeighborsFilter``,
        bounds on domains of few values, and bounds and partitioned classifiers of
        sparse rows need them. Compiled code
        follows their numbers without checks, so a file that somebody made for the
        purpose can crash Python, or worse. Set this only for files from people you
        trust.

    Returns
    -------
    types : list of str
        Full names, sorted.

    See Also
    --------
    skpoison.exceptions.InconsistentVersionWarning : The warning of another version.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison import SphereFilter
    >>> from skpoison.persistence import trusted_types
    >>> sphere = SphereFilter().fit(np.arange(20.0).reshape(-1, 2))
    >>> import skops.io  # doctest: +SKIP
    >>> content = skops.io.dumps(sphere)  # doctest: +SKIP
    >>> skops.io.loads(content, trusted=trusted_types())  # doctest: +SKIP
    SphereFilter()
    >>> "skpoison.filters._sphere.SphereFilter" in trusted_types()
    True
    """
    own = {
        f"{thing.__module__}.{thing.__name__}"
        for module in _modules()
        for thing in vars(module).values()
        if inspect.isclass(thing) and thing.__module__ == module.__name__
    }
    return sorted({*own, *_CONTAINERS, *(_COMPILED if compiled else ())})


def _modules():
    """Yield the modules that define the classes of fitted estimators."""
    for name in _MODULES:
        yield importlib.import_module(f"skpoison.{name}")
    for home in _HOMES:
        package = importlib.import_module(f"skpoison.{home}")
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)
