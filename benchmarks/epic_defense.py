"""Targeted clean-label poison against a logistic head on frozen features of MNIST."""

import warnings

import numpy as np
from epic_bullseye import Embedding, bullseye
from epic_data import mnist
from scipy.stats import binom, binomtest
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier

from skpoison import FilteredClassifier
from skpoison.exceptions import FilterWarning
from skpoison.filters import EPICFilter

N_ROWS, N_POISON, RADIUS, WARMUP = 2500, 25, 0.3, 5


def problem(seed=0):
    """Rows for the head, test rows, and a network trained on other rows."""
    X, y, X_test, y_test = mnist()
    order = np.random.default_rng(seed).permutation(len(X))
    net = MLPClassifier((256, 64), random_state=seed)
    for _ in range(8):
        net.partial_fit(X[order[:40000]], y[order[:40000]], classes=np.arange(10))
    float32 = [[a.astype(np.float32) for a in p] for p in (net.coefs_, net.intercepts_)]
    embed = Embedding(float32[0][:-1], float32[1][:-1])
    rows = order[40000 : 40000 + N_ROWS]
    return X[rows], y[rows], X_test, y_test, embed


def head():
    return LogisticRegression(max_iter=300)


def attacks(X, y, X_test, y_test, embed, scale, n_tries):
    """Yield a target, the class it is to be taken for, and the poisoned features."""
    features = embed(X) / scale
    right = head().fit(features, y).predict(embed(X_test) / scale) == y_test
    for attempt in range(n_tries):
        rng = np.random.default_rng(attempt)
        target = rng.choice(np.flatnonzero(right))
        wanted = rng.choice(np.flatnonzero(np.arange(10) != y_test[target]))
        rows = rng.permutation(np.flatnonzero(y == wanted))[:N_POISON]
        poison, miss = bullseye(
            embed, embed.pull_back, X[rows], X_test[target], radius=RADIUS
        )
        poisoned = features.copy()
        poisoned[rows] = embed(poison) / scale
        yield target, wanted, rows, poisoned, miss


def drop_as_many(suspicion, y, counts):
    """Keep all but the most suspicious rows of each class."""
    kept = np.ones(len(y), dtype=bool)
    for label, count in enumerate(counts):
        rows = np.flatnonzero(y == label)
        kept[rows[np.argsort(-suspicion[rows], kind="stable")[:count]]] = False
    return kept


def controls(features, y, counts, seed):
    """Rows that are kept when as many are dropped by other rules."""
    model = SGDClassifier(loss="log_loss", random_state=0)
    for _ in range(WARMUP):
        model.partial_fit(features, y, classes=np.arange(10))
    probabilities = model.predict_proba(features)
    suspicions = {
        "random rows": np.random.default_rng(seed).random(len(y)),
        "highest loss": -probabilities[np.arange(len(y)), y],
        "lowest confidence": -probabilities.max(axis=1),
    }
    return {
        name: drop_as_many(suspicion, y, counts)
        for name, suspicion in suspicions.items()
    }


def defenses(features, y, seed):
    """Which rows each defense keeps."""
    kept = {"none": np.ones(len(y), dtype=bool)}
    for percent in (10, 20, 30):
        epic = EPICFilter(medoid_fraction=percent / 100, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FilterWarning)
            kept[f"EPIC, {percent} %"] = epic.fit_predict(features, y) == 1
    counts = np.bincount(y[~kept["EPIC, 20 %"]], minlength=10)
    return kept | controls(features, y, counts, seed)


def judge(y, X_test, y_test, case, seed):
    """For each defense: success, test accuracy, share dropped of poison and of all."""
    target, wanted, rows, features, _ = case
    results = {}
    for name, kept in defenses(features, y, seed).items():
        model = head().fit(features[kept], y[kept])
        predicted = model.predict(X_test)
        success = predicted[target] == wanted
        dropped = np.mean(~kept[rows]), np.mean(~kept)
        results[name] = (success, np.mean(predicted == y_test), *dropped)
    return results


def interval(successes):
    found = binomtest(int(successes.sum()), len(successes)).proportion_ci(
        method="wilson"
    )
    return f"[{found.low:.2f}, {found.high:.2f}]"


def sign_test(before, after):
    """Two-sided exact test of paired outcomes (McNemar's)."""
    better, worse = np.sum(before > after), np.sum(after > before)
    if better + worse == 0:
        return 1.0
    return min(1.0, 2 * binom.cdf(min(better, worse), better + worse, 0.5))


def report(results):
    names = list(results[0])
    table = {name: np.array([result[name] for result in results]) for name in names}
    print(
        f"{'defense':18} success, 95 % interval; fewer targets than 'none' (p);"
        " accuracy, paired change, 95 % interval; dropped of poison, of all"
    )
    plain = table["none"]
    for name, values in table.items():
        success, accuracy, poison, all_rows = values.T
        change = accuracy - plain[:, 1]
        error = 1.96 * change.std(ddof=1) / np.sqrt(len(change))
        print(
            f"{name:18} {success.mean():.2f} {interval(success)}; "
            f"{int(np.sum(plain[:, 0] - success)):3} "
            f"(p = {sign_test(plain[:, 0], success):.1e}); "
            f"{accuracy.mean():.4f} {100 * change.mean():+.2f} ± {100 * error:.2f}; "
            f"{poison.mean():.2f} {all_rows.mean():.2f}"
        )


def bench_attack(n_tries=60):
    X, y, X_test, y_test, embed = problem()
    scale = embed(X).std()
    features, test = embed(X) / scale, embed(X_test) / scale
    clean = head().fit(features, y)
    print(
        "Bullseye polytope on a logistic head: features of a (256, 64) ReLU network "
        f"trained on 40,000 other rows; {N_POISON} of {N_ROWS} rows moved by at most "
        f"{RADIUS} a pixel; clean accuracy {clean.score(test, y_test):.4f}"
    )
    print(f"on clean rows {clean_cost(features, y, test, y_test)}")
    results, misses = [], []
    for seed, case in enumerate(attacks(X, y, X_test, y_test, embed, scale, n_tries)):
        misses.append(case[-1])
        results.append(judge(y, test, y_test, case, seed))
    print(f"misses of the target in feature space: median {np.median(misses):.3f}")
    print(f"All {len(results)} targets:")
    report(results)
    fooled = [result for result in results if result["none"][0]]
    print(f"The {len(fooled)} of them that succeed without a defense:")
    report(fooled)


def clean_cost(features, y, test, y_test):
    """Accuracy without poison, with and without EPIC."""
    epic = EPICFilter(medoid_fraction=0.2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FilterWarning)
        model = FilteredClassifier(epic, head()).fit(features, y)
    return (
        f"EPIC at 20 % drops {np.mean(~model.inlier_mask_):.3f} of all, "
        f"accuracy {model.score(test, y_test):.4f}"
    )
