"""What reports of certified predictions choose by themselves."""

ROWS_PER_PART, MOST_PARTS = 20, 50
STEPS = (1, 2, 5)


def parts_for(n_rows: int) -> int:
    """Return a number of parts of about twenty rows, at most fifty.

    Examples
    --------
    >>> parts_for(10), parts_for(400), parts_for(10**6)
    (1, 20, 50)
    """
    return min(max(n_rows // ROWS_PER_PART, 1), MOST_PARTS)


def round_numbers(most: int) -> list[int]:
    """Return 0 and round numbers up to a largest one, for the rows of a table.

    Examples
    --------
    >>> round_numbers(12), round_numbers(0)
    ([0, 1, 2, 5, 10], [0])
    """
    numbers, unit = [0], 1
    while unit <= most:
        numbers += [step * unit for step in STEPS if step * unit <= most]
        unit *= 10
    return numbers
