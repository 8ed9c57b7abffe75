"""``skpoison certify``: bound the damage of any poison that a filter lets through."""

from typing import Annotated

import typer

from . import options as opt
from .checks import one_of, shares
from .grouped import grouped
from .reading import Reading
from .workers import Workers

# Options that say nothing about single predictions.
BOUND_OPTIONS = (
    "epsilon",
    "filter",
    "percentile",
    "domain",
    "defense",
    "learner",
    "target_range",
    "C",
    "rho",
    "tol",
    "max_iter",
)


@grouped
def certify(
    *,
    context: typer.Context,
    data: opt.DataFile = None,
    reading: Reading,
    positive: opt.Positive = None,
    test: opt.Test = None,
    test_share: opt.TestShare = 0.3,
    seed: opt.Seed = 0,
    epsilon: Annotated[
        list[str],
        opt.option(
            opt.DEFENSE,
            "SHARES",
            "Poison rows per clean row, for example 0.05 or 0.05,0.1.",
            "--epsilon",
            "-e",
            common=True,
            callback=shares,
        ),
    ] = ["0.01,0.03,0.05,0.1,0.2,0.3"],  # noqa: B006 (typer never changes it)
    threat: opt.Threat,
    defense: Annotated[
        str,
        opt.option(
            opt.DEFENSE,
            "KIND",
            "fixed: the filter's centroids and radii come from the clean rows; "
            "moving-centroids: only the radii do, and centroids are estimated from "
            "clean and poison rows together (--tol 0.01 makes it faster).",
            callback=one_of("fixed", "moving-centroids"),
        ),
    ] = "fixed",
    learner: opt.BoundLearner,
    solver: opt.Solver,
    predictions: opt.Predictions,
    certificate: Annotated[
        str | None,
        opt.option(
            opt.OUTPUT,
            "FILE",
            "Write a proof of the bound for skpoison verify.",
            "--certificate",
            common=True,
        ),
    ] = None,
    plot: opt.Plot = None,
    workers: Workers,
    outputs: opt.Outputs,
):
    """Bound the damage of any poison that a filter lets through.

    DATA must be clean rows that you trust. The filter is fitted on them, and whatever
    rows that pass it an attacker adds, the training loss of the learner, a linear
    classifier or regressor, does not exceed the upper bound that is printed.

    The filter keeps a row if it lies in a sphere around the centroid of its class and
    in a slab across the line between the centroids. The attacker knows the filter, the
    learner and the data. The lower bound shows how close the upper bound is to the
    best possible one. The attack columns show what the worst attack found really does.

    The bound does not hold for centroids and radii estimated from poisoned data. If
    only the centroids are, --defense moving-centroids bounds the damage of attackers
    whose rows all pass the filter.

    If DATA is a folder or a glob, the bounds are over all rows of its files, of two
    classes or numbers. There are no test rows then but those of --test. Several
    classes, --domain and moving centroids are bounded on a sample.

    With --pointwise there is no filter: the training rows are divided into parts, each
    part's model has one vote, and for each test row it is computed how many training
    rows an attacker must insert, delete, change or relabel to change the prediction.
    """
    predictions.check(context, *BOUND_OPTIONS)
    from skpoison._io.parts import is_many

    if predictions.pointwise or not is_many(data):
        workers.refuse()
    split = {"positive": positive, "test": test, "test_share": test_share, "seed": seed}
    if predictions.pointwise:
        files = plot, certificate
        _certify_predictions(data, reading, split, predictions, files, outputs)
        return
    learner.check(threat.domain, defense)
    if certificate is not None:
        _check_certificate(epsilon)
    reading = reading.for_domain(threat.domain)
    with outputs.session(plot, certificate) as session, reading.ahead(data):
        from . import picture, report, verified
        from .certificate import certify as bound_damage
        from .columns import tell_of_columns
        from .files import write_json
        from .sample import read_sample
        from .settings import BoundSettings

        if plot:
            picture.check_matplotlib()
        settings = BoundSettings(
            tuple(epsilon),
            **vars(threat),
            **vars(learner),
            **vars(solver),
            seed=seed,
            defense=defense,
        )
        workers.check()
        (data,) = workers.names(data)
        with session.step(f"Reading {data or 'the digits'}"):
            split["takes_all"] = settings.takes_all_rows
            as_numbers = learner.target_range is not None
            sample = read_sample(data, reading, as_numbers=as_numbers, **split)
        del split["takes_all"]
        _check_all_rows(sample, workers, certificate)
        if certificate is not None:
            verified.refuse_classes(sample.target, threat.domain)
        settings = settings.for_target(sample.target)
        tell_of_columns(session, sample.data, sample.encoded, reading, threat.domain)
        report.warn_of_percentile(threat.percentile)
        if sample.drawn is not None:
            found = _bound_all_files(session, sample, settings, reading, workers)
        else:
            sample.data = None  # The table takes as much memory as the matrices.
            # One more than was asked for: no poison at all.
            with session.count("Bounding", len(epsilon) + 1) as advance:
                found = bound_damage(sample, settings, advance)

        report.warn_if_short(found.numbers["bounds"], settings)
        report.show_certificate(session, found.numbers)
        report.say_how_few(session, epsilon, found.numbers["data"]["n_train"])

        if certificate is not None:
            with session.step("Writing the certificate"):
                how = verified.encoding_of(sample, reading, **split)
                how["domain"] = threat.domain
                bound = found.curve.estimators[0]
                to = certificate, outputs.force
                verified.write_certificate(*to, bound, sample, how)
            covered = verified.coverage(sample, "It", split)
            session.say(f"Certificate written to {certificate}. {covered}".rstrip())
        if plot:
            with session.step("Drawing"):
                picture.draw_bounds(plot, outputs.force, found, sample, settings)
            session.say(f"Plot written to {plot}.")
        how = reading.describe(sample.encoded) | {
            "test": test,
            "test_share": None if test else test_share,
        }
        write_json(outputs, found.numbers | {"reading": how})


