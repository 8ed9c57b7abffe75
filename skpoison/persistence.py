"""Saving fitted estimators without pickles."""

__all__ = ["trusted_types"]

# The classes that fitted estimators are made of, by the modules that define them. They
# hold parameters and arrays: making one, and filling it, does nothing else.
_OWN = {
    "_as_given": ("AsNumbers",),
    "_column_types": ("Types",),
    "_residual_losses": (
        "ConcomitantHuber",
        "EpsilonInsensitive",
        "Huber",
        "SquaredEpsilonInsensitive",
        "SquaredError",
    ),
    "_stored": ("Column", "StoredTable", "Texts"),
    "_tables": ("Table",),
    "attacks._gradient": ("GradientAttack",),
    "attacks._kkt": ("KKTAttack",),
    "attacks._label_flip": ("LabelFlipAttack",),
    "attacks._min_max": ("MinMaxAttack",),
    "attacks._target_flip": ("TargetFlipAttack",),
    "bounds._certified": ("CertifiedBound",),
    "bounds._class_certificate": ("ClassDual",),
    "bounds._dual": ("Dual",),
    "bounds._objective": ("Objective",),
    "bounds.moving._certificate": ("MovingDual",),
    "bounds._svc": ("NormConstrainedSVC",),
    "evaluation._search": ("DefenseSearchCV",),
    "feasible._domain": ("Domain",),
    "filters._auto": ("AutoFilter",),
    "filters._clusters": ("ActivationClusteringFilter", "_Pair"),
    "filters._combine": ("FilterIntersection", "FilterUnion"),
    "filters._copies": ("CopySpace",),
    "filters._cross_fit": ("CrossFitFilter",),
    "filters._epic": ("EPICFilter",),
    "filters._far": ("Far", "Isolation", "Reach"),
    "filters._isolation_forest": ("QuickIsolationForest",),
    "filters._label_noise": ("LabelNoise",),
    "filters._loss": ("LossFilter",),
    "filters._mahalanobis": ("MahalanobisFilter",),
    "filters._near_copies": ("NearCopyFilter",),
    "filters._nearest": ("SearchSpace", "Votes"),
    "filters._neighbors": ("NeighborsFilter",),
    "filters._panel": ("Fitted",),
    "filters._residuals": ("ResidualScale",),
    "filters._sever": ("SeverFilter",),
    "filters._slab": ("SlabFilter",),
    "filters._spectral": ("SpectralFilter",),
    "filters._sphere": ("SphereFilter",),
    "filters._subspace": ("SubspaceFilter",),
    "filters._trim": ("TrimFilter",),
    "losses": ("Hinge", "Logistic", "ModifiedHuber", "Squared", "SquaredHinge"),
    "meta._filtered": ("FilteredClassifier", "FilteredRegressor"),
    "meta._poisoned": ("PoisonedClassifier", "PoisonedRegressor"),
    "meta._sampler": ("DropOutliers",),
    "pointwise._partitioned": ("PartitionedClassifier",),
    "pointwise._two_means": ("TwoMeansClassifier",),
    "solvers._class_losses": ("CrammerSinger", "Multinomial", "OneVsRest"),
}
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
        them, by default all estimators that clean data), ``NeighborsFilter``, bounds
        and partitioned classifiers of sparse rows, and bounds for restricted domains
        such as counts need them. Compiled code follows their numbers without checks,
        so a file that somebody made for the purpose can crash Python, or worse. Set
        this only for files from people you trust.

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
    own = (f"skpoison.{home}.{name}" for home, names in _OWN.items() for name in names)
    return sorted((*own, *_CONTAINERS, *(_COMPILED if compiled else ())))
