"""Numbers that say that a value is missing: -999, 9999."""

import numpy as np

# Codes that no quantity is likely to have: nines alone, of either sign.
CODES = tuple(sign * (10.0**n - 1) for n in range(1, 9) for sign in (-1, 1))
FEWEST = 2  # cells
MOST_CODES = 3
# How far from all other numbers, in multiples of the range of these. Where no other
# number is negative, a negative one says much by itself.
TIMES_NEGATIVE, TIMES_POSITIVE = 1.0, 5.0
# How often a code must occur, in cells and as a multiple of any other number, to be
# doubtful where it is not that far.
OFTEN, TIMES_AS_OFTEN = 5, 10


def codes_among(values: np.ndarray) -> tuple[float, ...]:
    """Find codes at the ends of some numbers, far from all others.

    `values`, of shape (n_values,), are finite.

    Examples
    --------
    >>> codes_among(np.array([21.0, 35.0, -999.0, 52.0, -999.0]))
    (-999.0,)
    >>> codes_among(np.array([21.0, 35.0, 99.0, 52.0, 99.0]))
    ()
    >>> codes_among(np.array([-9.5, 35.0, -999.0, 12.0, -999.0]))
    (-999.0,)
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
    if code < 0 and low >= 0:
        return low - code > TIMES_NEGATIVE * (high - low) > 0
    gap = low - code if code < 0 else code - high
    return abs(code) > 9 and gap > TIMES_POSITIVE * (high - low) > 0


def frequent_codes(values: np.ndarray) -> tuple[float, ...]:
    """Find codes at the ends of some numbers that occur much more often than others.

    `values`, of shape (n_values,), are finite.

    Examples
    --------
    >>> frequent_codes(np.r_[np.arange(-1500.0, 1500.0), np.full(30, -9999.0)])
    (-9999.0,)
    >>> frequent_codes(np.r_[np.repeat([0.0, 50.0], 20), np.full(30, 99.0)])
    ()
    """
    if not len(values):
        return ()
    distinct, counts = np.unique(values, return_counts=True)
    ends = [i for i in {0, len(distinct) - 1} if distinct[i] in CODES]
    others = np.delete(counts, ends).max(initial=0)
    if not others:
        return ()
    least = max(OFTEN, TIMES_AS_OFTEN * others)
    return tuple(float(distinct[i]) for i in sorted(ends) if counts[i] > least)
