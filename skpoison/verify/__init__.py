"""Checks certificate files without the solvers that made them.

A reviewer can read this package in an hour: it needs NumPy and the standard library,
and imports nothing else of skpoison. To read it in order: `_proof`, whose first lines
are the theorem, with `_rows` (sums with error bounds, hashes) and `_losses`, is the
proof; `_file` reads a file that may come from a stranger; `_check` and `_claims` say
what holds. `_domain` (rows of restricted values) and `_votes` (certified predictions)
are imported only for certificates that claim them.
"""

from skpoison.verify._check import check
from skpoison.verify._claims import Claim, Report
from skpoison.verify._file import CertificateError

__all__ = ["CertificateError", "Claim", "Report", "check"]
