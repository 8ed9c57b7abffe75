"""Filters: estimators that score training rows and reject the suspicious ones.

Every filter gives each row a number that says how outlying it is among the rows of its
class: a distance, a loss, a share of neighbors. What is outlying enough to be rejected
is decided in one way everywhere: a class keeps the rows whose number is at most the
radius of the class, and the radius is the ``percentile`` (70 by default) of the numbers
of the class's training rows, interpolated linearly. Each class loses about the same
share of its rows, and keeps at least one.

Where the literature of a filter speaks of the share of rows to reject, the filter takes
``contamination`` in place of ``percentile``::

    percentile = 100 * (1 - contamination)

Both say the same thing, and giving both is an error. ``contamination`` is the share of
*all* rows of each class that are rejected, poison and clean alike; epsilon, the word of
bounds and attacks, is poison divided by *clean* rows: to reject as many rows as there
are poison ones, ``contamination = epsilon / (1 + epsilon)``.

Scores are minus that number, so that higher is more normal; decisions are the radius
minus it, so that rows with a decision of at least zero are kept.
"""

from skpoison.filters._clusters import ActivationClusteringFilter
from skpoison.filters._combine import FilterIntersection, FilterUnion
from skpoison.filters._epic import EPICFilter
from skpoison.filters._loss import LossFilter
from skpoison.filters._mahalanobis import MahalanobisFilter
from skpoison.filters._neighbors import NeighborsFilter
from skpoison.filters._sever import SeverFilter
from skpoison.filters._slab import SlabFilter
from skpoison.filters._spectral import SpectralFilter
from skpoison.filters._sphere import SphereFilter
from skpoison.filters._subspace import SubspaceFilter

__all__ = [
    "ActivationClusteringFilter",
    "EPICFilter",
    "FilterIntersection",
    "FilterUnion",
    "LossFilter",
    "MahalanobisFilter",
    "NeighborsFilter",
    "SeverFilter",
    "SlabFilter",
    "SpectralFilter",
    "SphereFilter",
    "SubspaceFilter",
]
