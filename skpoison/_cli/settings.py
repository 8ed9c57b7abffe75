"""What to certify."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import issparse

from skpoison import CertifiedBound
from skpoison._defaults import default_filter
from skpoison._io import DataError
from skpoison.feasible import Domain

from .learners import LEARNERS

# Domains of rows that are convex, which every learner has bounds for.
CONVEX_DOMAINS = ("real", "nonnegative")


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
    learner: str = "svm"
    target_range: tuple[float, float] | None = None
    task: str = "binary"

    def for_target(self, target):
        """Return these for what a target holds; an error if they do not go with it."""
        settings = replace(self, task=target.task)
        if target.task != "binary":
            settings._check_several(target)
        # Without classes there is no line between centroids, and no slab across it.
        return settings if target.has_classes else replace(settings, filter="sphere")

    def _check_several(self, target):
        held = f"{len(target.names)} classes" if target.has_classes else "numbers"
        positive = " --positive makes two of them." if target.has_classes else ""
        known = LEARNERS[target.task]
        if self.learner not in known:
            raise DataError(
                f"--learner {self.learner} is for classes, and {target.name!r} holds "
                f"{held}; take one of {', '.join(known)}."
            )
        refused = {
            "--rho": self.rho is not None,
            f"--domain {self.domain}": self.domain not in CONVEX_DOMAINS,
            f"--defense {self.defense}": self.is_moving,
        }
        for option, is_given in refused.items():
            if is_given:
                raise DataError(
                    f"{option} is for two classes, and {target.name!r} holds {held}."
                    f"{positive}"
                )

    def takes_all_rows(self, target):
        """Tell whether there are bounds over rows that are not in memory together."""
        is_known = target.task != "multiclass" and self.domain == "real"
        return is_known and not self.is_moving

    @property
    def is_moving(self):
        """Whether the attacker moves the centroids."""
        return self.defense == "moving-centroids"

    @property
    def is_plain_hinge(self):
        """Whether bounds are those of the hinge loss and two classes."""
        return self.learner == "svm" and self.task == "binary"

    @property
    def kind(self):
        """The learner, with how to speak of it."""
        return LEARNERS[self.task][self.learner]

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
        if self.target_range is not None:
            settings["target_range"] = self.target_range
        estimator = self.kind.estimator
        if estimator is not None:
            settings |= {"estimator": estimator(self.C), "C": None}
        return CertifiedBound(**(settings | changes))

    def describe(self):
        """Name the learner and the filter in few words."""
        learner = f"C = {self.C:g}" if self.rho is None else f"rho = {self.rho:g}"
        if self.learner != "svm":
            learner = f"{self.learner}, {learner}"
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
