"""Checks certificate files without the solvers that made them.

A reviewer can read this package in an hour: it needs NumPy and the standard library,
and imports nothing else of skpoison. `_file` reads a file that may come from a
stranger, `_rows` holds the training rows and their products with error bounds,
`_losses` the losses with their conjugates, and `_proof` the proof itself; `_domain` is
for rows of restricted values, and `_votes` for certified predictions.
"""

from skpoison.verify._check import check
from skpoison.verify._claims import Claim, Report
from skpoison.verify._file import CertificateError

__all__ = ["CertificateError", "Claim", "Report", "check"]
