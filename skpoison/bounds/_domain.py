"""Check an attacker's domain against the clean rows."""

from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.feasible import in_domain

# A smaller share of clean rows in the domain is probably a mistake.
FEW = 0.5


def warn_of_strangers(domain, X, feature_names=None):
    """Warn if most clean rows lie outside the attacker's domain.

    Shapes: X (n_samples, n_features), feature_names (n_features,).
    """
    share = float(in_domain(domain, X, feature_names).mean())
    if share < FEW:
        warn(
            f"Only {share:.0%} of the clean rows are in domain={domain!r}, to which "
            "the attacker's rows are restricted. The bound is valid for that attacker "
            "only; check that the domain describes these features.",
            FilterWarning,
        )
