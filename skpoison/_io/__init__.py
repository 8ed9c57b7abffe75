"""Files in, files out: labeled data for the command line."""

from .errors import DataError
from .read import load

__all__ = ["DataError", "load"]
