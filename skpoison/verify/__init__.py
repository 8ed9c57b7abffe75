"""Checks certificate files without the solvers that made them.

A reviewer can read this package in an hour: it needs NumPy and the standard library,
and imports nothing else of skpoison. In the order to read it, with lines of code
(comments and docstrings come on top):

1. `_proof` (250), whose first lines are the theorem, with `_rows` (71; sums with error
   bounds, and hashes) and `_losses` (77): the proof of bounds for two classes, and of
   regressors.
2. `_file` (190): reads a file that may come from a stranger.
3. `_check` (120), `_claims` (19) and `_words` (123): from a file and rows to a report,
   and what that takes for granted.

The others are imported, and have to be read, only for certificates that claim what they
prove: `_domain` (152; rows of restricted values), `_classes` (195; more than two),
`_moving` (266; centroids that poison moves) and `_votes` (61; certified predictions).
"""

from skpoison.verify._check import check
from skpoison.verify._claims import Claim, Report
from skpoison.verify._file import CertificateError

__all__ = ["CertificateError", "Claim", "Report", "check"]
