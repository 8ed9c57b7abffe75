"""Whether an attacker's domain goes with the rows that there are."""

from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.feasible import in_domain

# Fewer clean rows than this share in the domain are taken for a mistake.
FEW = 0.5


def warn_of_strangers(domain, X, feature_names=None):
    """Warn where most clean rows are rows that no attacker could send.

    Shapes: X (n_samples, n_features), feature_names (n_features,).
    """
    share = float(in_domain(domain, X, feature_names).mean())
    if share < FEW:
        warn(
            f"Only {share:.0%} of the clean rows are rows of domain={domain!r}, as the "
            "attacker's must be. The bound holds for such attackers; is it the domain "
            "of these features?",
            FilterWarning,
        )
