"""What is claimed, and whether it holds."""

from typing import Any, NamedTuple


class Claim(NamedTuple):
    """One claim of a certificate.

    `holds` is None where it could not be checked, which `reason` explains; `proven` is
    the number that follows from file and rows in place of the one that is `claimed`.
    """

    name: str
    holds: bool | None
    reason: str = ""
    claimed: Any = None
    proven: Any = None


class Report(NamedTuple):
    """What :func:`check` found: the claims, and what no file can prove."""

    claims: tuple[Claim, ...]
    assumed: tuple[str, ...]
    header: dict

    @property
    def verified(self) -> bool:
        """Whether all that is claimed holds."""
        return all(claim.holds is True for claim in self.claims)
