"""Certified predictions: parts, votes of their models, and radii that follow.

A row belongs to the part that its own content says, so that whoever inserts, deletes or
relabels r rows touches at most r parts (a changed row leaves one and enters another:
2 r). A touched part can take its vote from the winner c to a rival c', which shortens
the winner's lead ``n_c - n_c' - [c' < c]`` by at most 2; the smaller label wins ties.
"""

import hashlib
from collections.abc import Iterator

import numpy as np

from skpoison.verify._claims import Claim
from skpoison.verify._rows import Rows, digest, digests_of_contents

ASSUMED = (
    "Each model votes as the file says: train the stated learner on the rows of a "
    "part, whose hash is in the file, to check its votes.",
    "The attacker changes neither parameters, labels and columns nor the test rows.",
)
# By how many parts one row of an attack touches.
TOUCHED = {"insert_delete": 1, "flip": 1, "change": 2}


def parts_of(rows: Rows, hash: str, n_parts: int) -> np.ndarray:
    """Return the part of each row: by its hash, or by its rank among sorted hashes."""
    contents = digests_of_contents(rows)
    if hash == "content":
        numbers = [int.from_bytes(one[:8], "big") % n_parts for one in contents]
    else:
        ranks = {one: rank for rank, one in enumerate(sorted(set(contents)))}
        numbers = [ranks[one] % n_parts for one in contents]
    return np.array(numbers, dtype=np.int64)


def hashes_of_parts(parts: np.ndarray, hashes: list[bytes], n_parts: int) -> np.ndarray:
    """Return a hash of the labeled rows of each part, shape (n_parts, 32)."""
    members: list[list[bytes]] = [[] for _ in range(n_parts)]
    for part, one in zip(parts.tolist(), hashes, strict=True):
        members[part].append(one)
    joined = [hashlib.sha256(b"".join(sorted(part))).digest() for part in members]
    return np.frombuffer(b"".join(joined), np.uint8).reshape(n_parts, 32)


def winners_and_leads(votes: np.ndarray, n_classes: int) -> tuple:
    """Return the winner of each row's votes, and its least lead over a rival."""
    counts = np.stack([(votes == c).sum(axis=1) for c in range(n_classes)], axis=1)
    winner = counts.argmax(axis=1)[:, np.newaxis]
    own = np.take_along_axis(counts, winner, axis=1)
    leads = own - counts - (np.arange(n_classes) < winner)
    np.put_along_axis(leads, winner, own, axis=1)
    return winner[:, 0], leads.min(axis=1)


def digest_in_order(rows: Rows) -> str:
    """Return the hash of test rows, in their order."""
    return hashlib.sha256(b"".join(digests_of_contents(rows))).hexdigest()


def check_votes(
    header: dict, arrays: dict, rows: Rows, labels: np.ndarray, test: Rows | None
) -> Iterator[Claim]:
    """Check all that follows from the votes."""
    n_parts, n_classes = header["n_partitions"], len(header["classes"])
    known = header["hash"] in ("content", "rank") and header["attack"] in TOUCHED
    if header["hash"] == "rank":  # the ranks of others change with a row
        known = header["attack"] == "flip"
    votes = arrays["votes"]
    known &= n_parts > 0 and bool(((votes >= -1) & (votes < n_classes)).all())
    yield Claim("problem", known, "" if known else "hash, attack or votes are unknown")
    if not known:
        return
    if test is None:
        yield Claim("test rows", None, "the test rows were not given")
    else:
        is_same = digest_in_order(test) == header["test_sha256"]
        yield Claim("test rows", is_same, "" if is_same else "they are others")
    parts = parts_of(rows, header["hash"], n_parts)
    found = hashes_of_parts(parts, digest(rows, labels)[2], n_parts)
    is_same = bool((found == arrays["part_sha256"]).all())
    yield Claim("parts", is_same, "" if is_same else "they hold other rows")
    winner, leads = winners_and_leads(votes, n_classes)
    is_same = bool((winner == arrays["predicted"]).all())
    yield Claim("predictions", is_same, "" if is_same else "others have more votes")
    radii = leads // 2 // TOUCHED[header["attack"]]
    wrong = int((arrays["radii"] > radii).sum())
    yield Claim("radii", not wrong, f"{wrong} do not follow from votes" * bool(wrong))
