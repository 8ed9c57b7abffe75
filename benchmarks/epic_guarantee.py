"""How far training on what EPIC keeps stays from training on everything."""

import numpy as np
from epic_defense import problem
from sklearn.utils.extmath import softmax

from skpoison.coreset import facility_location

EVERY, N_ROUNDS, RATE = 25, 6, 0.1


def gradient(weights, features, y):
    """Gradient of the mean log loss, and the residuals."""
    residuals = softmax(features @ weights)
    residuals[np.arange(len(y)), y] -= 1
    return features.T @ residuals / len(y), residuals


def descend(weights, features, y, n_steps):
    for _ in range(n_steps):
        weights = weights - RATE * gradient(weights, features, y)[0]
    return weights


def alone(residuals, y):
    """Rows that are medoids of nobody else, at 20 %."""
    medoids = facility_location(residuals.astype(np.float32), 0.2, labels=y)
    return medoids.cluster_sizes[medoids.assignment] == 1


def by_epic(residuals, y, rng):
    return alone(residuals, y)


def at_random(residuals, y, rng):
    """As many rows of each class as EPIC would drop, drawn at random."""
    drop = alone(residuals, y)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        drop[rows] = rng.permutation(drop[rows])
    return drop


def walk(features, y, rule, seed):
    """Rounds of training and dropping: share kept, and the two distances."""
    rng = np.random.default_rng(seed)
    kept = np.arange(len(y))
    full = part = start = np.zeros((features.shape[1], 10))
    out = []
    for _ in range(N_ROUNDS):
        full = descend(full, features, y, EVERY)
        part = descend(part, features[kept], y[kept], EVERY)
        here, _ = gradient(part, features, y)
        ours, residuals = gradient(part, features[kept], y[kept])
        there, _ = gradient(full, features, y)
        out.append(
            (
                len(kept) / len(y),
                np.linalg.norm(part - full) / np.linalg.norm(full - start),
                np.linalg.norm(ours - here) / np.linalg.norm(here),
                np.linalg.norm(here) / np.linalg.norm(there),
            )
        )
        kept = kept[~rule(residuals, y[kept], rng)]
    return np.array(out)


def bench_guarantee(n_draws=5):
    print("Full-batch softmax regression on clean features of MNIST, 2,500 rows,")
    print(f"{EVERY} steps, then a round; 20 % medoids; random: mean of {n_draws} draws")
    X, y, _, _, embed = problem()
    features = embed(X)
    features = np.hstack([features / features.std(), np.ones((len(X), 1))])
    epic = walk(features, y, by_epic, 0)
    random = np.mean(
        [walk(features, y, at_random, seed) for seed in range(n_draws)], axis=0
    )
    print(f"{'':6} kept | parameters, distance from those of all rows, relative")
    print(f"{'':11} | gradient of the kept rows against that of all, difference")
    print(f"{'':11} | norm of the full gradient against that of training on all")
    for round_, (ours, theirs) in enumerate(zip(epic, random, strict=True)):
        for name, values in (("EPIC", ours), ("random", theirs)):
            kept, parameters, difference, norm = values
            print(
                f"{round_} {name:7} {kept:.3f} | {parameters:.4f} | "
                f"{difference:.4f} | {norm:.4f}"
            )
