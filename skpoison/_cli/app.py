"""The commands and their options."""

from typing import Annotated

import typer

from . import _options as opt
from ._checks import learner, one_of, shares, within
from ._wiring import Commands, open_session, reading

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted):
    if wanted:
        from skpoison import __version__

        typer.echo(f"skpoison {__version__}")
        raise typer.Exit


@app.callback()
def skpoison(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            callback=_version,
            is_eager=True,
            help="Show the version.",
        ),
    ] = False,
):
    """Find out how much harm poisoned training rows can do to a classifier.

    Somebody who can add rows to your training data can make the classifier worse. A
    filter that rejects unusual rows limits the harm; skpoison tells by how much.
    """


@app.command()
def certify(
    data: opt.DataFile = None,
    target: opt.Target = None,
    positive: opt.Positive = None,
    test: opt.TestFile = None,
    test_share: opt.TestShare = 0.3,
    format: opt.Format = None,
    no_header: opt.NoHeader = False,
    decimal_comma: opt.DecimalComma = False,
    drop: opt.Drop = None,
    scale: opt.Scaling = "none",
    categorical: opt.Categorical = None,
    text_column: opt.TextColumn = None,
    text_weights: opt.TextWeights = "tfidf",
    max_size: opt.MaxSize = 4.0,
    epsilon: Annotated[
        list[str],
        typer.Option(
            "--epsilon",
            "-e",
            callback=shares,
            metavar="SHARES",
            help="Poison rows that the attacker adds, as a share of the clean ones: "
            "0.1 is one for ten; 0.05,0.1 is both.",
            rich_help_panel=opt.DEFENSE,
        ),
    ] = ["0.01,0.03,0.05,0.1,0.2,0.3"],  # noqa: B006 (typer never changes it)
    percentile: opt.Percentile = 70.0,
    C: opt.LearnerC = None,
    rho: opt.LearnerRho = None,
    tol: opt.Tolerance = 1e-3,
    max_iter: opt.MaxIter = None,
    seed: opt.Seed = 0,
    plot: opt.Plot = None,
    json: opt.Json = None,
    force: opt.Force = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
):
    """Bound the damage that any attacker can do past a filter.

    DATA are clean rows: ones that you trust. From them come the filter, which lets a
    row through if it lies near the center of its class (within a sphere, and within a
    slab across the line between the two centers), and the learner's loss. The attacker
    knows all that and adds rows of their choice that the filter lets through. The
    **upper bound** is a guarantee: whatever they add, the learner's training loss stays
    below it. The **lower bound** says how near that is to the best guarantee there can
    be. The **attack** columns say what the worst attack that was found does to a
    learner that is trained on all clean rows and the attack.

    Nothing is promised if you compute centers and radii from data that may be poisoned
    already.

    The picture shows the bounds and what the attacks do over epsilon.

    In the JSON, **bounds** has one entry for each epsilon: epsilon, n_poison,
    upper_bound, lower_bound, dual_gap, converged, clean_loss, poison_loss, attack_loss,
    attack_test_loss, attack_test_error, n_iter. **no_attack** has train_loss, test_loss
    and test_error of the learner trained on all_rows and on kept_rows;
    **defense**, **data** and **settings** say what they
    speak of. What was not measured is null.
    """
    C, rho = learner(C, rho)
    with open_session(quiet, debug, json) as session:
        from ._run import run_certify
        from ._settings import Settings

        options, encoding = reading(
            format, target, no_header, decimal_comma, drop, max_size,
            categorical, text_column, scale, text_weights,
        )  # fmt: skip
        run_certify(
            session,
            data,
            read={
                "options": options,
                "encoding": encoding,
                "positive": positive,
                "test": test,
                "test_share": test_share,
                "seed": seed,
            },
            settings=Settings(tuple(epsilon), percentile, C, rho, tol, max_iter, seed),
            outputs={"plot": plot, "json": json, "force": force},
        )


