"""The options that commands share, with their explanations."""

import math
from typing import Annotated

import typer

DATA = "Data"
DEFENSE = "Defense and learner"
OUTPUT = "Output"


def within(low, high, *, open_low=False, open_high=False):
    """Return a check that a number, or each of several, lies between two others."""
    left, right = "(" if open_low else "[", ")" if open_high else "]"

    def check(values):
        for value in values if isinstance(values, list) else [values]:
            if value is None:
                continue
            above = value > low if open_low else value >= low
            below = value < high if open_high else value <= high
            if not (above and below):
                span = f"{left}{low:g}, {high:g}{right}"
                if high == math.inf:
                    span = f"numbers above {low:g}"
                raise typer.BadParameter(f"{value:g} is not in {span}.")
        return values

    return check


positive_number = within(0, math.inf, open_low=True, open_high=True)

DataFile = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        help="CSV or NPZ file of labelled rows. Without it, the handwritten digits 1 "
        "and 8 that come with scikit-learn.",
        show_default=False,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The column (in NPZ files, the array) of labels. May be left out if it "
        "is called target, label, class or y.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
Positive = Annotated[
    str | None,
    typer.Option(
        metavar="LABEL",
        help="With more than two labels: the one to tell apart from all the others.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
TestFile = Annotated[
    str | None,
    typer.Option(
        "--test",
        metavar="FILE",
        help="Rows to test on, of the same form as DATA.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
TestShare = Annotated[
    float,
    typer.Option(
        callback=within(0, 1, open_high=True),
        metavar="SHARE",
        help="Without --test: share of the rows that is held out for testing, drawn "
        "from each class alike. 0 tests nothing.",
        rich_help_panel=DATA,
    ),
]
Drop = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Column to leave out; may be given several times.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
NoHeader = Annotated[
    bool,
    typer.Option(
        "--no-header",
        help="The first line holds data; the columns are then called 1, 2, 3, …",
        rich_help_panel=DATA,
    ),
]
Percentile = Annotated[
    float,
    typer.Option(
        callback=within(0, 100, open_low=True),
        metavar="PERCENT",
        help="How much of each class each of the two filters lets through, in percent.",
        rich_help_panel=DEFENSE,
    ),
]
LearnerC = Annotated[
    float | None,
    typer.Option(
        "--C",
        callback=positive_number,
        metavar="NUMBER",
        help="The learner is a linear support vector machine as in scikit-learn's "
        "LinearSVC(loss='hinge', C=…); C is 1 unless --rho is given.",
        rich_help_panel=DEFENSE,
        show_default=False,
    ),
]
LearnerRho = Annotated[
    float | None,
    typer.Option(
        "--rho",
        callback=positive_number,
        metavar="NUMBER",
        help="In place of --C: the learner keeps the norm of its weights and its "
        "intercept within this radius.",
        rich_help_panel=DEFENSE,
        show_default=False,
    ),
]
Tolerance = Annotated[
    float,
    typer.Option(
        "--tol",
        callback=positive_number,
        metavar="NUMBER",
        help="How close upper and lower bound should come, relative to the upper.",
        rich_help_panel=DEFENSE,
    ),
]
MaxIter = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="NUMBER",
        help="Most steps of the solver, 1000 if not said. The bounds hold wherever it "
        "stops.",
        rich_help_panel=DEFENSE,
        show_default=False,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        min=0,
        max=2**32 - 1,
        metavar="NUMBER",
        help="Seed of everything that is drawn.",
        rich_help_panel=DATA,
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Replace files that exist.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="Print nothing but errors and warnings.",
        rich_help_panel=OUTPUT,
    ),
]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug", help="Show where an error comes from.", rich_help_panel=OUTPUT
    ),
]


def learner(C, rho):
    """Return the learner's two parameters, one of which is None."""
    if C is not None and rho is not None:
        raise typer.BadParameter(
            "give one of the two, not both: --C penalises the learner's weights, --rho "
            "limits them.",
            param_hint="'--C' / '--rho'",
        )
    return (1.0 if C is None and rho is None else C), rho
