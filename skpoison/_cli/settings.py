"""What to certify."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse

from skpoison import CertifiedBound
from skpoison._defaults import default_filter
from skpoison.feasible import Domain


@dataclass(frozen=True)
class BoundSettings:
    """What to certify: the options of a command, and the bound that they mean."""

    epsilons: tuple
    filter: str = "both"
    percentile: float = 70.0
    C: float | None = None
    rho: float | None = None
    tol: float = 1e-3
    max_iter: int | None = None
    seed: int = 0
    domain: str = "real"
    defense: str = "fixed"

    @property
    def is_moving(self):
        """Whether the attacker moves the centroids."""
        return self.defense == "moving-centroids"

    def region_filter(self):
        """Return the unfitted filter, an intersection even of one."""
        both = default_filter(self.percentile)
        if self.filter == "both":
            return both
        return both.set_params(filters=[(self.filter, dict(both.filters)[self.filter])])

    def bound(self, **changes):
        """Return an unfitted CertifiedBound with these settings."""
        settings = {
            "filter": self.region_filter(),
            "rho": self.rho,
            "C": self.C,
            "tol": self.tol,
            "max_iter": self.max_iter,
            "random_state": self.seed,
            "domain": self.domain,
            "defense": self.defense.replace("-", "_"),
        }
        return CertifiedBound(**(settings | changes))

    def describe(self):
        """Name the learner and the filter in few words."""
        learner = f"C = {self.C:g}" if self.rho is None else f"rho = {self.rho:g}"
        rows = "" if self.domain == "real" else f", {self.domain} rows"
        moved = "" if self.defense == "fixed" else ", moving centroids"
        alone = "" if self.filter == "both" else f"{self.filter}, "
        return f"{learner}, {alone}percentile {self.percentile:g}{rows}{moved}"


def domain_of(kind, encoder):
    """Return what an attacker can send as a domain of scaled rows.

    Where columns are shifted, numbers that are not negative are those above the place
    of zero.
    """
    if kind != "nonnegative" or not encoder.scaled:
        return kind
    zeros = encoder.rescale(np.zeros((1, len(encoder.names))))
    return Domain(lower=zeros.toarray().ravel() if issparse(zeros) else zeros.ravel())
