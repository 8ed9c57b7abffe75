"""Tracing a wrong prediction back to the training rows that caused it.

:func:`trace` ranks the training rows by how much they are responsible for a prediction,
and finds a small set of rows without which a model fitted anew predicts right.
"""

from skpoison._lazy import lazy_names

_HOMES = {
    "Trace": "_result",
    "trace": "_trace",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
