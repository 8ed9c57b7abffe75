"""``skpoison verify``: check a certificate file against the rows that it is about."""

from typing import Annotated

import typer

from . import options as opt
from .grouped import grouped
from .reading import Reading


@grouped
def verify(
    *,
    file: Annotated[
        str,
        typer.Argument(
            metavar="CERTIFICATE", help="The file that certify --certificate wrote."
        ),
    ],
    data: opt.RequiredFile,
    reading: Reading,
    positive: opt.Positive = None,
    test: opt.Test = None,
    test_share: opt.TestShare = 0.3,
    seed: opt.Seed = 0,
    refit: Annotated[
        bool,
        opt.switch(
            opt.DATA,
            "Of certified predictions, fit the models of all parts again and compare "
            "their votes with those in the file.",
            "--refit",
            common=True,
        ),
    ] = False,
    outputs: opt.Outputs,
):
    """Check a certificate file against the rows that it is about.

    Every claim is computed again from the file and the rows, without the solvers, and
    rounded outwards. The exit code is 0 only if all claims hold, and 3 if one does not.
    Certified predictions are checked given the votes in the file: that the models vote
    so takes training them again, which --refit does.

    DATA must be the clean rows that were certified, and be read with the same options:
    columns become numbers as they did then, which a hash in the file tells. The rows
    may come in another order with --test-share 0 or --test; otherwise the order decides
    which of them are held out. The file may come from a stranger.
    """
    with outputs.session() as session:
        from . import verified
        from .files import write_json

        header = verified.header_of(file)
        reading = reading.for_domain(verified.domain_of(header))
        split = {
            "positive": positive,
            "test": test,
            "test_share": test_share,
            "seed": seed,
        }
        reading, split = verified.as_given(header, reading, split)
        with session.step(f"Reading {data}"):
            sample = verified.read_rows(header, data, reading, **split)
        learner = verified.learner_of(header, sample, reading) if refit else None
        with session.step("Checking"):
            report = verified.check_file(file, sample, header, learner)
        verified.show(session, file, report)
        if report.verified and header["kind"] != "votes":
            covered = verified.coverage(sample, "The certificate", split)
            if covered:
                session.say(covered)
        how = verified.encoding_of(sample, reading, **split)
        if not report.verified:
            verified.warn_of_encoding(header["encoding"], how)
            verified.warn_of_columns(header["encoding"], sample)
            verified.warn_of_order(report, how)
        write_json(outputs, verified.numbers_of(report))
        if not report.verified:
            raise typer.Exit(opt.STOP)
