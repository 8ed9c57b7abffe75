"""What ``skpoison verify`` checks and prints, and what ``certify`` writes for it."""

import json
from dataclasses import replace

import numpy as np
from rich.text import Text

from skpoison import __version__, verify
from skpoison._io import DataError
from skpoison._io.errors import quoted
from skpoison._words import NONE, counted, one_line
from skpoison.verify import _file
from skpoison.verify._rows import digest_of_names

from .options import BASES, DOMAINS
from .report import new_table
from .session import warn

HELD = {True: "holds", False: "FAILS", None: "not checked"}
DIGITS, LONGEST, MOST_COLUMNS = 10, 200, 2000


def read_rows(header, data, reading, **split):
    """Read the rows of a certificate as the command did that wrote it."""
    if header["kind"] == "votes":
        from .predictions import read_votes

        return read_votes(data, reading, **split)[1]
    from .sample import read_sample

    as_numbers = header["classes"] is None
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
        "columns": _hashes_of_columns(sample.encoded.encoder),
    }


def _hashes_of_columns(encoder):
    """Return a hash of each column's name; None of words, which rows could tell."""
    names = encoder.names
    if names is None or len(names) > MOST_COLUMNS or getattr(encoder, "has_text", 0):
        return None
    return [digest_of_names([name])[:16] for name in names]


def refuse_classes(target, domain):
    """Raise an error, before any work, for labels whose bound has no certificate."""
    if target.task == "multiclass" and domain != "real":
        raise DataError(
            f"--certificate with more than two labels is for --domain real, not "
            f"{domain}. Choose two classes with --positive LABEL."
        )


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
    try:
        return _file.read(path)[0]
    except FileNotFoundError:
        raise DataError(f"There is no file {path!r}.") from None
    except IsADirectoryError:
        raise DataError(f"{path!r} is a folder, not a file.") from None


def domain_of(header):
    """Return the domain that was named, which says what scale columns may have."""
    named = (header["encoding"] or {}).get("domain")
    return named if named in DOMAINS else "real"


def as_given(header, reading, split):
    """Return how to read rows that were given to Python code: all, and as they are."""
    if header["encoding"] is not None or header["kind"] == "votes":
        return reading, split
    scale = "none" if reading.scale == "auto" else reading.scale
    return replace(reading, scale=scale), split | {"test_share": 0.0}


def _labels_as_given(header, sample):
    """Return labels as Python code gave them, which a file may hold as text."""
    if header["encoding"] is not None or header["classes"] is None:
        return sample.y
    known = {_text_of(label): label for label in header["classes"]}
    marks, places = np.unique(sample.y, return_inverse=True)
    found = np.empty(len(marks), dtype=object)
    values = sample.target.values(marks)
    found[:] = [known.get(_text_of(value), value) for value in values]
    return found[places]


def _text_of(label):
    """Return a label as text: numbers and truth values that are equal have the same."""
    text = str(label)
    try:
        return repr(float(text))
    except ValueError:
        return text.lower() if text.lower() in ("true", "false") else text


def check_file(path, sample, header, learner=None):
    """Check a certificate against the rows of a sample; votes by fitting a learner."""
    names = {"feature_names": sample.encoded.encoder.names}
    if learner is not None:
        from skpoison.pointwise import refit_votes

        rows = sample.X, sample.y, sample.X_test
        return refit_votes(path, learner, *rows, **names)
    y = sample.y if header["kind"] == "votes" else _labels_as_given(header, sample)
    return verify.check(path, sample.X, y, X_test=sample.X_test, **names)


def learner_of(header, sample, reading):
    """Return the learner to fit again: one that the command line knows, by its name."""
    from .predictions import VoteSettings

    base = (header["encoding"] or {}).get("base")
    if header["kind"] != "votes" or base not in BASES:
        raise DataError(
            "--refit is for predictions that certify --pointwise has certified; this "
            f"file names none of its learners (base={_text(base)})."
        )
    n_parts = header["n_partitions"]
    settings = VoteSettings(header["attack"], base, n_parts, reading.scale)
    return settings.classifier(sample.X).estimator


def numbers_of(report):
    """Return what ``--json`` writes."""
    claims = [claim._asdict() for claim in report.claims]
    return {
        "skpoison": __version__,
        "command": "verify",
        "verified": report.verified,
        "assumes_votes": report.assumes_votes,
        "objective": report.objective or None,
        "claims": claims,
        "assumed": list(report.assumed),
        "certificate": report.header,
    }


