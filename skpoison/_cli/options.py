"""The options that commands share, in groups, with their explanations."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from .checks import (
    in_range,
    interval,
    one_of,
    picture,
    positive_number,
    readable,
    within,
)
from .help import show_everything
from .kinds import with_bound

# The exit code of a command whose answer is one to stop at.
STOP = 3
DATA = "Data"
DEFENSE = "Defense and learner"
OUTPUT = "Output"
DOMAINS = ("real", "nonnegative", "count", "binary", "tfidf")


def option(panel, metavar, help, *names, common=False, **more):
    """Declare an option, which ``--help`` shows if it is a common one."""
    return typer.Option(
        *names,
        metavar=metavar,
        help=help,
        rich_help_panel=panel,
        hidden=not common,
        **more,
    )


def switch(panel, help, *names, **more):
    """Declare an option without a value."""
    return option(panel, "", help, *names, **more)


FILE_HELP = (
    "Labeled rows as CSV, TSV, JSON lines, Parquet, NPZ or svmlight, compressed or "
    "not; - is standard input."
)
FILES_HELP = (
    "Labeled rows: CSV, TSV, JSON lines, Parquet, NPZ or svmlight, also compressed; a "
    "folder or glob of CSV or Parquet; - is standard input."
)
DataFile = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        help="Labeled rows as CSV, TSV, JSON lines, Parquet, NPZ or svmlight; a folder "
        "or glob; or - (standard input). Default: the digits 1 and 8 of scikit-learn.",
        show_default=False,
        callback=readable,
    ),
]
RequiredFile = Annotated[
    str, typer.Argument(metavar="DATA", help=FILE_HELP, callback=readable)
]
FilesOrFile = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help=FILES_HELP,
        callback=readable,
    ),
]
Positive = Annotated[
    str | None,
    option(
        DATA,
        "LABEL",
        "Positive label; all others are negative. An audit of more than two labels "
        "needs it.",
        common=True,
    ),
]
Test = Annotated[
    str | None,
    option(
        DATA,
        "FILE",
        "Test rows, in the same form as DATA.",
        common=True,
        callback=readable,
    ),
]
TestShare = Annotated[
    float,
    option(
        DATA,
        "SHARE",
        "Without --test: share of each class to hold out as test rows.",
        callback=within(0, 1, open_high=True),
    ),
]
Seed = Annotated[
    int,
    option(
        DATA,
        "NUMBER",
        "Random seed.",
        callback=in_range(0, 2**32 - 1),
    ),
]
Percentile = Annotated[
    float,
    option(
        DEFENSE,
        "PERCENT",
        "Percentage of each class that sphere and slab each keep.",
        common=True,
        callback=within(0, 100, open_low=True),
    ),
]
Jobs = Annotated[
    int,
    option(
        OUTPUT,
        "NUMBER",
        "Number of parallel jobs; -1 uses all processors.",
    ),
]
Plot = Annotated[
    str | None,
    option(
        OUTPUT,
        "FILE",
        "Draw a plot, as FILE.png, FILE.svg or FILE.pdf.",
        common=True,
        callback=picture,
    ),
]
KeepFormulas = Annotated[
    bool,
    switch(
        OUTPUT,
        "Leave text that begins with =, +, - or @ unchanged. By default, an apostrophe "
        "in front keeps spreadsheets from running it as a formula.",
        "--keep-formulas",
    ),
]


@dataclass
class Threat:
    """Which rows an attacker can send, and which filter they must pass."""

    filter: Annotated[
        str,
        option(
            DEFENSE,
            "KIND",
            "The filter: both (sphere and slab) or sphere.",
            callback=with_bound,
        ),
    ] = "both"
    percentile: Percentile = 70.0
    domain: Annotated[
        str,
        option(
            DEFENSE,
            "KIND",
            "Values that the attacker's features can have: real, nonnegative, count, "
            "binary (0 or 1) or tfidf (weights of a text). All but real and "
            "nonnegative leave columns unscaled; --tol 0.01 makes them faster.",
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
            "C of the learner, LinearSVC(loss='hinge'): 1 unless --rho is given.",
            "--C",
            common=True,
            callback=positive_number,
        ),
    ] = None
    rho: Annotated[
        float | None,
        option(
            DEFENSE,
            "NUMBER",
            "Instead of --C: largest norm of weights and intercept together.",
            "--rho",
            callback=positive_number,
        ),
    ] = None

    def __post_init__(self):
        if self.C is not None and self.rho is not None:
            raise typer.BadParameter(
                "give one of the two, not both: --C penalizes the norm of the weights, "
                "--rho limits it.",
                param_hint="'--C' / '--rho'",
            )
        if self.C is None and self.rho is None:
            self.C = 1.0


LEARNERS = ("svm", "svm-squared", "logistic", "ridge")


@dataclass
class NamedLearner(LearnerOptions):
    """A learner that bounds are known for."""

    learner: Annotated[
        str,
        option(
            DEFENSE,
            "KIND",
            "The learner: svm (linear, hinge loss), svm-squared (squared hinge loss, "
            "LinearSVC's default), logistic (LogisticRegression) or ridge "
            "(RidgeClassifier, alpha = 1 / C); for targets that are numbers, LinearSVR "
            "with absolute or squared errors, or Ridge.",
            "--learner",
            callback=one_of(*LEARNERS),
        ),
    ] = "svm"

    def __post_init__(self):
        if self.learner != "svm" and self.rho is not None:
            raise typer.BadParameter(
                f"goes with --learner svm only, not {self.learner}. Use --C.",
                param_hint="'--rho'",
            )
        super().__post_init__()


@dataclass
class BoundLearner(NamedLearner):
    """A learner, and which targets pass where these are numbers."""

    target_range: Annotated[
        str | None,
        option(
            DEFENSE,
            "LOW,HIGH",
            "Smallest and largest target that pass, for targets that are numbers (as "
            "these then are). Default: those of the clean rows.",
            "--target-range",
            callback=interval,
        ),
    ] = None

    def check(self, domain: str, defense: str = "fixed") -> None:
        """Refuse what only bounds of the hinge loss know."""
        if self.learner == "svm":
            return
        if domain not in ("real", "nonnegative"):
            raise typer.BadParameter(
                f"{domain} goes with --learner svm only, not {self.learner}.",
                param_hint="'--domain'",
            )
        if defense != "fixed":
            raise typer.BadParameter(
                f"{defense} goes with --learner svm only, not {self.learner}.",
                param_hint="'--defense'",
            )


@dataclass
class Solver:
    """When the solver stops."""

    tol: Annotated[
        float,
        option(
            DEFENSE,
            "NUMBER",
            "Stop when the gap between upper and lower bound is at most this share of "
            "the upper one.",
            "--tol",
            callback=positive_number,
        ),
    ] = 1e-3
    max_iter: Annotated[
        int | None,
        option(
            DEFENSE,
            "NUMBER",
            "Maximum number of iterations of the solver (1000). Bounds hold wherever "
            "it stops.",
            callback=in_range(1),
        ),
    ] = None


BASES = ("naive-bayes", "svm", "logistic", "tree")
ATTACKS = ("insert-delete", "change", "flip")


@dataclass
class Predictions:
    """Certified predictions, in place of a bound on the loss."""

    pointwise: Annotated[
        bool,
        switch(
            DEFENSE,
            "Instead: for each test row, how many training rows an attacker must "
            "poison to change its prediction.",
            "--pointwise",
            common=True,
        ),
    ] = False
    partitions: Annotated[
        int | None,
        option(
            DEFENSE,
            "NUMBER",
            "With --pointwise: number of parts, each of which fits a model that has "
            "one vote. By default, parts of about 20 rows, at most 50.",
            callback=in_range(1),
        ),
    ] = None
    base: Annotated[
        str | None,
        option(
            DEFENSE,
            "KIND",
            "With --pointwise: the models, naive-bayes (default), svm, logistic or "
            "tree. Scales are fitted within each part.",
            callback=one_of(*BASES),
        ),
    ] = None
    attack: Annotated[
        str | None,
        option(
            DEFENSE,
            "KIND",
            "With --pointwise: what the attacker does to training rows, insert-delete "
            "(default), change (any row for another) or flip (labels only).",
            "--attack",
            callback=one_of(*ATTACKS),
        ),
    ] = None

    def check(self, context: typer.Context, *others: str) -> None:
        """Refuse options that belong to the other guarantee."""
        if self.pointwise:
            _refuse(
                context,
                others,
                "does not go with --pointwise, which certifies "
                "predictions and no loss.",
            )
        else:
            _refuse(context, ("partitions", "base", "attack"), "needs --pointwise.")


def _refuse(context, names, why):
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            shown = next(p.opts[0] for p in context.command.params if p.name == name)
            raise typer.BadParameter(why, param_hint=f"'{shown}'")


@dataclass
class Outputs:
    """What every command writes and prints."""

    json: Annotated[
        str | None,
        option(
            OUTPUT,
            "FILE",
            "Write all results as JSON; - is standard output.",
            common=True,
        ),
    ] = None
    force: Annotated[
        bool, switch(OUTPUT, "Replace existing files.", "--force", common=True)
    ] = False
    quiet: Annotated[
        bool,
        switch(OUTPUT, "Print only errors and warnings.", "--quiet", "-q"),
    ] = False
    debug: Annotated[
        bool, switch(OUTPUT, "Show the traceback of errors.", "--debug")
    ] = False
    help_all: Annotated[
        bool,
        switch(
            None,
            "Explain every option.",
            "--help-all",
            common=True,
            callback=show_everything,
            is_eager=True,
        ),
    ] = False

    @contextlib.contextmanager
    def session(self, *paths) -> Iterator:
        """Open a session, after a check that all files can be written."""
        from .session import Session

        paths = [path for path in (*paths, self.json) if path is not None]
        session = Session(self.quiet, self.debug, results_to_stderr="-" in paths)
        with session.guard():
            from .files import check_paths

            check_paths(paths, self.force)
            yield session
