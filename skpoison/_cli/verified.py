"""What ``skpoison verify`` checks and prints, and what ``certify`` writes for it."""

import json

from rich.text import Text

from skpoison import __version__, verify
from skpoison._words import NONE, counted, one_line
from skpoison.verify import _file

from .options import DOMAINS
from .report import new_table
from .session import warn

HELD = {True: "holds", False: "FAILS", None: "not checked"}
DIGITS, LONGEST = 10, 300


def read_rows(header, data, reading, **split):
    """Read the rows of a certificate as the command did that wrote it."""
    if header["kind"] == "votes":
        from .predictions import read_votes

        return read_votes(data, reading, **split)[1]
    from .sample import read_sample

    as_numbers = header["target_range"] is not None
    return read_sample(data, reading, as_numbers=as_numbers, **split)


def encoding_of(sample, reading, *, positive, test_share, seed, test=None):
    """Return how rows became numbers, for the certificate."""
    described = reading.describe(sample.encoded)
    del described["columns"]
    return described | {
        "positive": positive,
        "test": bool(test),
        "test_share": 0.0 if test else test_share,
        "seed": seed,
        "labels": sample.names,
    }


def write_certificate(path, force, bound, sample, encoding):
    """Write the certificate of a bound on the rows of a sample."""
    names = sample.encoder.names
    bound.to_certificate(path, feature_names=names, encoding=encoding, overwrite=force)


def write_votes(path, force, model, votes, attack, encoding):
    """Write the certificate of the predictions of test rows."""
    model.to_certificate(
        path,
        votes.X_test,
        attack=attack,
        feature_names=votes.encoded.encoder.names,
        encoding=encoding,
        overwrite=force,
    )


def header_of(path):
    """Return the header of a certificate, before time is spent on the rows."""
    return _file.read(path)[0]


def domain_of(header):
    """Return the domain that was named, which says what scale columns may have."""
    named = (header["encoding"] or {}).get("domain")
    return named if named in DOMAINS else "real"


def check_file(path, sample):
    """Check a certificate against the rows of a sample."""
    names = sample.encoded.encoder.names
    options = {"X_test": sample.X_test, "feature_names": names}
    return verify.check(path, sample.X, sample.y, **options)


def numbers_of(report):
    """Return what ``--json`` writes."""
    claims = [claim._asdict() for claim in report.claims]
    return {
        "skpoison": __version__,
        "command": "verify",
        "verified": report.verified,
        "claims": claims,
        "assumed": list(report.assumed),
        "certificate": report.header,
    }


def show(session, path, report):
    """Print what a file claims, what holds, and what no file can prove."""
    header = report.header
    packages = header["packages"]
    session.say(
        f"{path}: {header['learner']:.{LONGEST}} on {counted(header['n_rows'], 'row')} "
        f"of {counted(header['n_features'], 'feature')}, {_threat(header)}; made by "
        f"skpoison {packages.get('skpoison')!s:.40}."
    )
    table = new_table("", ["claim", "", "claimed", "proven"])
    for claim in report.claims:
        numbers = [_number(claim.claimed), _number(claim.proven)]
        table.add_row(claim.name.replace("_", " "), HELD[claim.holds], *numbers)
    session.console.print(table)
    for claim in report.claims:
        if claim.reason:
            session.console.print(Text(f"{claim.name}: {one_line(claim.reason)}."))
    session.say(
        "Verified: all claims hold, rounding included."
        if report.verified
        else "Not verified."
    )
    session.say("Assumed, because no file can prove it:")
    for text in report.assumed:
        session.say(f"- {text}")


def _threat(header):
    if header["kind"] == "votes":
        parts, tests = header["n_partitions"], header["n_test"]
        return (
            f"{counted(parts, 'part')} and {counted(tests, 'test row')}, against "
            f"{header['attack']:.20}"
        )
    share = f"epsilon = {header['epsilon']:g}"
    return f"at most {counted(header['n_poison'], 'poison row')} ({share})"


def _number(value):
    return NONE if value is None else f"{value:.{DIGITS}g}"


def warn_of_encoding(stored, given):
    """Say which options differ from those that the certificate was made with."""
    if stored is None:
        return
    others = [
        f"{name}={_text(stored.get(name))} (now {_text(value)})"
        for name, value in given.items()
        if stored.get(name) != value
    ]
    if others:
        warn(
            "The certificate was made with other options for reading: "
            f"{', '.join(others)}. Give the same ones."
        )


def warn_of_order(report, given):
    """Say what the order of rows does, where other rows are found."""
    rows_differ = any(
        claim.name in ("rows", "test rows") and claim.holds is False
        for claim in report.claims
    )
    if rows_differ and given["test_share"]:
        warn(
            "Which rows are held out for tests depends on their order: rows may come "
            "in another order only with --test-share 0 or --test, here and in certify."
        )


def _text(value):
    return one_line(json.dumps(value), 80)
