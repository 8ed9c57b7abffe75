"""How many of the first rows of a ranking suffice, in few fits."""

import math
from collections.abc import Callable

import numpy as np

Works = Callable[[np.ndarray], bool]
Margin = Callable[[np.ndarray], float]
FINE = 20  # sizes are found to one part in so many
FASTEST = 4  # times as many rows, at most, as have been tried


def shortest(
    ranking: np.ndarray,
    works: Works,
    most: int,
    guess: int = 1,
    margin: Margin | None = None,
) -> int | None:
    """Return how many of the first rows suffice, if at most so many do.

    The search starts at a guess. Margins say by how much a prediction is wrong without
    rows (NaN where that is not known): the next size is where they would cross zero if
    they moved evenly. Without margins, steps are doubled until they cross the size that
    is looked for, which is then bisected.
    """
    margins = {0: math.nan if margin is None else margin(ranking[:0])}
    failed, enough = [0], None
    size, step, width = min(guess, most), 1, math.inf
    while True:
        if works(ranking[:size]):
            enough = size
        else:
            failed.append(size)
        margins[size] = math.nan if margin is None else margin(ranking[:size])
        if enough is None:
            if size == most:
                return None
            size = min(_beyond(failed, margins, step), most)
        else:
            before, width = width, enough - failed[-1]
            if width <= max(1, enough // FINE):
                return enough
            is_fast = 2 * width <= before
            size = _between(failed[-1], enough, margins, step, is_fast)
        step *= 2


def _beyond(failed, margins, step):
    """A larger size: where margins will cross zero, or a step from the last one."""
    last, size = failed[-2:]
    high, low = margins[last], margins[size]
    if not math.isfinite(high - low) or low <= 0.0:
        return size + step
    fastest = max(FASTEST * size, size + 1)
    fell = (high - low) / (size - last)
    if fell * (fastest - size) <= low:
        return fastest
    crossing = size + math.ceil(low / fell)
    return crossing + crossing // FINE  # as margins fall ever slower


def _between(too_few, enough, margins, step, is_fast):
    """A size between: where margins cross zero, the middle, or a step from the end."""
    high, low = margins[too_few], margins[enough]
    is_known = math.isfinite(high - low) and high > 0.0 >= low
    if not (is_known and is_fast):
        is_far = too_few or is_known
        return (too_few + enough) // 2 if is_far else max(enough - step, 1)
    crossing = too_few + math.ceil((enough - too_few) * high / (high - low))
    off = max(enough // FINE, 1)  # so that the size is enclosed from both sides
    size = crossing + off // 2 if crossing + off // 2 < enough else enough - off
    return min(max(size, too_few + 1), enough - 1)
