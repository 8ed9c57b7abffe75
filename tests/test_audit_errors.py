"""Worst errors in the audit: those that the model is surest of, traced to rows."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.neighbors import KNeighborsClassifier
from test_audit_pointwise import PLAN

from skpoison import audit
from skpoison._audit.errors import traced_errors
from skpoison._audit.inputs import read_inputs
from skpoison._audit.plan import make_plan
from skpoison._audit.progress import Clock, Progress
from skpoison._audit.types import Errors, TracedError

NEAREST = KNeighborsClassifier(3)


def rows():
    """Two groups, and one row of the first among two that are labeled like the second.

    It is held out; the two are not, and few rows lie near by.
    """
    rng = np.random.default_rng(0)
    y = np.arange(300) % 2
    X = 0.3 * rng.normal(size=(300, 2)) + np.where(y, 2.0, -2.0)[:, np.newaxis]
    plan = make_plan(read_inputs(X, y), estimator=NEAREST, **PLAN)
    train, test = plan.folds[0]
    target = test[y[test] == 0][0]
    near = train[y[train] == 1][:2]
    X[target] = [-2.0, 0.0]
    X[near] = X[target] + 0.01
    return X, np.array(["ham", "spam"])[y], target, near


def traced(X, y, estimator=NEAREST, **changes):
    inputs = read_inputs(X, y)
    plan = make_plan(inputs, estimator=estimator, **PLAN)._replace(**changes)
    return traced_errors(inputs, plan, Progress()), plan


def test_the_worst_error_is_traced_to_rows_without_which_it_is_none():
    X, y, target, near = rows()
    outcome, plan = traced(X, y)
    found = outcome.found
    train, _ = plan.folds[0]
    assert set(found) == set(Errors.__annotations__)
    assert (found["n_train"], found["n_test"]) == (200, 100)
    assert found["n_wrong"] == 1 and found["max_removed"] == 2
    assert found["reason"] is None and outcome.left_out == []
    (one,) = found["worst"]
    assert set(one) == set(TracedError.__annotations__)
    assert (one["row"], one["label"], one["predicted"]) == (target + 1, "ham", "spam")
    # Numbers of rows in the data, from one.
    assert set(one["removed"]) <= {row + 1 for row in near}
    assert one["n_removed"] == len(one["removed"])
    kept = np.setdiff1d(train, np.array(one["removed"]) - 1)
    again = clone(NEAREST).fit(X[kept], y[kept])
    assert again.predict(X[[target]]) == ["ham"]


class Linear(ClassifierMixin, BaseEstimator):
    """A classifier whose probability is the first feature."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.column_stack([1 - X[:, 0], X[:, 0]])

    def predict(self, X):
        return self.classes_[(X[:, 0] > 0.5).astype(int)]


def test_those_that_the_model_is_surest_of_come_first():
    X = np.random.default_rng(0).random((150, 1))
    y = (X[:, 0] > 0.7).astype(int)
    outcome, plan = traced(X, y, Linear())
    test = plan.folds[0][1]
    wrong = test[(X[test, 0] > 0.5) & (y[test] == 0)]
    surest = wrong[np.argsort(-X[wrong, 0])][:3]
    assert [one["row"] - 1 for one in outcome.found["worst"]] == surest.tolist()
    # No row makes a difference to this model.
    assert {one["n_removed"] for one in outcome.found["worst"]} == {None}
    assert outcome.found["n_wrong"] == len(wrong) > 3


def test_the_budget_is_kept():
    X, y, *_ = rows()
    outcome, _ = traced(X, y, clock=Clock(1e-9))
    assert outcome.found["worst"] == []
    assert outcome.found["reason"] == "the budget of 1e-09 seconds"
    (left,) = outcome.left_out
    assert left == {"what": "traced errors", "reason": outcome.found["reason"]}


def test_a_model_without_errors_has_none_to_trace():
    X, y, target, _ = rows()
    X[target] = [-2.0, -2.0]
    outcome, _ = traced(X, y)
    assert outcome.found["n_wrong"] == 0 and outcome.found["worst"] == []


@pytest.fixture(scope="module")
def report():
    X, y, *_ = rows()
    settings = {k: v for k, v in PLAN.items() if k not in ("positive",)}
    return audit(X, y, estimator=NEAREST, **settings)


def test_the_page_shows_the_errors_and_the_rows(report):
    page = report._html()
    assert "Are few rows behind the worst errors?" in page
    (one,) = report.errors["worst"]
    what = "row" if one["n_removed"] == 1 else "rows"
    listed = ", ".join(map(str, one["removed"]))
    assert f"without the {what} {listed}.</p>" in page


def test_reasons_are_escaped(report):
    report.errors |= {"reason": "no <b>reason</b>", "worst": []}
    assert "Not traced: <bdi>no &lt;b&gt;reason" in report._html()
