"""The commands and their options."""

from typing import Annotated

import typer

from . import _options as opt
from ._audit_options import percents
from ._checks import learner, one_of, sendable, shares, within
from ._wiring import Command, Commands, open_session, reading

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


@app.command(cls=Command)
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
    scale: opt.Scaling = "auto",
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
    defense: opt.DefenseKind = "fixed",
    domain: opt.Domain = "real",
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
    already. If only the centers are, --defense moving-centroids bounds what can happen
    as long as all rows that the attacker sends pass the filter.

    The picture shows the bounds and what the attacks do over epsilon.

    In the JSON, **bounds** has one entry for each epsilon: epsilon, n_allowed (most
    rows that the attacker may add), upper_bound, lower_bound, dual_gap, converged,
    clean_loss, poison_loss, attack_rows (rows that the attack found adds: often fewer),
    attack_loss, attack_test_loss, attack_test_error, n_iter; with moving centroids also
    filtered_test_loss, filtered_test_error, reestimated_test_loss and
    reestimated_test_error, of learners behind filters that are fitted on poisoned rows
    (the latter with radii of poisoned rows too: measured, not bounded). **no_attack**
    has train_loss, test_loss and test_error of the learner trained on all_rows and on
    kept_rows; **defense**, **data**, **settings** and **reading** (how the file was
    read) say what they speak of. What was not measured is null.
    """
    C, rho = learner(C, rho)
    scale = sendable(domain, scale, text_column, text_weights)
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
            settings=Settings(
                tuple(epsilon), percentile, C, rho, tol, max_iter, seed, domain, defense
            ),
            outputs={"plot": plot, "json": json, "force": force},
        )


@app.command("filter", cls=Command)
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
    scale: opt.Scaling = "auto",
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

    The JSON has n_rows, n_kept, settings, reading (how the file was read) and, in
    **classes**, one entry for each label: label, n_rows, n_kept, n_rejected and
    rejected_by.
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


@app.command(cls=Command)
def attack(
    data: opt.DataFile = None,
    target: opt.Target = None,
    positive: opt.Positive = None,
    format: opt.Format = None,
    no_header: opt.NoHeader = False,
    decimal_comma: opt.DecimalComma = False,
    drop: opt.Drop = None,
    scale: opt.Scaling = "auto",
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
    domain: opt.Domain = "real",
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
    filter lets through. Its features are numbers without bounds, whole or not, unless
    --domain says otherwise; of a column of categories each row has one. Of counts and
    categories there are many different rows.

    Where one label stands against the rest, poison of the rest carries the most
    frequent label there.

    The picture shows the clean rows and the poison, sphere and slab in the plane
    through the two centers.

    The JSON has n_poison (rows written), rows (label, n_copies), upper_bound,
    lower_bound, converged, attack_loss, data, settings and reading (how the file was
    read).
    """
    C, rho = learner(C, rho)
    scale = sendable(domain, scale, text_column, text_weights)
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
            settings=Settings(
                (epsilon,), percentile, C, rho, tol, max_iter, seed, domain
            ),
            outputs={
                "output": output,
                "plot": plot,
                "json": json,
                "force": force,
                "formulas": keep_formulas,
            },
        )


@app.command(cls=Command)
def audit(
    data: opt.DataFile = None,
    target: opt.Target = None,
    positive: opt.Positive = None,
    format: opt.Format = None,
    no_header: opt.NoHeader = False,
    decimal_comma: opt.DecimalComma = False,
    drop: opt.Drop = None,
    scale: opt.Scaling = "auto",
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
            help="Shares of poison to bound the damage for: 0.01,0.1, say.",
            rich_help_panel=opt.DEFENSE,
        ),
    ] = ["0.01,0.03,0.1,0.3"],  # noqa: B006 (typer never changes it)
    reference: Annotated[
        float,
        typer.Option(
            callback=within(0, 1, open_low=True),
            metavar="SHARE",
            help="Share of poison to attack with and to compare defenses by.",
            rich_help_panel=opt.DEFENSE,
        ),
    ] = 0.1,
    percentiles: Annotated[
        str,
        typer.Option(
            callback=percents,
            metavar="PERCENTS",
            help="How much of each class sphere and slab let through: 70,90, say.",
            rich_help_panel=opt.DEFENSE,
        ),
    ] = "50,70,80,90,95,100",
    C: opt.LearnerC = None,
    rho: opt.LearnerRho = None,
    folds: Annotated[
        int,
        typer.Option(
            min=2,
            metavar="NUMBER",
            help="Parts that rows are split into, to train and to test in turn.",
            rich_help_panel=opt.DEFENSE,
        ),
    ] = 3,
    max_rows: Annotated[
        int,
        typer.Option(
            min=10,
            metavar="NUMBER",
            help="About how many rows to run attacks on, drawn from all classes. "
            "Bounds and suspicious rows come from all rows.",
            rich_help_panel=opt.DEFENSE,
        ),
    ] = 5000,
    top: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="How many suspicious rows to list.",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = 50,
    moving_seconds: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="After that long, no further bound on moving centroids is begun.",
            rich_help_panel=opt.DEFENSE,
        ),
    ] = 30.0,
    seed: opt.Seed = 0,
    jobs: Annotated[
        int,
        typer.Option(
            metavar="NUMBER",
            help="How many parts to work on at once; -1 is one for each processor.",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = 1,
    cache: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Keep finished parts there, so that an interrupted audit goes on "
            "where it stopped. Only use a folder that nobody else can write to.",
            rich_help_panel=opt.OUTPUT,
            show_default=False,
        ),
    ] = None,
    html: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write the report as one page for a browser.",
            rich_help_panel=opt.OUTPUT,
            show_default=False,
        ),
    ] = None,
    suspicious: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write the suspicious rows as CSV: numbers, scores and reasons.",
            rich_help_panel=opt.OUTPUT,
            show_default=False,
        ),
    ] = None,
    json: opt.Json = None,
    force: opt.Force = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
):
    """Find out what poison could do to a model, and which rows look like it.

    DATA are the rows that you train on, with two labels or more. They are held against
    what certificates assume; the damage that any attacker could do is bounded; attacks
    are run against many defenses, by cross-validation; and the rows that stand out are
    listed with the reasons.

    The recommended percentile has the least loss on held-out clean rows under the worst
    attack that knows it. It is not the one with the smallest bound, which would always
    be the strictest, whatever it costs.

    The JSON has the keys that docs/audit.md describes; **recommendation**, **ranking**,
    **bounds** and **suspicious** are the main ones.
    """
    C, rho = learner(C, rho)
    with open_session(quiet, debug, json, html, suspicious) as session:
        from ._auditing import run_audit

        options, encoding = reading(
            format, target, no_header, decimal_comma, drop, max_size,
            categorical, text_column, scale, text_weights,
        )  # fmt: skip
        run_audit(
            session,
            data,
            read={"options": options, "encoding": encoding},
            learner={"C": C, "rho": rho},
            wanted={
                "epsilons": epsilon,
                "percentiles": percentiles,
                "reference": reference,
                "positive": positive,
                "cv": folds,
                "random_state": seed,
                "memory": cache,
                "n_jobs": jobs,
                "max_rows": max_rows,
                "top": top,
                "moving_seconds": moving_seconds,
            },
            outputs={
                "html": html,
                "json": json,
                "suspicious": suspicious,
                "force": force,
            },
        )
