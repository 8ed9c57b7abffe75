"""What a data owner needs to know: profile, bounds, attacks, suspicious rows."""

from .report import AuditReport
from .run import audit

__all__ = ["AuditReport", "audit"]
