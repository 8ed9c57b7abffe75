"""Medoids that represent all rows: exact greedy facility location.

:mod:`skpoison.coreset.backend` has the definitions that other backends, such as one for
GPUs, must share to select the same rows.
"""

from skpoison.coreset._facility import facility_location, isolated_medoids
from skpoison.coreset._outer import gradient_facility_location

__all__ = ["facility_location", "gradient_facility_location", "isolated_medoids"]
