"""What the command line makes of numbers: each on its safe side."""

import io

from rich.console import Console

from skpoison._cli.report import show_attack, show_certificate

# What rounding to the nearest would get wrong.
UPPER, LOWER = 0.12341, 0.12339


class Recorded:
    """A session whose texts are kept."""

    def __init__(self):
        self.console = Console(record=True, width=100, quiet=False, file=io.StringIO())

    def say(self, text):
        self.console.print(text, markup=False, highlight=False)

    @property
    def text(self):
        return self.console.export_text(clear=False)

    @property
    def line(self):
        return " ".join(self.text.split())


def bound_row(epsilon, **changes):
    return {
        "epsilon": epsilon,
        "n_allowed": 10,
        "attack_rows": 9,
        "upper_bound": UPPER,
        "lower_bound": LOWER,
        "dual_gap": UPPER - LOWER,
        "clean_loss": 0.1,
        "attack_loss": 0.11,
        "attack_test_loss": None,
        "attack_test_error": None,
        "attack_test_mae": None,
        "is_exact": True,
        "error_bound": 1.0,
    } | changes


def certificate(*bounds):
    nothing = {"train_loss": 0.05, "test_loss": None}
    nothing |= {"test_error": None, "test_mae": None}
    return {
        "data": {
            "source": "rows.csv",
            "n_train": 100,
            "n_test": 0,
            "n_features": 2,
            "task": "binary",
            "positive": "a",
            "negative": "b",
        },
        "settings": {
            "C": 1.0,
            "rho": None,
            "learner": "svm",
            "task": "binary",
            "target_range": None,
            "percentile": 70.0,
            "defense": "fixed",
            "filter": "both",
        },
        "defense": {"kept_share": 0.5},
        "constant_test_error": None,
        "constant_test_mae": None,
        "no_attack": {"all_rows": nothing, "kept_rows": nothing},
        "bounds": bounds,
    }


def test_printed_bounds_are_on_their_safe_side():
    session = Recorded()
    show_certificate(session, certificate(bound_row(0.1)))
    (cells,) = [
        line.split() for line in session.text.splitlines() if line.startswith(" 0.1 ")
    ]
    assert cells[2:4] == ["0.1235", "0.1233"]
    assert "above 0.1235." in session.line
    assert "0.1234" not in session.text


def test_printed_limit_of_an_attack_is_rounded_up():
    session = Recorded()
    numbers = certificate()
    del numbers["defense"]
    rows = [{"label": "a", "n_copies": 1}, {"label": "b", "n_copies": 2}]
    found = {"rows": rows, "upper_bound": UPPER}
    found |= {"attack_loss": 0.11, "written_loss": 0.11, "negative": []}
    show_attack(session, numbers | found)
    assert "no attack raises it above 0.1235." in session.line
    assert "1 copy of a row labeled a and 2 copies of a row labeled b" in session.line


def test_the_guarantee_is_that_for_most_rows():
    session = Recorded()
    # Bounds of fewer rows can lie higher, by what the solver leaves open.
    less = bound_row(0.2, upper_bound=0.12331, attack_loss=0.12)
    show_certificate(session, certificate(bound_row(0.1), less))
    assert "at most 20 poison rows per 100" in session.line
    assert "above 0.1234. " in session.line
    assert "from 0.0500 to 0.1200" in session.line


def test_one_poison_row_is_no_rows():
    session = Recorded()
    show_certificate(session, certificate(bound_row(0.01)))
    assert "at most 1 poison row per 100 clean rows" in session.line


def test_what_is_open_with_several_classes_is_said():
    session = Recorded()
    numbers = certificate(bound_row(0.1, is_exact=False, error_bound=0.2505))
    numbers["data"] |= {"task": "multiclass", "labels": ["a", "b", "c"]}
    numbers["settings"]["task"] = "multiclass"
    show_certificate(session, numbers)
    assert "something between 0.1100 and 0.1235" in session.line
    assert "misclassifies at most 25 (25.1 %)" in session.line
    numbers["bounds"][0]["is_exact"] = True
    again = Recorded()
    show_certificate(again, numbers)
    assert "something between" not in again.line
