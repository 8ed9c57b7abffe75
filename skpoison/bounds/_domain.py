"""Whether an attacker's domain goes with the rows that there are."""

from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.feasible import as_domain

# Slack of whole numbers and of the unit norm, by the rows' precision.
SLACK = {"float32": 1e-5, "float64": 1e-9}
# Fewer clean rows than this share in the domain are taken for a mistake.
FEW = 0.5


def in_domain(domain, X, feature_names=None):
    """Say which rows are rows of a domain, in spite of rounding.

    Parameters
    ----------
    domain : str or Domain
        Which rows can be sent.
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows, float64 or float32.
    feature_names : ndarray of shape (n_features,), default=None
        Names of the features, if there are any.

    Returns
    -------
    mask : ndarray of shape (n_samples,), dtype=bool
        True for the rows of the domain.
    """
    columns = as_domain(domain).resolve(X.shape[1], feature_names)
    return columns.contains(X, SLACK[X.dtype.name])


def warn_of_strangers(domain, X, feature_names=None):
    """Warn where most clean rows are rows that no attacker could send.

    Parameters
    ----------
    domain : str or Domain
        Which rows can be sent.
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Clean rows.
    feature_names : ndarray of shape (n_features,), default=None
        Names of the features, if there are any.

    Warns
    -----
    FilterWarning
        If less than half of the rows are in the domain.
    """
    share = float(in_domain(domain, X, feature_names).mean())
    if share < FEW:
        warn(
            f"Only {share:.0%} of the clean rows are rows of domain={domain!r}, as the "
            "attacker's must be. The bound holds for such attackers; is it the domain "
            "of these features?",
            FilterWarning,
        )
