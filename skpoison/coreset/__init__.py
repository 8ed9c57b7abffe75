"""Medoids that stand for all rows: exact greedy facility location.

:mod:`skpoison.coreset.backend` holds what code that computes elsewhere, on a GPU for
example, has to share in order to pick the same rows.
"""

from skpoison.coreset._facility import facility_location, isolated_medoids
from skpoison.coreset._outer import gradient_facility_location

__all__ = ["facility_location", "gradient_facility_location", "isolated_medoids"]
