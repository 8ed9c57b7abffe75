"""Files in, files out: labelled data for the command line."""

from ._errors import DataError
from ._load import load

__all__ = ["DataError", "load"]
