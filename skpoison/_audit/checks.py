"""Checks of what an audit is asked for."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import is_classifier

from .defenses import BOTH, UNDEFENDED


def is_number(value):
    """Tell whether a value is a real number and no truth value."""
    return isinstance(value, Real) and not isinstance(value, bool)


def numbers_between(name, values, low, high, *, open_low=False) -> list[float]:
    """Return distinct numbers in ascending order, or say which is out of the limits."""
    values = np.unique(np.atleast_1d(np.asarray(values, dtype=np.float64)))
    fits = (values > low if open_low else values >= low) & (values <= high)
    if values.ndim != 1 or not len(values) or not fits.all():
        left = "above" if open_low else "from"
        raise ValueError(
            f"{name} must be one or more numbers {left} {low:g} to {high:g}; got "
            f"{values.tolist()}."
        )
    return values.tolist()


def check_count(name, value, least):
    """Return a whole number, or say what is wrong with it."""
    good = isinstance(value, Integral) and not isinstance(value, bool)
    if not good or value < least:
        raise ValueError(
            f"{name} must be a whole number, {least} at least; got {value!r}."
        )
    return int(value)


def check_things(name, things, kind, described):
    """Return filters or attacks by name, or say which one is none of the kind.

    `kind` tells whether a thing is one, `described` says what it should have been.
    """
    if not isinstance(things, dict):
        raise TypeError(
            f"{name} must be a dict from names to {described}; got {things!r}."
        )
    for key, thing in things.items():
        _check_made(f"{name}[{key!r}]", thing)
        if not kind(thing):
            raise TypeError(f"{name}[{key!r}] must be {described}; got {thing!r}.")
    return {str(key): thing for key, thing in things.items()}


def _check_made(name, thing):
    if isinstance(thing, type):
        raise TypeError(
            f"{name} is the class {thing.__name__}; make one of it: {thing.__name__}()."
        )


def classifier(estimator):
    """Return a model, or say why it is no classifier."""
    _check_made("estimator", estimator)
    if not hasattr(estimator, "fit") or not is_classifier(estimator):
        raise TypeError(f"estimator must be a classifier; got {estimator!r}.")
    return estimator


def percentiles_of(percentiles):
    """Return percentiles in ascending order, if they look like percentages."""
    found = numbers_between("percentiles", percentiles, 0, 100, open_low=True)
    if max(found) <= 1:
        raise ValueError(
            f"percentiles are percentages, such as 70 or 90; got {found}, which would "
            "keep one row of a hundred at most."
        )
    return found


def seconds_of(seconds):
    """Return seconds as a float, if they are not negative."""
    if not is_number(seconds) or not seconds >= 0:
        raise ValueError(f"moving_seconds must not be negative; got {seconds!r}.")
    return float(seconds)


def amount_of(name, value):
    """Return a number that is 0 or more and finite."""
    if not is_number(value) or not 0 <= value < np.inf:
        raise ValueError(f"{name} must be a finite number, 0 or more; got {value!r}.")
    return float(value)


def budget_of(seconds):
    """Return seconds as a float, or None for no limit."""
    if seconds is None:
        return None
    if not is_number(seconds) or not seconds > 0:
        raise ValueError(f"budget must be None or above 0 seconds; got {seconds!r}.")
    return float(seconds)


def new_names(filters):
    """Return filters, unless one is called what the audit calls one of its own."""
    for name in filters:
        if name == UNDEFENDED or name.startswith(f"{BOTH} "):
            raise ValueError(
                f"filters must have names of their own; {name!r} is what the audit "
                "calls a defense that it measures anyway."
            )
    return filters