@app.command("filter")
def filter_(
    data: opt.RequiredFile,
    target: opt.Target = None,
    trusted: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Rows that you trust, of the same form as DATA: centers and radii "
            "come from them.",
            rich_help_panel=opt.DATA,
            show_default=False,
        ),
    ] = None,
    format: opt.Format = None,
    no_header: opt.NoHeader = False,
    decimal_comma: opt.DecimalComma = False,
    drop: opt.Drop = None,
    scale: opt.Scaling = "none",
    categorical: opt.Categorical = None,
    text_column: opt.TextColumn = None,
    text_weights: opt.TextWeights = "tfidf",
    max_size: opt.MaxSize = 4.0,
    kind: Annotated[
        str,
        typer.Option(
            "--filter",
            callback=one_of("both", "sphere", "slab"),
            metavar="KIND",
            help="sphere: near the center of the class in all directions; slab: near "
            "it along the line between the centers; both.",
            rich_help_panel=opt.DEFENSE,
        ),
    ] = "both",
    percentile: opt.Percentile = 70.0,
    output: opt.OutputFile = None,
    rejected: Annotated[
        str | None,
        typer.Option(
            "--rejected",
            "-r",
            metavar="FILE",
            help="Where to write the other rows, with their number, score (how far "
            "within the limits; negative is beyond) and reason.",
            rich_help_panel=opt.OUTPUT,
            show_default=False,
        ),
    ] = None,
    keep_formulas: opt.KeepFormulas = False,
    plot: opt.Plot = None,
    json: opt.Json = None,
    force: opt.Force = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
):
    """Keep the rows that lie near the others of their class.

    A row is kept if it lies within a sphere around the center of its class, and within
    a slab across the line between the centers. Rows may have any number of labels.

    The picture shows the rows of two labels, sphere and slab in the plane through the
    two centers; of more labels, the two that have most rows.

    The JSON has n_rows, n_kept, settings and, in **classes**, one entry for each label:
    label, n_rows, n_kept, n_rejected, rejected_by.
    """
    with open_session(quiet, debug, json, output, rejected) as session:
        from ._run import run_filter

        options, encoding = reading(
            format, target, no_header, decimal_comma, drop, max_size,
            categorical, text_column, scale, text_weights,
        )  # fmt: skip
        run_filter(
            session,
            data,
            options=options,
            encoding=encoding,
            trusted=trusted,
            settings={"filter": kind, "percentile": percentile},
            outputs={
                "output": output,
                "rejected": rejected,
                "plot": plot,
                "json": json,
                "force": force,
                "formulas": keep_formulas,
            },
        )


@app.command()
def attack(
    data: opt.DataFile = None,
    target: opt.Target = None,
    positive: opt.Positive = None,
    format: opt.Format = None,
    no_header: opt.NoHeader = False,
    decimal_comma: opt.DecimalComma = False,
    drop: opt.Drop = None,
    scale: opt.Scaling = "none",
    categorical: opt.Categorical = None,
    text_column: opt.TextColumn = None,
    text_weights: opt.TextWeights = "tfidf",
    max_size: opt.MaxSize = 4.0,
    epsilon: Annotated[
        float,
        typer.Option(
            "--epsilon",
            "-e",
            callback=within(0, 1),
            metavar="SHARE",
            help="Most poison rows, as a share of the clean ones.",
            rich_help_panel=opt.DEFENSE,
        ),
    ] = 0.03,
    percentile: opt.Percentile = 70.0,
    C: opt.LearnerC = None,
    rho: opt.LearnerRho = None,
    tol: opt.Tolerance = 1e-3,
    max_iter: opt.MaxIter = None,
    seed: opt.Seed = 0,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to write the poison rows, in the format that came in; - is "
            "standard output.",
            rich_help_panel=opt.OUTPUT,
            show_default=False,
        ),
    ] = ...,
    keep_formulas: opt.KeepFormulas = False,
    plot: opt.Plot = None,
    json: opt.Json = None,
    force: opt.Force = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
):
    """Write poison rows that a filter lets through, to try your own defenses on.

    DATA are clean rows. The poison consists of copies of one or two rows, which do
    nearly as much harm to a linear support vector machine as any rows could that the
    filter lets through. Its features are numbers without bounds, whole or not.

    Where one label stands against the rest, poison of the rest carries the most
    frequent label there.

    The picture shows the clean rows and the poison, sphere and slab in the plane
    through the two centers.

    The JSON has n_poison, rows (label, n_copies), upper_bound, lower_bound, converged,
    attack_loss, data and settings.
    """
    C, rho = learner(C, rho)
    with open_session(quiet, debug, json, output) as session:
        from ._run import run_attack
        from ._settings import Settings

        options, encoding = reading(
            format, target, no_header, decimal_comma, drop, max_size,
            categorical, text_column, scale, text_weights,
        )  # fmt: skip
        run_attack(
            session,
            data,
            read={
                "options": options,
                "encoding": encoding,
                "positive": positive,
                "test": None,
                "test_share": 0,
                "seed": seed,
            },
            settings=Settings((epsilon,), percentile, C, rho, tol, max_iter, seed),
            outputs={
                "output": output,
                "plot": plot,
                "json": json,
                "force": force,
                "formulas": keep_formulas,
            },
        )
