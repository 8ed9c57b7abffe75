"""``skpoison attack``: write poison rows that a filter lets through."""

from typing import Annotated

from . import options as opt
from .checks import within
from .grouped import grouped
from .reading import Reading


@grouped
def attack(
    *,
    data: opt.DataFile = None,
    reading: Reading,
    positive: opt.Positive = None,
    seed: opt.Seed = 0,
    epsilon: Annotated[
        float,
        opt.option(
            opt.DEFENSE,
            "SHARE",
            "Most poison rows per clean row.",
            "--epsilon",
            "-e",
            common=True,
            callback=within(0, 1),
        ),
    ] = 0.03,
    threat: opt.Threat,
    learner: opt.BoundLearner,
    solver: opt.Solver,
    output: Annotated[
        str,
        opt.option(
            opt.OUTPUT,
            "FILE",
            "Write the poison rows, in the format of DATA; - is standard output.",
            "--output",
            "-o",
            common=True,
        ),
    ],
    keep_formulas: opt.KeepFormulas = False,
    plot: opt.Plot = None,
    outputs: opt.Outputs,
):
    """Write poison rows that a filter lets through, to test your own defenses with.

    DATA must be clean rows. The poison does nearly as much damage to a linear
    classifier or regressor as any rows that pass the filter can.

    It consists of copies of a few rows, or of many different rows where features are
    counts or categories. Features are unbounded real numbers unless --domain says
    otherwise; in a column of categories each row has one of them.

    With --positive, poison rows of the negative class carry its most frequent label.

    The plot shows clean rows, poison rows, sphere and slab in the plane through two
    centroids; targets that are numbers, over what the poisoned learner predicts.
    """
    learner.check(threat.domain)
    reading = reading.for_domain(threat.domain)
    with outputs.session(output, plot) as session, reading.ahead(data):
        from . import picture, poison, report
        from .columns import tell_of_columns
        from .files import rows_to, write_json, write_rows
        from .sample import read_sample
        from .settings import BoundSettings

        if plot:
            picture.check_matplotlib()
        settings = BoundSettings(
            (epsilon,), **vars(threat), **vars(learner), **vars(solver), seed=seed
        )
        with session.step(f"Reading {data or 'the digits'}"):
            sample = read_sample(
                data,
                reading,
                positive=positive,
                as_numbers=learner.target_range is not None,
            )
        settings = settings.for_target(sample.target)
        tell_of_columns(session, sample.data, sample.encoded, reading, threat.domain)
        report.warn_of_percentile(threat.percentile)
        poison_to = rows_to(output, sample.data, outputs, keep_formulas)

        with session.step("Looking for the attack"):
            bound, rows, numbers = poison.attack(sample, settings)

        report.warn_if_short([numbers | {"epsilon": epsilon}], settings)
        report.show_attack(session, numbers)
        content = sample.data.poison(rows)
        write_rows(session, poison_to, content, len(rows.labels))
        if plot:
            with session.step("Drawing"):
                picture.draw_attack(plot, outputs.force, bound, sample, settings)
            session.say(f"Plot written to {plot}.")
        how = reading.describe(sample.encoded)
        how |= {"test": None, "test_share": 0}
        write_json(outputs, numbers | {"reading": how})
