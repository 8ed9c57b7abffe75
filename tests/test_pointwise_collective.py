"""Bounds on how many predictions change at once, against every choice of parts."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skpoison import PartitionedClassifier
from skpoison.pointwise import collective_bound


def fitted(n_classes, spread=1, n_partitions=7):
    X, y = make_blobs(
        120, centers=n_classes, n_features=4, cluster_std=6.0, random_state=1
    )
    model = PartitionedClassifier(GaussianNB(), n_partitions, spread=spread)
    return model.fit(X[:80], y[:80]), X, y


def most_changed(votes, n_classes, touched_sets, n_sets):
    """Count what changes where touched models say what is best against each row."""
    before, most = winners(votes, n_classes), 0
    for sets in combinations(touched_sets, n_sets):
        touched = sorted(set().union(*sets))
        changed = np.zeros(len(votes), dtype=bool)
        for label in range(n_classes):  # all of them for one rival is best
            attacked = votes.copy()
            attacked[:, touched] = label
            changed |= winners(attacked, n_classes) != before
        most = max(most, int(changed.sum()))
    return most


def winners(votes, n_classes):
    return np.array([(votes == c).sum(axis=1) for c in range(n_classes)]).argmax(0)


@pytest.mark.parametrize(
    ("n_classes", "spread", "attack"),
    [
        (2, 1, "insert_delete"),
        (3, 1, "flip"),
        (3, 2, "insert_delete"),
        (2, 1, "change"),
    ],
)
def test_bound_is_the_best_choice_of_parts(n_classes, spread, attack):
    model, X, _ = fitted(n_classes, spread, 7 // spread)
    _, votes = model._votes(X[80:])
    n_models = len(model.estimators_)
    members = model._members(model._y, model._digests)
    splits = [
        {j for j in range(n_models) if set(split) <= set(members[j])}
        for split in clone(model)
        .set_params(n_partitions=n_models, spread=1)
        .fit(X[:80], model._y)
        ._members(model._y, model._digests)
    ]
    assert {len(models) for models in splits} == {spread}
    for n_rows in (1, 2):
        found = collective_bound(model, X[80:], n_rows, attack=attack)
        n_sets = 2 * n_rows if attack == "change" else n_rows
        assert found.n_changed == most_changed(votes, n_classes, splits, n_sets)
        assert found.is_optimal
        assert found.n_changed <= found.n_changed_alone
    assert collective_bound(model, X[80:], 0, attack=attack).n_changed == 0


def test_without_time_the_bound_still_holds():
    model, X, _ = fitted(3)
    exact = collective_bound(model, X[80:], 2, attack="flip")
    hurried = collective_bound(model, X[80:], 2, attack="flip", time_limit=0.0)
    assert hurried.n_changed_found <= exact.n_changed <= hurried.n_changed
    assert hurried.n_changed_found > 0
    assert exact.n_changed < exact.n_changed_alone


def test_real_flips_change_no_more_than_the_bound():
    model, X, y = fitted(2)
    before = model.predict(X[80:])
    bound = collective_bound(model, X[80:], 2, attack="flip").n_changed
    rng = np.random.default_rng(0)
    for _ in range(30):
        flipped = y[:80].copy()
        flipped[rng.choice(80, 2, replace=False)] ^= 1
        after = clone(model).fit(X[:80], flipped).predict(X[80:])
        assert np.sum(after != before) <= bound


def test_what_cannot_be_bounded_together_is_refused():
    model, X, y = fitted(3)
    with pytest.raises(ValueError, match="n_rows must be a non-negative integer"):
        collective_bound(model, X, 1.5, attack="flip")
    with pytest.raises(TypeError, match="must be a PartitionedClassifier"):
        collective_bound(LogisticRegression(), X, 1, attack="flip")
    run_off = clone(model).set_params(aggregation="run_off").fit(X, y)
    with pytest.raises(ValueError, match="needs aggregation='vote'"):
        collective_bound(run_off, X, 1, attack="flip")
