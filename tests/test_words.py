"""Labels, names and numbers as people read them."""

import math
import unicodedata
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skpoison._words import (
    epsilon_text,
    label_text,
    loss_text,
    lower_text,
    name_text,
    one_line,
    percent_text,
    upper_text,
)


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (np.float32(3.0), "3"),
        (np.int8(-1), "-1"),
        (2.5, "2.5"),
        (1e300, str(int(1e300))),
        (np.inf, "inf"),
        (np.nan, "nan"),
        (False, "False"),
        (np.True_, "True"),
        (np.str_("1.0"), "1.0"),
        (None, "None"),
    ],
)
def test_labels_are_written_as_people_write_them(label, text):
    assert label_text(label) == text


@given(st.text())
def test_text_from_data_is_one_line_that_can_be_seen(text):
    line = one_line(text)
    assert line.isprintable()
    assert line == " ".join(line.split())
    kinds = {unicodedata.category(char) for char in line}
    assert kinds.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
    assert one_line(line) == line


@given(st.text(), st.integers(1, 50))
def test_text_is_as_long_as_it_may_be(text, longest):
    short, whole = one_line(text, longest), one_line(text[: 4 * longest])
    assert len(short) <= longest
    assert short == whole or short == whole[: longest - 1] + "…"


def test_enormous_cells_are_cut_before_they_are_looked_at():
    class Enormous(str):
        def __str__(self):
            return self

        def split(self, *args):
            raise AssertionError("all of it was looked at")

    assert name_text(Enormous("x" * 10_000)) == "x" * 119 + "…"


def test_numbers_have_the_digits_that_count():
    assert [loss_text(v) for v in (0, 0.0, 5e-5, 1.23456, -0.5)] == [
        *("0", "0", "5e-05", "1.235", "-0.5000")
    ]
    assert percent_text(0) == "0.0 %"
    assert percent_text(1.0) == "100.0 %"
    assert epsilon_text(0.29) == "29 %"
    assert epsilon_text(1 / 3) == "33.33 %"


@pytest.mark.parametrize("scale", [1e-320, 1e-9, 1e-4, 0.1, 1, 1e6, 1e15, 1e300])
def test_texts_of_bounds_are_on_their_safe_side_exactly(scale):
    values = np.random.default_rng(0).random(200) * scale
    # Next to numbers with four digits, where a product with 10,000 is rounded.
    near = np.round(values, 4)
    values = [*values, *np.nextafter(near, math.inf), *np.nextafter(near, 0), *near]
    for value in map(float, values):
        # Four decimals, or six digits of what has more than two before the point.
        step = Fraction(1, 10_000) * max(1, Fraction(value) / 10)
        above, below = Fraction(upper_text(value)), Fraction(lower_text(value))
        exact = Fraction(value)
        assert above - step < exact <= above
        assert below <= exact < below + step
    assert upper_text(-1e-9) == "0.0000"
