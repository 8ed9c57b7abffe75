"""Evaluation of targeted attacks, and nets that train anew without what EPIC drops."""

import json

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

from skorch.callbacks import Callback, EpochScoring  # noqa: E402
from skorch.dataset import ValidSplit  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import TensorDataset  # noqa: E402

from skpoison import FilteredClassifier, SphereFilter  # noqa: E402
from skpoison.neural import (  # noqa: E402
    BullseyePolytopeAttack,
    EPICCallback,
    FeatureCollisionAttack,
    FilteredNetClassifier,
    RelearningClassifier,
    TriggerBackdoorAttack,
    evaluate_targeted,
)

N_FEATURES = 10


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def rows(n_rows=240, seed=0):
    """Three classes in [0, 1], near to one another."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n_rows)
    X = 0.5 + 0.12 * rng.normal(size=(n_rows, N_FEATURES))
    X[np.arange(n_rows), y] += 0.25
    return X.clip(0, 1).astype("float32"), y


@pytest.fixture
def data():
    return (*rows(), *rows(120, seed=1))


def extractor():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(N_FEATURES, 40), nn.Tanh())


def attack(**params):
    given = {"epsilon": 0.1, "radius": 1.0, "n_steps": 30}
    return BullseyePolytopeAttack(extractor(), **given | params)


def net(max_epochs=4, callbacks=None, **params):
    torch.manual_seed(0)
    return FilteredNetClassifier(
        nn.Linear(N_FEATURES, 3),
        lr=0.5,
        batch_size=16,
        max_epochs=max_epochs,
        callbacks=callbacks,
        train_split=None,
        verbose=0,
        **params,
    )


def logistic():
    return LogisticRegression(C=100.0, max_iter=2000)


EPIC = EPICCallback(0.3, warmup=2, every=1, min_class_rows=5)


class Oracle(BaseEstimator):
    """A filter that keeps the first rows, which are clean."""

    def __init__(self, n_clean=240):
        self.n_clean = n_clean

    def fit(self, X, y):
        return self

    def fit_predict(self, X, y):
        return np.where(np.arange(len(X)) < self.n_clean, 1, -1)


def test_poison_in_rows_is_learned_by_neighbors_and_an_oracle_stops_it(data):
    module = nn.Sequential(nn.Flatten())  # rows are their own features
    collision = FeatureCollisionAttack(
        module, epsilon=0.1, radius=1.0, beta=0.0, n_steps=30
    )
    results = evaluate_targeted(
        collision,
        {"oracle": Oracle()},
        KNeighborsClassifier(1),
        *data,
        n_targets=8,
        random_state=0,
    )
    assert results.success[:, 0].mean() == 1
    assert results.success[:, 1].sum() == 0
    assert np.all(results.poison_dropped == [0, 1])
    assert np.all(results.clean_dropped == 0)
    # Without the poison, the oracle's victim is the clean one.
    right = results.accuracy[:, 1] * 119 + 1
    assert right == pytest.approx(results.clean_accuracy * 120)


def test_rates_and_intervals_are_those_of_the_targets(data):
    results = evaluate_targeted(
        attack(), {"sphere": SphereFilter(60)}, logistic(), *data,
        n_targets=9, embedding=embedding(), random_state=0,
    )  # fmt: skip
    summary, chosen = results.summary, results.success[:, 0] == 1
    n = chosen.sum()
    assert 0 < n
    assert summary.success_all[1] == results.success[:, 1].mean()
    assert summary.success[0] == 1
    assert summary.success[1] == results.success[chosen, 1].mean()
    accuracy = results.accuracy[chosen, 1]
    assert summary.accuracy[1] == pytest.approx(accuracy.mean())
    # Wilson's interval, solved by hand: it holds every p that is less than 1.96
    # standard deviations from the rate.
    p = np.linspace(0, 1, 100001)
    rate = results.success[:, 0].mean()
    inside = p[np.abs(rate - p) <= 1.959964 * np.sqrt(p * (1 - p) / 9)]
    assert summary.success_all_low[0] == pytest.approx(inside.min(), abs=1e-4)
    assert summary.success_all_high[0] == pytest.approx(inside.max(), abs=1e-4)
    assert results.frame.loc["sphere", "accuracy"] == summary.accuracy[1]


def embedding():
    module = extractor()
    return lambda X: module(torch.as_tensor(X)).detach().numpy()


@pytest.mark.parametrize("replace", [False, True])
def test_an_embedding_is_what_the_victim_sees_of_all_rows(data, replace):
    embed, seen = embedding(), []

    class Look(Oracle):
        def fit_predict(self, X, y):
            seen.append(X)
            return np.ones(len(X))

    one = attack(replace=replace)
    results = evaluate_targeted(
        one, {"look": Look()}, LogisticRegression(), *data, targets=[3],
        intended_labels=[(data[3][3] + 1) % 3], embedding=embed, random_state=0,
    )  # fmt: skip
    rng = np.random.RandomState(0)
    rng.randint(2**31)
    told = clone(one).set_params(
        target=data[2][3],
        intended_label=results.intended_label[0],
        random_state=int(rng.randint(2**31, size=1)[0]),
    )
    X, _ = told.fit_resample(*data[:2])
    np.testing.assert_allclose(seen[0], embed(X), rtol=1e-5)


def test_callbacks_filters_and_classifiers_are_defenses(data):
    results = evaluate_targeted(
        attack(),
        {
            "callback": EPIC,
            "filter": SphereFilter(50),
            "classifier": FilteredClassifier(SphereFilter(50), net()),
            "relearning": RelearningClassifier(net(callbacks=[EPIC])),
        },
        net(),
        *data,
        n_targets=2,
        random_state=0,
    )
    assert results.defense.tolist() == [
        "none", "callback", "filter", "classifier", "relearning",
    ]  # fmt: skip
    dropped = results.clean_dropped
    assert np.all(dropped[:, 0] == 0)
    assert np.all(dropped[:, 1] > 0)
    assert np.all(dropped[:, 2] > 0.4)
    # A filter is the same in front of the net as it is around it.
    np.testing.assert_array_equal(dropped[:, 2], dropped[:, 3])
    np.testing.assert_array_equal(results.accuracy[:, 2], results.accuracy[:, 3])
    assert np.all(dropped[:, 4] < dropped[:, 1])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_results_follow_from_the_seed_in_any_number_of_jobs(data):
    arguments = attack(), {"epic": EPIC}, net(), *data
    before = torch.get_rng_state()
    first = evaluate_targeted(*arguments, n_targets=3, random_state=5)
    assert torch.equal(torch.get_rng_state(), before)
    # Forked workers need not import torch.
    with parallel_config(backend="multiprocessing"):
        second = evaluate_targeted(*arguments, n_targets=3, random_state=5, n_jobs=2)
    for name in ("target", "intended_label", "objective", "accuracy", "success"):
        np.testing.assert_array_equal(first[name], second[name])
    other = evaluate_targeted(*arguments, n_targets=3, random_state=6)
    assert not np.array_equal(first.target, other.target)


def test_targets_are_test_rows_that_a_clean_victim_has_right(data):
    results = evaluate_targeted(
        attack(n_steps=1), {}, LogisticRegression(), *data, n_targets=40, random_state=0
    )
    clean = LogisticRegression().fit(*data[:2])
    np.testing.assert_array_equal(
        clean.predict(data[2])[results.target], data[3][results.target]
    )
    assert len(set(results.target)) == 40
    assert np.all(results.intended_label != data[3][results.target])


def test_defenses_may_be_tried_on_successes_only(data):
    results = evaluate_targeted(
        attack(radius=0.3), {"sphere": SphereFilter(60)}, logistic(), *data,
        n_targets=12, embedding=embedding(), only_successful=True,
        random_state=0,
    )  # fmt: skip
    tried = results.success[:, 0] == 1
    assert 0 < tried.sum() < 12
    np.testing.assert_array_equal(np.isnan(results.success[:, 1]), ~tried)
    assert np.isnan(results.summary.success_all[1])
    assert not np.isnan(results.summary.success[1])


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"defense": SphereFilter()}, ValueError, "must be a dict"),
        ({"defense": {"none": SphereFilter()}}, ValueError, "'none' is the victim"),
        ({"defense": {"odd": 3}}, TypeError, "'odd' is 3"),
        ({"n_targets": 0}, ValueError, "n_targets must be a whole number"),
        ({"n_targets": 1000}, ValueError, "n_targets=1000 must be from 1 to"),
        ({"targets": [1, 2], "intended_labels": [0]}, ValueError, "as many"),
        ({"targets": []}, ValueError, "one at least"),
        ({"targets": [-1]}, ValueError, "targets must be positions in X_test"),
        ({"targets": [120]}, ValueError, "from 0 to 119"),
        ({"targets": [0.5]}, ValueError, "targets must be positions in X_test"),
        ({"targets": [[1, 2]]}, ValueError, "targets must be positions in X_test"),
        ({"intended_labels": [0] * 40, "n_targets": 40}, ValueError, "must differ"),
        ({"attack": TriggerBackdoorAttack()}, TypeError, "there is evaluate_backdoor"),
    ],
)
def test_bad_parameters_are_refused(data, params, error, message):
    given = {"attack": attack(), "defense": {}, "estimator": LogisticRegression()}
    names = ("X", "y", "X_test", "y_test")
    with pytest.raises(error, match=message):
        evaluate_targeted(**given | dict(zip(names, data, strict=True)) | params)


def test_targets_that_have_the_intended_label_are_refused_at_once(data):
    own = data[3][[3, 5]]
    intended = [(own[0] + 1) % 3, own[1]]
    with pytest.raises(
        ValueError, match=rf"targets \[5\] have the labels \[{own[1]}\]"
    ):
        evaluate_targeted(
            attack(), {}, None, *data, targets=[3, 5], intended_labels=intended
        )


# Training anew.


def relearner(**params):
    return RelearningClassifier(net(max_epochs=6, callbacks=[EPIC]), **params)


def fitted(model, X, y):
    torch.manual_seed(0)
    return model.fit(X, y)


def test_what_is_kept_adds_up(data):
    X, y = data[:2]
    model = fitted(relearner(), X, y)
    dropped = np.flatnonzero(model.filtering_net_.dropped_at_)
    back = model.readmitted_indices_
    assert 0 < len(back) < len(dropped)
    assert np.isin(back, dropped).all()
    stays_out = np.setdiff1d(dropped, back)
    np.testing.assert_array_equal(
        model.kept_indices_, np.setdiff1d(np.arange(240), stays_out)
    )
    np.testing.assert_array_equal(model.judge_.predict(X[back]), y[back])
    assert np.all(model.judge_.predict(X[stays_out]) != y[stays_out])
    assert len(model.net_.kept_indices_) == len(model.kept_indices_)


def test_without_readmission_what_epic_drops_stays_out(data):
    X, y = data[:2]
    model = fitted(relearner(readmit=False), X, y)
    first = model.filtering_net_
    np.testing.assert_array_equal(model.kept_indices_, first.kept_indices_)
    assert model.judge_ is None
    assert len(model.readmitted_indices_) == 0


def test_each_training_begins_at_the_beginning(data):
    X, y = data[:2]

    class Weights(Callback):
        seen = []

        def on_train_begin(self, net, **kwargs):
            self.seen.append(net.module_.weight.detach().clone())

    template = net(max_epochs=3, callbacks=[EPIC, ("weights", Weights())])
    RelearningClassifier(template).fit(X, y)
    assert len(Weights.seen) == 3
    for weight in Weights.seen:
        assert torch.equal(weight, template.module.weight)


def test_the_first_training_ends_with_the_last_round(data):
    X, y = data[:2]
    epic = EPICCallback(0.3, warmup=2, stop_after=3, min_class_rows=5)
    model = RelearningClassifier(net(max_epochs=9, callbacks=[epic])).fit(X, y)
    assert len(model.filtering_net_.history) == 4
    assert len(model.net_.history) == 9
    json.dumps(model.net_.history.to_list())


def test_other_callbacks_and_datasets_are_taken(data):
    X, y = data[:2]
    scoring = EpochScoring("accuracy", name="train_acc", on_train=True)
    template = net(callbacks=[("epic", EPIC), ("score", scoring)])
    model = fitted(RelearningClassifier(template), X, y)
    assert "train_acc" in model.net_.history[-1]
    dataset = TensorDataset(torch.tensor(X), torch.tensor(y))
    other = fitted(RelearningClassifier(template), dataset, None)
    np.testing.assert_array_equal(model.kept_indices_, other.kept_indices_)
    np.testing.assert_array_equal(model.predict(X), other.predict(X))


def test_rows_for_validation_are_never_dropped(data):
    X, y = data[:2]
    template = net(callbacks=[EPIC]).set_params(train_split=ValidSplit(4))
    model = fitted(RelearningClassifier(template, readmit=False), X, y)
    n_dropped = np.sum(model.filtering_net_.dropped_at_ > 0)
    assert n_dropped > 0
    assert len(model.kept_indices_) == 240 - n_dropped


def test_searches_reach_into_the_net(data):
    X, y = data[:2]
    search = GridSearchCV(relearner(), {"net__lr": [0.1, 0.5]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.5
    proba = search.predict_proba(data[2])
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert search.best_estimator_.classes_.tolist() == [0, 1, 2]


def test_nets_that_cannot_filter_are_refused(data):
    X, y = data[:2]
    with pytest.raises(TypeError, match="must be a FilteredNetClassifier"):
        RelearningClassifier(LogisticRegression()).fit(X, y)
    with pytest.raises(ValueError, match="must have an EPICCallback"):
        RelearningClassifier(net()).fit(X, y)
