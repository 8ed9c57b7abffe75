"""Numbers that say that a value is missing: -999, 9999."""

import numpy as np

# Codes that no quantity is likely to have: nines alone, of either sign.
CODES = tuple(sign * (10.0**n - 1) for n in range(1, 9) for sign in (-1, 1))
FEWEST = 2  # cells
MOST_CODES = 3
# How far from all other numbers, in multiples of the range of these. Where no other
# number is negative, a negative one says much by itself.
TIMES_NEGATIVE, TIMES_POSITIVE = 1.0, 5.0


def codes_among(values: np.ndarray) -> tuple[float, ...]:
    """Find codes at the ends of some numbers, far from all others.

    `values`, of shape (n_values,), are finite.

    Examples
    --------
    >>> codes_among(np.array([21.0, 35.0, -999.0, 52.0, -999.0]))
    (-999.0,)
    >>> codes_among(np.array([21.0, 35.0, 99.0, 52.0, 99.0]))
    ()
    """
    found: list[float] = []
    while len(values) and len(found) < MOST_CODES:
        ends = (float(values.min()), float(values.max()))
        code = next((end for end in ends if end in CODES), None)
        if code is None:
            break
        rest = values[values != code]
        if len(values) - len(rest) < FEWEST or not _is_far(code, rest):
            break
        found.append(code)
        values = rest
    return tuple(found)


def _is_far(code, rest):
    # A second code must not make the first one look near.
    rest = rest[~np.isin(rest, CODES)]
    if not len(rest):
        return False
    low, high = float(rest.min()), float(rest.max())
    if code < 0:
        return low >= 0 and low - code > TIMES_NEGATIVE * (high - low) > 0
    return abs(code) > 9 and code - high > TIMES_POSITIVE * (high - low) > 0