def _check_all_rows(sample, workers, certificate):
    """Refuse options that do not go with bounds over all rows, or only with these."""
    if sample.drawn is None and workers.given is not None:
        raise typer.BadParameter(
            "is for bounds over the rows of many files; these rows are bounded in one "
            "process.",
            param_hint=f"'--{workers.given}'",
        )
    if sample.drawn is not None and certificate is not None:
        raise typer.BadParameter(
            "has a number for each row, which must be in memory together: raise "
            "--sample to the number of rows, or give a part of them.",
            param_hint="'--certificate'",
        )


def _bound_all_files(session, sample, settings, reading, workers):
    """Bound the damage over all rows of many files."""
    from skpoison._io.parts_sample import pattern_of

    from .all_files import FileRows, Files, say_what_counts
    from .certificate import certify as bound_damage
    from .part import Block

    encoded, how = sample.encoded, reading.options
    block = Block(
        pattern_of(sample.data), how, encoded.encoding, encoded.encoder, encoded.X.dtype
    )
    sample.data = None
    say_what_counts(session, sample.drawn)
    with workers.engine() as engine:
        given = sample.drawn.parts, block, sample.target, settings.seed
        files = FileRows.of(Files(session, engine, *given))
        return bound_damage(sample, settings, files=files)


def _check_certificate(epsilon):
    """Refuse what no certificate file can hold, before anything is computed."""
    if len(epsilon) != 1:
        raise typer.BadParameter(
            f"holds one bound: give one --epsilon, not {len(epsilon)}.",
            param_hint="'--certificate'",
        )


def _certify_predictions(data, reading, split, options, files, outputs):
    plot, certificate = files
    with outputs.session(*files) as session:
        from . import picture, predictions, verified
        from .columns import tell_of_roles
        from .files import write_json

        if plot:
            picture.check_matplotlib()
        settings = predictions.VoteSettings(
            (options.attack or "insert-delete").replace("-", "_"),
            options.base or "naive-bayes",
            options.partitions,
            reading.scale,
        )
        with session.step(f"Reading {data or 'the digits'}"):
            read, votes = predictions.read_votes(data, reading, **split)
        tell_of_roles(session, read, votes.encoded, reading)
        with session.step("Certifying"):
            numbers, model = predictions.certify(votes, settings)
        predictions.show(session, numbers)
        if certificate is not None:
            how = verified.encoding_of(votes, reading, **split)
            how["base"] = settings.base
            to, kind = (certificate, outputs.force), settings.attack
            verified.write_votes(*to, model, votes, kind, how)
            session.say(f"Certificate written to {certificate}.")
        if plot:
            with session.step("Drawing"):
                picture.draw_predictions(plot, outputs.force, numbers)
            session.say(f"Plot written to {plot}.")
        how = reading.describe(votes.encoded) | {
            "test": split["test"],
            "test_share": None if split["test"] else split["test_share"],
        }
        write_json(outputs, numbers | {"reading": how})
