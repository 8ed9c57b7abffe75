"""How votes of models become a prediction, and how many can change without changing it.

Votes are positions among the sorted classes; -1 is a model that abstains.
"""

from itertools import combinations

import numpy as np

CELLS = 4_000_000  # of the largest array at a time


def count_votes(votes: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the number of votes for each class, shape (n_rows, n_classes)."""
    return np.stack([(votes == c).sum(axis=1) for c in range(n_classes)], axis=1)


def vote_radius(counts: np.ndarray) -> np.ndarray:
    """Return how many votes can change without changing the winner."""
    winner = counts.argmax(axis=1)
    margins = _margins(counts, winner)
    np.put_along_axis(margins, winner[:, None], counts.max(axis=1)[:, None], axis=1)
    return margins.min(axis=1) // 2


def _margins(counts, winner):
    """Return ``n_c - n_c' - [c' < c]``, the margin over each rival c'."""
    first = np.arange(counts.shape[1]) < winner[:, None]
    return np.take_along_axis(counts, winner[:, None], axis=1) - counts - first


def spread_radius(
    votes: np.ndarray, n_classes: int, models_of: np.ndarray
) -> np.ndarray:
    """Return how many splits can be poisoned without changing the winner.

    ``models_of`` holds the models trained on each split, (n_splits, spread).
    """
    block = max(CELLS // models_of.size, 1)
    blocks = [votes[i : i + block] for i in range(0, len(votes), block)]
    radii = [_spread_radius(block, n_classes, models_of) for block in blocks]
    return np.concatenate(radii) if radii else np.zeros(0, dtype=np.intp)


def _spread_radius(votes, n_classes, models_of):
    counts = count_votes(votes, n_classes)
    winner = counts.argmax(axis=1)
    margins = _margins(counts, winner)
    says_winner = votes == winner[:, None]
    radius = np.full(len(votes), len(models_of))
    for rival in range(n_classes):
        power = 1 + says_winner.astype(np.intp) - (votes == rival)
        of_splits = power[:, models_of].sum(axis=2)
        losses = np.cumsum(np.sort(of_splits, axis=1)[:, ::-1], axis=1)
        fits = (losses <= margins[:, [rival]]).sum(axis=1)
        radius = np.minimum(radius, np.where(winner == rival, len(models_of), fits))
    return radius


def run_off(counts: np.ndarray, wins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the winner and the loser of the run-off between the two best classes.

    ``wins[:, a, b]`` counts the models that score class a above class b.
    """
    if counts.shape[1] == 1:
        return (np.zeros(len(counts), dtype=np.intp),) * 2
    best = np.sort(np.argsort(-counts, axis=1, kind="stable")[:, :2], axis=1)
    rows = np.arange(len(counts))
    lead = wins[rows, best[:, 0], best[:, 1]] - wins[rows, best[:, 1], best[:, 0]]
    won = np.where(lead >= 0, 0, 1)
    return best[rows, won], best[rows, 1 - won]


def run_off_radius(counts: np.ndarray, wins: np.ndarray) -> np.ndarray:
    """Return how many votes can change without changing the winner of the run-off."""
    if counts.shape[1] == 1:
        return vote_radius(counts)
    winner, second = run_off(counts, wins)
    lost_first = _turns_to_miss_run_off(counts, winner)
    lost_second = _turns_to_lose_run_off(counts, wins, winner, second)
    return np.minimum(lost_first, lost_second) - 1


def spread_run_off_radius(
    votes: np.ndarray,
    finalists: tuple[np.ndarray, np.ndarray],
    leads: np.ndarray,
    models_of: np.ndarray,
) -> np.ndarray:
    """Return how many splits can be touched without changing the run-off's winner.

    `finalists` are the winner and the other. ``leads[:, :, c]`` is 1 for models that
    score the winner above class c, -1 for those that do not, and 0 for those that
    abstain.
    """
    n_rows, _, n_classes = leads.shape
    counts = count_votes(votes, n_classes)
    if n_classes == 1:
        return np.full(n_rows, len(models_of))
    winner, second = finalists
    splits = _Splits(votes, models_of)
    fewest = _splits_to_lose_run_off(splits, counts, leads, winner, second)
    return _splits_to_miss_run_off(splits, counts, winner, fewest) - 1


class _Splits:
    """What touching splits can do to the differences of votes."""

    def __init__(self, votes, models_of):
        self.votes, self.models_of = votes, models_of

    def says(self, classes):
        """Return which models vote for each row's class."""
        return (self.votes == np.broadcast_to(classes, len(self.votes))[:, None]) * 1

    def take(self, rows):
        """Return the same for some of the rows."""
        return _Splits(self.votes[rows], self.models_of)

    def fewest(self, powers, needed):
        """Return how many splits it takes for their models' powers to sum up."""
        of_splits = powers[:, self.models_of].sum(axis=2)
        sums = np.cumsum(np.sort(of_splits, axis=1)[:, ::-1], axis=1)
        return np.where(needed > 0, (sums < needed[:, None]).sum(axis=1) + 1, 0)


def _splits_to_miss_run_off(splits, counts, winner, most):
    """Return how many splits it takes for two others to pass, or `most` if fewer."""
    n_rows, n_classes = counts.shape
    rows, classes = np.arange(n_rows), np.arange(n_classes)
    gaps = counts[rows, winner][:, None] - counts + (classes > winner[:, None])
    own = splits.says(winner)
    alone = [
        splits.fewest(1 + own - splits.says(c), gaps[:, c]) for c in range(n_classes)
    ]
    fewest = most.copy()
    for first, other in combinations(range(n_classes), 2):
        turns = np.maximum(alone[first], alone[other])
        is_pair = (winner != first) & (winner != other)
        rows = np.flatnonzero(is_pair & (turns < fewest))
        some = splits.take(rows)
        both = 1 + 2 * own[rows] - some.says(first) - some.says(other)
        together = some.fewest(both, (gaps[:, first] + gaps[:, other])[rows])
        turns = np.maximum(turns[rows], together)
        fewest[rows] = np.minimum(fewest[rows], turns)
    return fewest


def _splits_to_lose_run_off(splits, counts, leads, winner, second):
    n_rows, n_classes = counts.shape
    rows = np.arange(n_rows)
    fewest = np.full(n_rows, len(splits.models_of) + 1)
    for rival in range(n_classes):
        behind = counts[rows, second] - counts[:, rival] + (rival > second)
        behind = np.where(second == rival, 0, behind)
        power = 1 + splits.says(second) - splits.says(rival)
        reached = splits.fewest(power, behind)
        lead = leads[:, :, rival].sum(axis=1, dtype=np.intp) + (rival > winner)
        won = splits.fewest(1 + leads[:, :, rival], lead)
        turns = np.where(winner == rival, fewest, np.maximum(reached, won))
        fewest = np.minimum(fewest, turns)
    return fewest


def turns_for_two(i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Return how many votes must change for two rivals to catch up by i and j votes.

    A vote that moves from the winner to one rival brings that rival 2 votes closer, and
    the other one 1.
    """
    return np.maximum(np.maximum(-(-i // 2), -(-j // 2)), -(-(i + j) // 3))


def _turns_to_miss_run_off(counts, winner):
    """Changes after which two other classes overtake the winner in the first round."""
    n_rows, n_classes = counts.shape
    behind = np.arange(n_classes) > winner[:, None]
    own = np.take_along_axis(counts, winner[:, None], axis=1)
    gaps = np.maximum(own - counts + behind, 0)
    fewest = np.full(n_rows, counts.sum(axis=1).max(initial=0) + 1)
    for first, other in combinations(range(n_classes), 2):
        turns = turns_for_two(gaps[:, first], gaps[:, other])
        is_pair = (winner != first) & (winner != other)
        fewest = np.where(is_pair, np.minimum(fewest, turns), fewest)
    return fewest


def _turns_to_lose_run_off(counts, wins, winner, second):
    """Changes after which another class reaches the run-off and wins it."""
    n_rows, n_classes = counts.shape
    rows = np.arange(n_rows)
    fewest = np.full(n_rows, np.iinfo(np.intp).max)
    for rival in range(n_classes):
        behind = counts[rows, second] - counts[:, rival] + (rival > second)
        lead = wins[rows, winner, rival] - wins[rows, rival, winner] + (rival > winner)
        turns = np.maximum(-(-behind // 2), -(-lead // 2))
        fewest = np.where(winner == rival, fewest, np.minimum(fewest, turns))
    return fewest
