"""Filters: estimators that score training rows and reject the suspicious ones.

Every filter gives each row a number that says how outlying it is among the rows of its
class: a distance, a loss, a share of neighbors. What is outlying enough to be rejected
is decided in one way everywhere: a class keeps the rows whose number is at most the
radius of the class, and keeps at least one.

The radius comes from the numbers of the class's training rows. By default
(``percentile="auto"``) it is where their bulk ends, so that honest rows are hardly
rejected. A ``percentile`` that is a number is the
percentage of the rows that are kept, interpolated linearly: each class then loses about
the same share of its rows, as in the literature, where it is mostly 70. Filters whose
number says how badly a label fits (losses, gradients, labels of neighbors) reject by
default as many rows as have a label that another one suits better.
``contamination_`` is the share that was rejected in each class.

If the literature on a filter specifies the share of rows to reject, the filter takes
``contamination`` in place of ``percentile``::

    percentile = 100 * (1 - contamination)

The two are equivalent, and passing two numbers is an error. ``contamination`` is the
share of *all* rows of each class that are rejected, poison and clean alike; epsilon,
the word of bounds and attacks, is poison divided by *clean* rows: to reject as many
rows as there are poison ones, ``contamination = epsilon / (1 + epsilon)``.

Scores are minus that number, so that higher is more normal; decisions are the radius
minus it, so that rows with a decision of at least zero are kept.
"""

from skpoison._lazy import lazy_names

# They load on first use: some need parts of scikit-learn that most people do not.
_HOMES = {
    "ActivationClusteringFilter": "_clusters",
    "AutoFilter": "_auto",
    "CrossFitFilter": "_cross_fit",
    "EPICFilter": "_epic",
    "FilterIntersection": "_combine",
    "FilterUnion": "_combine",
    "LossFilter": "_loss",
    "MahalanobisFilter": "_mahalanobis",
    "NearCopyFilter": "_near_copies",
    "NeighborsFilter": "_neighbors",
    "SeverFilter": "_sever",
    "SlabFilter": "_slab",
    "SpectralFilter": "_spectral",
    "SphereFilter": "_sphere",
    "SubspaceFilter": "_subspace",
    "TrimFilter": "_trim",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
