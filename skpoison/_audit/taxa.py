"""What was tried and found, by the entries of public taxonomies of attacks."""

from sklearn.base import BaseEstimator

from skpoison._reports.frameworks import AVAILABILITY, TARGETED, TaxonReport
from skpoison._reports.reasons import taxa_of_reasons

from .types import Bounds, Predictions, Suspicious


def taxonomies(
    attacks: dict[str, BaseEstimator],
    bounds: Bounds,
    predictions: Predictions,
    suspicious: Suspicious,
    is_likely_poisoned: bool,
) -> list[TaxonReport]:
    """List entries of taxonomies, each with what was tried and found."""
    tried = {f"attack: {name}": AVAILABILITY for name in attacks}
    if bounds["curves"]:
        tried["certified bounds on the training loss"] = AVAILABILITY
    if predictions["reason"] is None:
        tried["certified predictions"] = TARGETED
    n_rows: dict[str, int] = {}
    for one in suspicious["classes"]:
        for reason, n in one["rejected_by"].items():
            n_rows[reason] = n_rows.get(reason, 0) + n
    return taxa_of_reasons(n_rows, tried, is_likely_poisoned)
