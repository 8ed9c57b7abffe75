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
    """What :func:`check` found: the claims, and what no file can prove.

    `objective` says what the learner minimizes, in the numbers of the file, which the
    claims are about; empty for certified predictions. Names in the `header` (learner,
    filter, domain, packages, encoding) are only said by the file: nothing checks them.
    """

    claims: tuple[Claim, ...]
    assumed: tuple[str, ...]
    header: dict
    objective: str = ""

    @property
    def verified(self) -> bool:
        """Whether all that is claimed holds, given what is `assumed`."""
        return all(claim.holds is True for claim in self.claims)

    @property
    def assumes_votes(self) -> bool:
        """Whether claims follow from votes that the file states and nothing proves."""
        refitted = any(claim.name == "votes" and claim.holds for claim in self.claims)
        return self.header["kind"] == "votes" and not refitted
