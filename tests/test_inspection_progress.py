"""Progress of long fits, through scikit-learn's callbacks."""

import re

import numpy as np
import pytest
from sklearn.callback import ProgressBar
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV

from skpoison import CertifiedBound, NormConstrainedSVC, bound_curve


class Recorder:
    """Notes what scikit-learn tells callbacks."""

    def __init__(self):
        self.events = []

    def setup(self, estimator, context):
        self.events.append(("setup", context.task_name, None))

    def teardown(self, estimator, context):
        self.events.append(("teardown", context.task_name, None))

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", context.task_name, context.max_subtasks))

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        self.events.append(("end", context.task_name, metadata))

    def count(self, event, task):
        return sum(found[:2] == (event, task) for found in self.events)


class PropagatedRecorder(Recorder):
    """The same, for the fits within fits too."""

    max_propagation_depth = None


@pytest.fixture(scope="module")
def data():
    return make_blobs(200, centers=[[-1, 0], [1, 0]], random_state=0)


def long_fits():
    return [
        CertifiedBound(rho=1.0, random_state=0),
        NormConstrainedSVC(random_state=0),
    ]


@pytest.mark.parametrize("estimator", long_fits(), ids=["bound", "svc"])
def test_fits_report_every_check(estimator, data):
    recorder = Recorder()
    estimator.set_callbacks(recorder).fit(*data)
    names = [event[:2] for event in recorder.events]
    assert names[:2] == [("setup", "fit"), ("begin", "fit")]
    assert names[-2:] == [("end", "fit"), ("teardown", "fit")]
    checks = [found for _, task, found in recorder.events if task == "check"][1::2]
    assert checks
    if hasattr(estimator, "history_"):
        assert checks == estimator.history_


@pytest.mark.parametrize("recorder", [Recorder(), PropagatedRecorder()])
def test_a_curve_is_one_task_for_each_epsilon(recorder, data):
    bound = CertifiedBound(rho=1.0).set_callbacks(recorder)
    curve = bound_curve(bound, *data, [0.1, 0.0, 0.2])
    names = [event[:2] for event in recorder.events]
    assert names[:2] == [("setup", "bound_curve"), ("begin", "bound_curve")]
    assert names[-2:] == [("end", "bound_curve"), ("teardown", "bound_curve")]
    assert recorder.events[1][2] == 3
    propagated = isinstance(recorder, PropagatedRecorder)
    assert recorder.count("begin", "bound") == (0 if propagated else 3)
    # A fit within the walk stands for its task of the walk.
    assert recorder.count("begin", "fit") == (3 if propagated else 0)
    n_checks = sum(len(fitted.history_) for fitted in curve.estimators)
    assert recorder.count("end", "check") == (n_checks if propagated else 0)
    left_behind = {name for fitted in curve.estimators for name in vars(fitted)}
    assert not any("callback" in name for name in left_behind)
    assert bound._skl_callbacks == [recorder]


def test_callbacks_change_no_result(data):
    plain = bound_curve(CertifiedBound(rho=1.0), *data, [0.0, 0.1])
    told = CertifiedBound(rho=1.0).set_callbacks(PropagatedRecorder())
    watched = bound_curve(told, *data, [0.0, 0.1])
    for name in ("upper_bound", "lower_bound", "attack_loss", "n_iter"):
        np.testing.assert_array_equal(plain[name], watched[name])


def test_failing_fits_tear_callbacks_down(data):
    recorder = Recorder()
    bound = CertifiedBound(rho=1.0).set_callbacks(recorder)
    with pytest.raises(ValueError, match="two classes"):
        bound.fit(data[0], np.zeros(200))
    with pytest.raises(ValueError, match="two classes"):
        bound_curve(bound, data[0], np.zeros(200), [0.1])
    for task in ("fit", "bound_curve"):
        assert recorder.count("setup", task) == recorder.count("teardown", task) == 1


def test_progress_bars_are_shown_where_asked_for_only(data, capsys):
    bound = CertifiedBound(rho=1.0)
    bound_curve(bound, *data, [0.0, 0.1])
    assert capsys.readouterr() == ("", "")
    bound_curve(bound.set_callbacks(ProgressBar()), *data, [0.0, 0.1])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert re.search(r"CertifiedBound - bound_curve .*100%", lines[0])
    assert all(re.search(r"fit #\d .*100%", line) for line in lines[1:])


def test_bars_of_a_search_reach_the_bounds(data, capsys):
    search = GridSearchCV(CertifiedBound(rho=1.0), {"epsilon": [0.0, 0.1]}, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(*data)
    assert "CertifiedBound - fit" in capsys.readouterr().out
