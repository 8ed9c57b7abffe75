"""The options that commands share, in groups, with their explanations."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from .checks import in_range, one_of, picture, positive_number, within

DATA = "Data"
DEFENSE = "Defense and learner"
OUTPUT = "Output"
DOMAINS = ("real", "nonnegative", "count", "binary", "tfidf")
# Filters of ``skpoison filter``: those that bounds speak of, which have the published
# percentile; others with a percentile; and those that find out how much to reject.
PUBLISHED = ("both", "sphere", "slab")
WITH_PERCENTILE = ("mahalanobis", "subspace", "neighbors", "loss", "spectral", "sever")
WITHOUT_PERCENTILE = ("auto", "cross-fit", "near-copies")
FILTERS = ("auto", *PUBLISHED, *WITH_PERCENTILE, *WITHOUT_PERCENTILE[1:])


def option(panel, metavar, help, *names, **more):
    """Declare an option."""
    return typer.Option(
        *names, metavar=metavar, help=help, rich_help_panel=panel, **more
    )


def switch(panel, help, *names):
    """Declare an option without a value."""
    return option(panel, "", help, *names)


FILE_HELP = (
    "Labelled rows: CSV, TSV, JSON lines, Parquet, NPZ or svmlight, also packed (gzip, "
    "bzip2, xz, zstd); - is standard input."
)
DataFile = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        help=FILE_HELP + " By default, the digits 1 and 8 of scikit-learn.",
        show_default=False,
    ),
]
RequiredFile = Annotated[str, typer.Argument(metavar="DATA", help=FILE_HELP)]
Positive = Annotated[
    str | None,
    option(
        DATA,
        "LABEL",
        "Of more than two labels, the one to tell apart from the others.",
    ),
]
Seed = Annotated[
    int,
    option(
        DATA,
        "NUMBER",
        "Seed of everything that is drawn.",
        callback=in_range(0, 2**32 - 1),
    ),
]
Percentile = Annotated[
    float,
    option(
        DEFENSE,
        "PERCENT",
        "Percent of each class that each of the two filters lets through.",
        callback=within(0, 100, open_low=True),
    ),
]
Plot = Annotated[
    str | None,
    option(
        OUTPUT,
        "FILE",
        "Draw a picture, as FILE.png, FILE.svg or FILE.pdf.",
        callback=picture,
    ),
]
KeepFormulas = Annotated[
    bool,
    switch(
        OUTPUT,
        "Leave cells as they are that spreadsheets would run as formulas: they begin "
        "with =, +, - or @. Otherwise they get an apostrophe in front.",
        "--keep-formulas",
    ),
]


@dataclass
class Threat:
    """What an attacker can send past which filter."""

    percentile: Percentile = 70.0
    domain: Annotated[
        str,
        option(
            DEFENSE,
            "KIND",
            "Features that the attacker can send: real, nonnegative, count, binary "
            "(0 or 1) or tfidf (weights of a text). All but real leave columns "
            "unscaled, and suit --tol 0.01.",
            callback=one_of(*DOMAINS),
        ),
    ] = "real"


@dataclass
class LearnerOptions:
    """The linear support vector machine: C or rho, the other of which is None."""

    C: Annotated[
        float | None,
        option(
            DEFENSE,
            "NUMBER",
            "The learner is scikit-learn's LinearSVC(loss='hinge', C=…); C is 1 unless "
            "--rho is given.",
            "--C",
            callback=positive_number,
        ),
    ] = None
    rho: Annotated[
        float | None,
        option(
            DEFENSE,
            "NUMBER",
            "In place of --C: limits the norm of weights and intercept.",
            "--rho",
            callback=positive_number,
        ),
    ] = None

    def __post_init__(self):
        if self.C is not None and self.rho is not None:
            raise typer.BadParameter(
                "give one of the two, not both: --C penalises the learner's weights, "
                "--rho limits them.",
                param_hint="'--C' / '--rho'",
            )
        if self.C is None and self.rho is None:
            self.C = 1.0


@dataclass
class Solver:
    """How far bounds are brought together."""

    tol: Annotated[
        float,
        option(
            DEFENSE,
            "NUMBER",
            "Wanted gap of upper and lower bound, relative to the upper.",
            "--tol",
            callback=positive_number,
        ),
    ] = 1e-3
    max_iter: Annotated[
        int | None,
        option(
            DEFENSE,
            "NUMBER",
            "Most steps of the solver (1000); bounds hold wherever it stops.",
            callback=in_range(1),
        ),
    ] = None


@dataclass
class Outputs:
    """What is written and said by every command."""

    json: Annotated[
        str | None,
        option(
            OUTPUT,
            "FILE",
            "Write all numbers as JSON; - is standard output.",
        ),
    ] = None
    force: Annotated[bool, switch(OUTPUT, "Replace files that exist.", "--force")] = (
        False
    )
    quiet: Annotated[
        bool,
        switch(OUTPUT, "Print nothing but errors and warnings.", "--quiet", "-q"),
    ] = False
    debug: Annotated[
        bool, switch(OUTPUT, "Show where an error comes from.", "--debug")
    ] = False

    @contextlib.contextmanager
    def session(self, *paths) -> Iterator:
        """Open a session, if all files that are to be written can be."""
        from .session import Session

        paths = [path for path in (*paths, self.json) if path is not None]
        session = Session(self.quiet, self.debug, results_to_stderr="-" in paths)
        with session.guard():
            from .files import check_paths

            check_paths(paths, self.force)
            yield session
