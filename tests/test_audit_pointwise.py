"""Certified predictions in the audit: the model, fitted in parts."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_blobs
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB

from skpoison import PartitionedClassifier, SphereFilter, audit, certified_radius
from skpoison._audit.inputs import read_inputs
from skpoison._audit.plan import make_plan
from skpoison._audit.pointwise import predictions
from skpoison._audit.progress import Progress
from skpoison._audit.types import Predictions
from skpoison.attacks import LabelFlipAttack
from skpoison.pointwise import certified_accuracy

SETTINGS = {
    "percentiles": [90],
    "epsilons": [0.1],
    "filters": {"ball": SphereFilter(90)},
    "attacks": {"flips": LabelFlipAttack(strategy="random")},
    "moving_seconds": 0,
    "top": 5,
}
PLAN = SETTINGS | {
    "reference": 0.1,
    "positive": None,
    "cv": 3,
    "random_state": 0,
    "memory": None,
    "n_jobs": None,
    "max_rows": 5000,
}


class Stubborn(ClassifierMixin, BaseEstimator):
    """A classifier that wants more rows than a part has."""

    def fit(self, X, y):
        if len(y) < 50:
            raise ValueError("I want 50 rows.")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[0], len(X))


@pytest.fixture
def rows():
    X, y = make_blobs(240, centers=[[-1, 0], [1, 0], [0, 3]], random_state=0)
    return X, np.array(["a", "b", "c"])[y]


def certified(X, y, estimator):
    inputs = read_inputs(X, y)
    plan = make_plan(inputs, estimator=estimator, **PLAN)
    return predictions(inputs, plan, Progress())


def test_shares_are_those_of_the_classifier_in_parts(rows):
    X, y = rows
    found = certified(X, y, GaussianNB()).found
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    train, test = next(folds.split(X, y))
    assert (found["n_train"], found["n_test"]) == (len(train), len(test)) == (160, 80)
    assert set(found) == set(Predictions.__annotations__)
    model = PartitionedClassifier(GaussianNB(), found["n_parts"]).fit(
        X[train], y[train]
    )
    radii = certified_radius(model, X[test], attack="insert_delete")
    predicted = model.predict(X[test])
    assert found["n_parts"] == 8 and radii.max() >= 2
    assert [one["n_rows"] for one in found["curve"]] == [
        n for n in (0, 1, 2, 5) if n <= radii.max()
    ]
    for one in found["curve"]:
        for key, balanced in (
            ("certified_accuracy", False),
            ("balanced_certified_accuracy", True),
        ):
            share = certified_accuracy(
                radii, y[test], predicted, one["n_rows"], balanced=balanced
            )
            assert one[key] == share
    assert found["accuracy"] == np.mean(predicted == y[test])
    withstand = np.where(predicted == y[test], radii, 0)
    assert found["median_radius"] == np.median(withstand)


def test_a_model_that_wants_more_rows_is_left_out_with_its_reason(rows):
    outcome = certified(*rows, Stubborn())
    assert outcome.found["curve"] == [] and outcome.found["accuracy"] is None
    assert "cannot be fitted on any part: I want 50 rows." in outcome.found["reason"]
    assert outcome.left_out == [
        {"what": "single predictions", "reason": outcome.found["reason"]}
    ]


def test_the_page_has_the_table_or_the_reason(rows):
    X, y = rows
    report = audit(X, y, estimator=GaussianNB(), **SETTINGS)
    page = report._html()
    assert "Can single predictions be changed?" in page
    assert "rows inserted or deleted" in page
    report.predictions |= {"reason": "no <b>reason</b>", "curve": []}
    page = report._html()
    assert "Not computed: <bdi>no &lt;b&gt;reason&lt;/b&gt;</bdi>" in page
    assert "rows inserted or deleted" not in page
