"""What is odd about the labels of classes: spellings, single rows, many numbers."""

from collections.abc import Iterator

import numpy as np

from skpoison._words import counted, name_text

from .labels import Labels

# Shorter labels that differ in one letter are as likely other words.
FEWEST_LETTERS = 4
# A spelling is a mistake only where it is so rare beside the other one.
RARE = 0.05
# More different numbers are rather quantities than classes.
MOST_NUMBERS = 10
# Of the largest class, beside which a single row of another one is odd.
FEWEST_ROWS = 10
SHOWN = 5


def doubts_about(labels: Labels) -> list[str]:
    """Say what is odd about labels that are taken for classes.

    Examples
    --------
    >>> import numpy as np
    >>> spellings = ["Spam ", "ham", "spam", "spma"]
    >>> labels = Labels("kind", spellings, np.repeat([0, 1, 2, 3], [2, 50, 60, 1]))
    >>> doubts_about(labels)[0][:71]
    "'Spam ' (2 rows) and 'spma' (1 row) may be 'spam' (60 rows) in another "
    """
    if labels.is_quantity:
        return []
    texts = labels.value_texts
    counts = np.bincount(labels.codes, minlength=len(texts))
    meant = _meant(texts, counts)
    is_large = counts.max(initial=0) >= FEWEST_ROWS
    single = [i for i, n in enumerate(counts) if is_large and n == 1 and i not in meant]
    return [
        *_of_spellings(texts, counts, meant),
        *_of_single_rows(texts, single),
        *_of_numbers(labels),
    ]


def _meant(texts, counts) -> dict[int, int]:
    """Labels that may be another, more frequent one, by their positions."""
    order = np.argsort(-counts, kind="stable").tolist()
    plain = [" ".join(text.split()).casefold() for text in texts]
    found: dict[int, int] = {}
    for place, i in enumerate(order):
        for other in order[:place]:
            is_same = plain[i] == plain[other]
            is_rare = counts[i] <= RARE * counts[other]
            if is_same or (is_rare and is_one_slip(plain[i], plain[other])):
                found[i] = found.get(other, other)
                break
    return found


def is_one_slip(word: str, other: str) -> bool:
    """Tell whether two words differ by one letter, or by two that changed places.

    Digits tell things apart that are called alike.

    Examples
    --------
    >>> is_one_slip("spma", "spam"), is_one_slip("spamm", "spam")
    (True, True)
    >>> is_one_slip("class 1", "class 2"), is_one_slip("bad", "bed")
    (False, False)
    """
    if min(len(word), len(other)) < FEWEST_LETTERS or abs(len(word) - len(other)) > 1:
        return False
    same = 0
    while word[same : same + 1] == other[same : same + 1] != "":
        same += 1
    a, b = word[same:], other[same:]
    if any(char.isdigit() for char in a[:1] + b[:1]):
        return False
    swapped = a[:2] == b[:2][::-1] and a[2:] == b[2:]
    return swapped or a[1:] == b[1:] or a[1:] == b or a == b[1:]


def _of_spellings(texts, counts, meant) -> Iterator[str]:
    for other in dict.fromkeys(meant.values()):
        slips = [i for i, known in meant.items() if known == other]
        own = "are classes of their own" if len(slips) > 1 else "is a class of its own"
        yield (
            f"{_listed(texts, counts, slips)} may be "
            f"{_listed(texts, counts, [other])} in another spelling, but {own} here: "
            "correct the labels first."
        )


def _of_single_rows(texts, single) -> Iterator[str]:
    if not single:
        return
    names = ", ".join(repr(name_text(texts[i], 40)) for i in single[:SHOWN])
    more = f" and {len(single) - SHOWN:,} more" if len(single) > SHOWN else ""
    what = "The label" if len(single) == 1 else "Each of the labels"
    yield (
        f"{what} {names}{more} has a single row, which no other row of its class can "
        "confirm: a mistake, or a class to merge with another."
    )


def _of_numbers(labels) -> Iterator[str]:
    values = labels.values
    if labels.decided is not None or len(values) < 3:
        return
    if not all(type(value) in (int, float) for value in values):
        return
    has_decimals = any(value != int(value) for value in values)
    if len(values) > MOST_NUMBERS or has_decimals:
        yield (
            f"The target {labels.name!r} holds {len(values):,} different numbers, "
            "which are taken for classes. --target-kind quantity compares them as "
            "numbers; --target-kind classes says that they are classes."
        )


def _listed(texts, counts, chosen):
    parts = [
        f"{name_text(repr(texts[i]), 42)} ({counted(int(counts[i]), 'row')})"
        for i in chosen[:SHOWN]
    ]
    if len(chosen) > SHOWN:
        parts.append(f"{len(chosen) - SHOWN:,} more")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
