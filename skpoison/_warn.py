"""Warnings that point at the user's line."""

import sys
import warnings

# Frames of these packages lie between the user's call and the warning.
BETWEEN = ("skpoison", "sklearn", "imblearn", "joblib", "skorch", "contextlib")


def warn(message: str, category: type[Warning]) -> None:
    """Warn, and blame the first line outside of this package and of what calls it."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_between(frame):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_between(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0] in BETWEEN
