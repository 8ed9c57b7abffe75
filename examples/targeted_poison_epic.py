"""Targeted poison, and EPIC against it
====================================

Measure how often targeted attacks succeed with and without EPIC.

The attacker wants one test row to be classified as a class of their choice. They add
twenty training rows of that class, with plausible labels but moved close to the target,
as a clean-label attack on the features of a network does. Fifteen such attacks on
slightly overlapping clusters, each against three ways to train.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from skpoison import EPICFilter

X, y = make_blobs(
    3000, 20, centers=10, cluster_std=2.5, center_box=(-4, 4), random_state=0
)
X /= X.std()
X_train, y_train, X_test, y_test = X[:2000], y[:2000], X[2000:], y[2000:]


def train(X, y):
    return LogisticRegression(max_iter=500).fit(X, y)


def poisoned(target, wanted):
    """Training rows, with poison at the end."""
    bases = X_train[y_train == wanted][:20]
    poison = target + 0.2 * (bases - bases.mean(axis=0))
    return (
        np.concatenate([X_train, poison]),
        np.concatenate([y_train, np.full(len(poison), wanted)]),
    )


def attack(row, rng):
    """Return success, accuracy and share of dropped rows for each way to train."""
    wanted = rng.choice(np.setdiff1d(np.arange(10), y_test[row]))
    X, y = poisoned(X_test[row], wanted)
    epic = EPICFilter(medoid_fraction=0.2, random_state=0)
    kept = epic.fit_predict(X, y) == 1
    ways = {
        "everything": np.ones(len(y), dtype=bool),
        "what EPIC keeps": kept,
        "as many random rows": rng.permutation(kept),
    }
    outcome = {}
    for name, rows in ways.items():
        model = train(X[rows], y[rows])
        success = model.predict(X_test[[row]])[0] == wanted
        outcome[name] = success, model.score(X_test, y_test), np.mean(~rows)
    return outcome


rng = np.random.default_rng(0)
right = np.flatnonzero(train(X_train, y_train).predict(X_test) == y_test)
outcomes = [attack(row, rng) for row in rng.choice(right, 15, replace=False)]
for name in outcomes[0]:
    success, accuracy, dropped = np.mean([o[name] for o in outcomes], axis=0)
    print(
        f"Trained on {name:20}: {success:4.0%} of the attacks succeed, "
        f"accuracy {accuracy:.3f}, {dropped:.0%} of the rows dropped"
    )

means = np.mean([[o[name] for name in outcomes[0]] for o in outcomes], axis=0)
_, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for i, figure_name in enumerate(["attacks that succeed", "accuracy", "rows dropped"]):
    ax.bar(np.arange(len(means)) + 0.27 * i, means[:, i], 0.27, label=figure_name)
ax.set_xticks(np.arange(len(means)) + 0.27, outcomes[0])
ax.set(xlabel="trained on", ylabel="share")
ax.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
plt.show()
