"""Radii of votes, against every attack on small cases."""

from itertools import combinations, permutations, product

import numpy as np
import pytest

from skpoison.pointwise._hashing import shifts
from skpoison.pointwise._votes import (
    _Splits,
    _splits_to_lose_run_off,
    _splits_to_miss_run_off,
    count_votes,
    run_off,
    run_off_radius,
    spread_radius,
    spread_run_off_radius,
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


def leads_of(rankings, winner, n_classes):
    """1 for models that rank the winner above a class, else -1; 0 for None."""
    found = np.zeros((1, len(rankings), n_classes), dtype=int)
    for i, r in enumerate(rankings):
        for c in range(n_classes if r else 0):
            found[0, i, c] = 1 if r.index(winner) <= r.index(c) else -1
    return found


def test_run_off_of_a_spread_is_never_too_large():
    n_models, kinds = 5, list(permutations(range(3)))
    moved = shifts(n_models, 2)
    models_of = (np.arange(n_models)[:, None] - moved) % n_models
    rng, found, exact = np.random.default_rng(7), [], 0
    for _ in range(30):
        weights = rng.dirichlet(np.full(6, 0.3))
        rankings = [kinds[i] for i in rng.choice(6, n_models, p=weights)]
        counts, wins = tallies(rankings)
        finalists = run_off(counts, wins)
        votes = np.array([[r[0] for r in rankings]])
        above = leads_of(rankings, finalists[0][0], 3)
        radius = spread_run_off_radius(votes, finalists, above, models_of)[0]
        assert 0 <= radius <= n_models
        changes = [
            size for size in (1, 2) if can_change(rankings, kinds, models_of, size)
        ]
        assert radius < min(changes, default=np.inf)
        exact += radius == min(changes, default=3) - 1
        found.append(radius)
    assert max(found) >= 1 and exact >= 20


def can_change(rankings, kinds, models_of, size):
    """Whether touching so many splits can change the run-off's winner."""
    first = elected(rankings)
    return any(
        elected(changed) != first
        for changed in attacked(rankings, kinds, models_of, size)
    )


def attacked(states, kinds, models_of, size):
    for splits in combinations(range(len(models_of)), size):
        touched = sorted(set(models_of[list(splits)].ravel().tolist()))
        for new in product(kinds, repeat=len(touched)):
            changed = list(states)
            for place, state in zip(touched, new, strict=True):
                changed[place] = state
            yield changed


def best_two(votes, n_classes=3):
    counts = [votes.count(c) for c in range(n_classes)]
    return sorted(range(n_classes), key=lambda c: (-counts[c], c))[:2]


def test_splits_that_put_a_winner_out_of_the_run_off():
    moved = shifts(6, 2)
    models_of = (np.arange(6)[:, None] - moved) % 6
    rng, exact = np.random.default_rng(0), 0
    for _ in range(25):
        votes = rng.choice(3, 6, p=rng.permutation([0.6, 0.25, 0.15])).tolist()
        winner = best_two(votes)[0]
        counts = count_votes(np.array([votes]), 3)
        splits = _Splits(np.array([votes]), models_of)
        most = np.array([7])
        fewest = _splits_to_miss_run_off(splits, counts, np.array([winner]), most)[0]
        needed = [
            size
            for size in (1, 2)
            for changed in attacked(votes, range(3), models_of, size)
            if winner not in best_two(changed)
        ]
        assert fewest <= min(needed, default=7)
        exact += fewest == min(needed, default=3)
    assert exact >= 15


def test_splits_that_put_another_class_into_the_run_off():
    """The winner is ahead by one split's scores; another class is behind in votes."""
    moved = shifts(6, 2)
    models_of = (np.arange(6)[:, None] - moved) % 6
    votes = np.array([[0, 0, 0, 1, 1, 1]])
    leads = np.zeros((1, 6, 3), dtype=int)
    leads[0, :, 1] = leads[0, :, 2] = [1, 1, 1, 1, -1, -1]
    leads[0, :, 1] = 1
    counts = count_votes(votes, 3)
    found = _splits_to_lose_run_off(
        _Splits(votes, models_of), counts, leads, np.array([0]), np.array([1])
    )[0]
    # Class 2 needs a vote more than class 1: two models of class 1 that turn to it.
    needed = [
        size
        for size in (1, 2)
        for changed in attacked(votes[0].tolist(), range(3), models_of, size)
        if best_two(changed) in ([0, 2], [2, 0])
    ]
    assert found == min(needed) == 1


def test_run_off_of_single_splits_is_at_least_that_of_the_plain_run_off():
    rng, kinds = np.random.default_rng(3), list(permutations(range(4)))
    alone = np.arange(12)[:, None]
    for _ in range(60):
        weights = rng.dirichlet(np.full(24, 0.1))
        rankings = [kinds[i] for i in rng.choice(24, 12, p=weights)]
        counts, wins = tallies(rankings)
        finalists = run_off(counts, wins)
        votes = np.array([[r[0] for r in rankings]])
        above = leads_of(rankings, finalists[0][0], 4)
        radius = spread_run_off_radius(votes, finalists, above, alone)[0]
        assert radius >= run_off_radius(counts, wins)[0]
