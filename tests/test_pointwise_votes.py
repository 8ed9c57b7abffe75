"""Radii of votes, against every attack on small cases."""

from itertools import combinations, permutations, product

import numpy as np
import pytest

from skpoison.pointwise._hashing import shifts
from skpoison.pointwise._votes import (
    count_votes,
    run_off,
    run_off_radius,
    spread_radius,
    turns_for_two,
    vote_radius,
)


def winner_of(votes, n_classes):
    return int(np.argmax([np.sum(np.equal(votes, c)) for c in range(n_classes)]))


def least_change(votes, touched_sets, n_classes):
    """The fewest sets of models that must be touched to change the winner."""
    first = winner_of(votes, n_classes)
    for size in range(1, len(touched_sets) + 1):
        for sets in combinations(touched_sets, size):
            touched = sorted(set().union(*sets))
            for labels in product(range(n_classes), repeat=len(touched)):
                changed = np.array(votes)
                changed[touched] = labels
                if winner_of(changed, n_classes) != first:
                    return size
    return len(touched_sets) + 1


@pytest.mark.parametrize(("n_models", "n_classes"), [(5, 2), (4, 3), (3, 4)])
def test_vote_radius_is_exact(n_models, n_classes):
    cases = np.array(list(product(range(-1, n_classes), repeat=n_models)))
    cases = cases[(cases >= 0).any(axis=1)]
    cases = cases[np.random.default_rng(0).permutation(len(cases))[:80]]
    radii = vote_radius(count_votes(cases, n_classes))
    single = [{i} for i in range(n_models)]
    for votes, radius in zip(cases, radii, strict=True):
        if (votes >= 0).all():
            assert radius == least_change(votes, single, n_classes) - 1
        else:  # a model that abstains can be turned less than a vote for the winner
            assert radius <= least_change(votes, single, n_classes) - 1


@pytest.mark.parametrize(("n_splits", "spread", "n_classes"), [(6, 2, 2), (5, 2, 3)])
def test_spread_radius_is_never_too_large(n_splits, spread, n_classes):
    moved = shifts(n_splits, spread)
    models_of = (np.arange(n_splits)[:, None] - moved) % n_splits
    rng = np.random.default_rng(1)
    cases = rng.integers(0, n_classes, (25, n_splits))
    cases[:8] = np.where(rng.random((8, n_splits)) < 0.85, 1, cases[:8])
    radii = spread_radius(cases, n_classes, models_of)
    assert radii.max() > 0
    sets = [set(models) for models in models_of.tolist()]
    for votes, radius in zip(cases, radii, strict=True):
        assert radius <= least_change(votes, sets, n_classes) - 1


def test_spread_of_one_is_the_plain_vote():
    votes = np.random.default_rng(2).integers(0, 3, (200, 11))
    alone = np.arange(11)[:, None]
    np.testing.assert_array_equal(
        spread_radius(votes, 3, alone), vote_radius(count_votes(votes, 3))
    )


def test_turns_for_two_rivals_are_those_of_the_recursion():
    table = {}
    for total in range(0, 60):
        for i in range(total + 1):
            table[i, total - i] = by_recursion(i, total - i, table)
    i, j = np.array(list(table)).T
    np.testing.assert_array_equal(turns_for_two(i, j), list(table.values()))


def by_recursion(i, j, table):
    if i == j == 0:
        return 0
    if (i <= 1 and j <= 2) or (i <= 2 and j <= 1):
        return 1
    if j <= 1 or i <= 1:
        return (max(i, j) + 1) // 2
    return 1 + min(table[i - 2, j - 1], table[i - 1, j - 2])


def elected(rankings):
    """The run-off, written out: rankings hold classes from best to worst."""
    counts = [sum(r[0] == c for r in rankings) for c in range(len(rankings[0]))]
    best = sorted(range(len(counts)), key=lambda c: (-counts[c], c))[:2]
    low, high = sorted(best)
    lead = sum(1 if r.index(low) < r.index(high) else -1 for r in rankings)
    return low if lead >= 0 else high


def tallies(rankings):
    n_classes = len(rankings[0])
    counts = [[sum(r[0] == c for r in rankings) for c in range(n_classes)]]
    wins = np.zeros((1, n_classes, n_classes), dtype=int)
    for r in rankings:
        for place, above in enumerate(r):
            wins[0, above, list(r[place + 1 :])] += 1
    return np.array(counts), wins


@pytest.mark.parametrize("n_models", [4, 7])
def test_run_off_radius_is_never_too_large(n_models):
    rng = np.random.default_rng(n_models)
    kinds = list(permutations(range(3)))
    found = []
    for _ in range(12):
        weights = rng.dirichlet(np.full(6, 0.4))
        rankings = [kinds[i] for i in rng.choice(6, n_models, p=weights)]
        counts, wins = tallies(rankings)
        first = elected(rankings)
        assert run_off(counts, wins)[0][0] == first
        radius = run_off_radius(counts, wins)[0]
        found.append(radius)
        for touched in combinations(range(n_models), min(radius, 3)):
            for new in product(kinds, repeat=len(touched)):
                changed = list(rankings)
                for place, ranking in zip(touched, new, strict=True):
                    changed[place] = ranking
                assert elected(changed) == first
    assert max(found) >= 1
