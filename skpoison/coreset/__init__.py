"""Medoids that stand for all rows: exact greedy facility location."""

from skpoison.coreset._facility import facility_location

__all__ = ["facility_location"]
