"""Guarantees for single predictions.

:func:`certified_radius` says how many training rows an attacker must insert, delete,
change or relabel before a given prediction can change. Which attacks it covers depends
on the estimator; :class:`PartitionedClassifier` turns any classifier into one with
certificates against all of them.
"""

from skpoison._lazy import lazy_names

_HOMES = {
    "PartitionedClassifier": "_partitioned",
    "TwoMeansClassifier": "_two_means",
    "certified_accuracy": "_radius",
    "certified_radius": "_radius",
    "collective_bound": "_collective",
    "flip_radius": "_flips",
    "refit_votes": "_refit",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