def show(session, path, report):
    """Print what a file claims, what holds, and what no file can prove."""
    session.say(f"{path}: {_subject(report)}, {_threat(report.header)}.")
    if report.objective:
        session.say(f"The learner minimizes {report.objective}.")
    session.say(f"Only said by the file, not checked: {_names(report.header)}.")
    table = new_table("", ["claim", "", "claimed", "proven"])
    for claim in report.claims:
        numbers = [_number(claim.claimed), _number(claim.proven)]
        table.add_row(claim.name.replace("_", " "), HELD[claim.holds], *numbers)
    session.console.print(table)
    for claim in report.claims:
        if claim.reason:
            session.console.print(Text(f"{claim.name}: {one_line(claim.reason)}."))
    session.say(_result(report))
    if report.assumed:
        session.say("Assumed, because no file can prove it:")
    for text in report.assumed:
        session.say(f"- {text}")
    if session.quiet and not report.verified:
        warn(f"{path} is not verified: {_failures(report)}.")


def _subject(report):
    """Say what is certified, in fields that are compared with the rows."""
    header = report.header
    what = "predictions" if header["kind"] == "votes" else "a bound"
    rows, features = header["n_rows"], header["n_features"]
    return f"{what} for {counted(rows, 'row')} of {counted(features, 'feature')}"


def _names(header):
    """Return what nobody checks, in quotes, so that it cannot pass for ours."""
    said = {name: header[name] for name in ("learner", "filter") if name in header}
    if header.get("domain", "real") != "real":
        said["domain"] = header["domain"]
    said["skpoison"] = str(header["packages"].get("skpoison"))
    return ", ".join(f"{name} {_text(value)}" for name, value in said.items())


def _result(report):
    if not report.verified:
        return "Not verified."
    if report.assumes_votes:
        return (
            "Verified, given the votes in the file: all claims follow from them. The "
            "votes are not checked; that takes training the parts again (--refit)."
        )
    return "Verified: all claims hold, rounding included."


def _failures(report):
    return "; ".join(
        f"{claim.name} ({one_line(claim.reason or HELD[claim.holds])})"
        for claim in report.claims
        if not claim.holds
    )


def coverage(sample, what, split):
    """Say how many of the rows a bound covers; nothing where none are held out."""
    is_split = split["test_share"] and not split["test"] and sample.X_test is not None
    if not is_split:
        return ""
    n_rows, n_held = sample.X.shape[0], sample.X_test.shape[0]
    return (
        f"{what} covers {n_rows:,} of {counted(n_rows + n_held, 'row')}: those that "
        "are held out for tests are not covered (--test-share 0 holds out none)."
    )


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
        if name != "columns" and stored.get(name) != value
    ]
    if others:
        warn(
            "The certificate was made with other options for reading: "
            f"{', '.join(others)}. Give the same ones."
        )


def warn_of_columns(stored, sample):
    """Say which columns differ, or that only their order does."""
    own = _hashes_of_columns(sample.encoded.encoder)
    known = (stored or {}).get("columns")
    if own is None or not isinstance(known, list) or known == own:
        return
    known = [str(one) for one in known]
    names = dict(zip(own, sample.encoded.encoder.names, strict=True))
    if sorted(known) == sorted(own):
        wanted = quoted(names[one] for one in known)
        warn(f"Only the order of the columns differs; the certificate's is {wanted}.")
        return
    others = [name for one, name in names.items() if one not in known]
    n_lost, unknown = len(set(known) - set(own)), quoted(others) if others else ""
    warn(
        f"The certificate knows no columns {unknown or 'but these'}, and "
        f"{counted(n_lost, 'column')} of its own {'is' if n_lost == 1 else 'are'} not "
        "in the file."
    )


def warn_of_order(report, given):
    """Say what the order of rows does, where other rows are found."""
    wrong = {claim.name for claim in report.claims if claim.holds is False}
    rows_differ = wrong & {"rows", "test rows"} and "columns" not in wrong
    if rows_differ and given["test_share"]:
        warn(
            "Which rows are held out for tests depends on their order: rows may come "
            "in another order only with --test-share 0 or --test, here and in certify."
        )


def _text(value):
    return one_line(json.dumps(value, ensure_ascii=False), LONGEST)
