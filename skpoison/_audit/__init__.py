"""What a data owner needs to know: profile, bounds, attacks, suspicious rows."""

from ._audit import audit
from ._report import AuditReport

__all__ = ["AuditReport", "audit"]
