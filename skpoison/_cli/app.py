"""The commands and their options."""

from typing import Annotated

import typer

from . import _options as opt
from ._options import learner, within

app = typer.Typer(
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
            "--version", callback=_version, is_eager=True, help="Show the version."
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
    drop: opt.Drop = None,
    no_header: opt.NoHeader = False,
    epsilon: Annotated[
        list[float],
        typer.Option(
            "--epsilon",
            "-e",
            callback=within(0, 1),
            metavar="SHARE",
            help="Poison rows that the attacker adds, as a share of the clean ones: "
            "0.1 is one for ten. May be given several times.",
            rich_help_panel=opt.DEFENSE,
        ),
    ] = [0.01, 0.03, 0.05, 0.1, 0.2, 0.3],  # noqa: B006 (typer never changes it)
    percentile: opt.Percentile = 70.0,
    C: opt.LearnerC = None,
    rho: opt.LearnerRho = None,
    tol: opt.Tolerance = 1e-3,
    max_iter: opt.MaxIter = None,
    seed: opt.Seed = 0,
    json: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write all numbers as JSON; - is standard output (the table then "
            "goes to standard error).",
            rich_help_panel=opt.OUTPUT,
            show_default=False,
        ),
    ] = None,
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

    In the JSON, **bounds** has one entry for each epsilon: epsilon, n_poison,
    upper_bound, lower_bound, dual_gap, converged, clean_loss, poison_loss, attack_loss,
    attack_test_loss, attack_test_error, n_iter. **no_attack** has train_loss, test_loss
    and test_error of the learner trained on all_rows and on kept_rows;
    **defense**, **data** and **settings** say what they
    speak of. What was not measured is null.
    """
    from ._session import Session

    C, rho = learner(C, rho)
    session = Session(quiet, debug, results_to_stderr=json == "-")
    with session.guard():
        from ._certify import Settings
        from ._run import run_certify

        run_certify(
            session,
            data,
            read={
                "options": _reading(target, no_header, drop),
                "encoding": None,
                "positive": positive,
                "test": test,
                "test_share": test_share,
                "seed": seed,
            },
            settings=Settings(tuple(epsilon), percentile, C, rho, tol, max_iter, seed),
            json_file=json,
            force=force,
        )


def _reading(target, no_header, drop):
    from skpoison._io._load import Options

    return Options(target=target, header=not no_header, drop=tuple(drop or ()))
