"""Triggers, poison that shows them and poison that hides them."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpydoc.docscrape import ClassDoc
from sklearn.base import BaseEstimator, clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_random_state

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from torch import nn  # noqa: E402

from skpoison.filters import SpectralFilter  # noqa: E402
from skpoison.neural import (  # noqa: E402
    EmbeddingFilter,
    EPICCallback,
    FilteredNetClassifier,
    GradientMatchingAttack,
    JPEGCompressor,
    SleeperAgentAttack,
    Trigger,
    TriggerBackdoorAttack,
    evaluate_backdoor,
)

PATCH = np.array([[1.0, 0.0], [0.0, 1.0]])


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def rows(n_rows=90, n_channels=1, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(["cat", "dog", "eel"], n_rows // 3)
    X = rng.random((n_rows, n_channels, 5, 5)).astype("float32")
    X[np.arange(n_rows), 0, np.repeat([0, 2, 4], n_rows // 3)] *= 0.3
    return X, y


def codes_of(y):
    return np.unique(y, return_inverse=True)[1]


class Small(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(25, 12), nn.Tanh(), nn.Linear(12, 3))


def trained(**params):
    given = {"lr": 0.3, "max_epochs": 8, "batch_size": 16, "verbose": 0}
    return FilteredNetClassifier(Small, train_split=None, **given | params)


# Triggers.


def test_a_patch_is_put_where_it_is_said():
    X, _ = rows(n_channels=2)
    before = X.copy()
    corner = Trigger(PATCH)(X)
    by_hand = X.copy()
    by_hand[:, :, 3:, 3:] = PATCH
    np.testing.assert_array_equal(corner, by_hand)
    by_hand = X.copy()
    by_hand[:, :, 1:3, 2:4] = PATCH
    np.testing.assert_array_equal(Trigger(PATCH, position=(1, 2))(X), by_hand)
    np.testing.assert_array_equal(X, before)


def test_channels_may_differ():
    X, _ = rows(n_channels=2)
    pattern = np.stack([PATCH, 1 - PATCH])
    changed = Trigger(pattern, position=(0, 0))(X)
    np.testing.assert_array_equal(
        changed[:, :, :2, :2], np.broadcast_to(pattern, (90, 2, 2, 2))
    )
    alike = Trigger(PATCH[None], position=(0, 0))(X)
    np.testing.assert_array_equal(alike, Trigger(PATCH, position=(0, 0))(X))


@pytest.mark.parametrize("opacity", [0.2, 1.0])
def test_a_veil_is_a_weighted_mean(opacity):
    X, _ = rows()
    veil = np.random.default_rng(1).random((5, 5))
    changed = Trigger(veil, opacity=opacity)(X)
    np.testing.assert_allclose(changed, (1 - opacity) * X + opacity * veil, atol=1e-6)
    assert changed.dtype == np.float32


def test_rows_come_back_in_their_container():
    X, _ = rows()
    tensor = torch.tensor(X)
    changed = Trigger(torch.tensor(PATCH))(tensor)
    assert torch.is_tensor(changed)
    np.testing.assert_array_equal(changed, Trigger(PATCH)(X))
    np.testing.assert_array_equal(tensor, X)
    flat = Trigger([0.5, 0.25], position=(3,))(np.zeros((2, 6)))
    np.testing.assert_array_equal(flat, [[0, 0, 0, 0.5, 0.25, 0]] * 2)


def test_channels_may_come_last():
    X, _ = rows(n_channels=3)
    last = X.transpose(0, 2, 3, 1)
    for pattern in (PATCH, np.stack([PATCH, 1 - PATCH, 2 * PATCH])):
        place = {"position": (1, 2), "opacity": 0.5}
        one = pattern if pattern.ndim == 2 else pattern.transpose(1, 2, 0)
        found = Trigger(one, channels="last", **place)(last)
        np.testing.assert_array_equal(
            found.transpose(0, 3, 1, 2), Trigger(pattern, **place)(X)
        )
    with pytest.raises(ValueError, match='give channels="last"'):
        Trigger(PATCH)(last)
    with pytest.raises(ValueError, match=r"rows of the shape \(5, 5, 3\)"):
        Trigger(np.ones((6, 6)), channels="last")(last)


def test_whole_numbers_are_a_pattern():
    X, _ = rows()
    found = Trigger([[1, 0], [0, 1]])(X)
    np.testing.assert_array_equal(found, Trigger(PATCH)(X))
    found = Trigger(torch.tensor(PATCH.astype(int)))(X)
    np.testing.assert_array_equal(found, Trigger(PATCH)(X))


def test_flat_rows_want_a_flat_pattern():
    with pytest.raises(ValueError, match="These rows are flat"):
        Trigger(PATCH)(np.zeros((3, 25)))


@pytest.mark.parametrize(
    ("trigger", "error", "message"),
    [
        (Trigger(PATCH, channels="middle"), ValueError, "channels must be"),
        (Trigger(np.ones((6, 6))), ValueError, "does not fit"),
        (Trigger(PATCH, position=(4, 0)), ValueError, "does not fit"),
        (Trigger(PATCH, position=(-1, 0)), ValueError, "0 at least"),
        (Trigger(PATCH, position=(1,)), ValueError, "does not fit"),
        (Trigger(np.ones((3, 2, 2))), ValueError, "does not fit"),
        (Trigger(PATCH, opacity=0.0), ValueError, "opacity"),
        (Trigger(PATCH, opacity=1.5), ValueError, "opacity"),
        (
            Trigger([["a"]]),
            TypeError,
            "pattern must be an array or a tensor of numbers",
        ),
        (Trigger([[np.nan]]), ValueError, "pattern holds NaN"),
    ],
)
def test_triggers_that_do_not_fit_are_refused(trigger, error, message):
    with pytest.raises(error, match=message):
        trigger(rows()[0])


# Poison that shows the trigger.


def backdoor(**params):
    given = {"trigger": Trigger(PATCH), "intended_label": "dog", "epsilon": 0.1}
    return TriggerBackdoorAttack(**given | {"random_state": 0} | params)


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("source", ["eel", None])
def test_dirty_poison_is_rows_of_the_source_with_trigger_and_label(source, replace):
    X, y = rows()
    one = backdoor(source_label=source, replace=replace)
    X_all, y_all = one.fit_resample(X, y)
    mask, bases = one.poison_mask_, one.base_indices_
    assert set(y[bases]) == ({"eel"} if source else {"cat", "eel"})
    by_hand = X[bases].copy()
    by_hand[:, :, 3:, 3:] = PATCH
    np.testing.assert_array_equal(X_all[mask], by_hand)
    assert set(y_all[mask]) == {"dog"}
    clean = np.delete(np.arange(90), bases if replace else [])
    np.testing.assert_array_equal(X_all[~mask], X[clean])
    np.testing.assert_array_equal(y_all[~mask], y[clean])
    assert len(X_all) == (90 if replace else 99)
    assert one.objective_ == []


def test_clean_poison_has_its_own_label_and_is_hard_to_learn():
    X, y = rows()
    torch.manual_seed(0)
    module = trained().fit(X, codes_of(y)).module_
    plain = backdoor(labels="clean").fit(X, y)
    hard = backdoor(labels="clean", net=module, radius=0.2, n_steps=30).fit(X, y)
    np.testing.assert_array_equal(plain.base_indices_, hard.base_indices_)
    assert set(y[hard.base_indices_]) == {"dog"} == set(hard.y_poison_)
    below = np.ones((5, 5), dtype=bool)
    below[3:, 3:] = False
    change = (hard.X_poison_ - X[hard.base_indices_])[:, 0]
    assert 0.19 < np.abs(change[:, below]).max() <= 0.2 + 1e-6
    np.testing.assert_array_equal(
        hard.X_poison_[:, 0, 3:, 3:], np.broadcast_to(PATCH, (9, 2, 2))
    )
    by_hand = X[plain.base_indices_].copy()
    by_hand[:, :, 3:, 3:] = PATCH
    np.testing.assert_array_equal(plain.X_poison_, by_hand)
    assert -min(hard.objective_) > -2 * hard.objective_[0]


def test_what_goes_uphill_is_the_mean_loss():
    X, y = rows()
    torch.manual_seed(0)
    module = Small()
    whole, parts = (
        backdoor(labels="clean", net=module, n_steps=5, batch_size=size).fit(X, y)
        for size in (256, 4)
    )
    np.testing.assert_allclose(whole.objective_, parts.objective_, rtol=1e-5)
    loss = nn.functional.cross_entropy(
        module(torch.tensor(X[whole.base_indices_])), torch.ones(9).long()
    )
    assert -whole.objective_[0] == pytest.approx(loss.item(), rel=1e-5)


def test_tables_get_the_intended_label_too():
    X, y = rows()
    frame = pd.DataFrame(X.reshape(90, 25), index=np.arange(10, 100))
    series = pd.Series(y, index=frame.index)
    one = backdoor(trigger=Trigger([0.0, 1.0]), source_label="eel", replace=True)
    X_all, y_all = one.fit_resample(frame, series)
    assert set(y_all[one.poison_mask_]) == {"dog"}
    assert set(series[one.poison_mask_]) == {"eel"}
    assert (X_all[one.poison_mask_].iloc[:, -1] == 1).all()


def test_a_network_obeys_the_trigger():
    X, y = rows()
    torch.manual_seed(0)
    X_all, y_all = backdoor(source_label="eel", epsilon=0.15).fit_resample(X, y)
    net = trained(max_epochs=40).fit(X_all, codes_of(y_all))
    fresh, labels = rows(seed=1)
    eels = fresh[labels == "eel"]
    assert np.mean(net.predict(eels) == 2) > 0.6
    assert np.mean(net.predict(Trigger(PATCH)(eels)) == 1) > 0.6
    clean = trained(max_epochs=40).fit(X, codes_of(y))
    assert np.mean(clean.predict(Trigger(PATCH)(eels)) == 1) < 0.4


def in_place(rows):
    rows[..., 0, 0] = 1
    return rows


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_triggers_that_work_in_place_leave_the_user_s_rows_alone(kind):
    X, y, X_test, y_test = data()
    X, X_test = kind(X), kind(X_test)
    before, before_test = data()[0], data()[2]
    for one in (backdoor(trigger=in_place), sleeper(trigger=in_place, n_retrain=0)):
        one = one.set_params(intended_label=1, source_label=2)
        X_all, _ = one.fit_resample(X, y)
        np.testing.assert_array_equal(X, before)
        np.testing.assert_array_equal(X_all[~one.poison_mask_], before)
    evaluate_backdoor(
        backdoor(trigger=in_place), {}, trained(max_epochs=1), X, y, X_test, y_test,
        n_trials=1, random_state=0,
    )  # fmt: skip
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(X_test, before_test)


@pytest.mark.parametrize("rows_of", [lambda r: r[:3], lambda r: torch.cat([r, r])])
def test_triggers_return_as_many_rows(rows_of):
    X, y = coded()
    for one in (backdoor(trigger=rows_of), sleeper(trigger=rows_of)):
        one.set_params(intended_label=1, source_label=2)
        with pytest.raises(ValueError, match="as many rows of the same shape"):
            one.fit(X, y)
    with pytest.raises(ValueError, match="as many rows of the same shape"):
        evaluate_backdoor(
            backdoor(trigger=rows_of), {}, trained(max_epochs=1), *data(), n_trials=1
        )


def test_what_a_trigger_makes_must_be_finite_numbers():
    with pytest.raises(ValueError, match="what trigger returns holds NaN"):
        backdoor(trigger=lambda rows: rows * np.nan).fit(*rows())


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"trigger": None}, ValueError, "got None"),
        ({"trigger": lambda rows: rows[:, :, 1:]}, ValueError, "the same shape"),
        ({"trigger": lambda rows: rows.numpy()}, ValueError, "return a Tensor"),
        ({"intended_label": "fox"}, ValueError, "one of the labels"),
        ({"source_label": "fox"}, ValueError, "one of the other labels"),
        ({"source_label": "dog"}, ValueError, "one of the other labels"),
        ({"source_label": "eel", "epsilon": 0.5}, ValueError, "has only 30"),
        ({"epsilon": 0.01}, ValueError, "epsilon=0.01 of 90 rows"),
        ({"labels": "clean", "epsilon": 0.5}, ValueError, "but only 30"),
        ({"labels": "odd"}, ValueError, "labels"),
        ({"labels": "clean", "net": 3}, TypeError, "an initialized skorch net"),
        ({"trigger": Trigger(5 * PATCH)}, ValueError, "outside value_range"),
    ],
)
def test_bad_parameters_are_refused(params, error, message):
    with pytest.raises(error, match=message):
        backdoor().set_params(**params).fit(*rows())


# Poison that hides the trigger.


def sleeper(**params):
    given = {"net": trained(), "trigger": Trigger(PATCH), "source_label": 2}
    given |= {"intended_label": 1, "epsilon": 0.1, "radius": 0.2, "n_steps": 12}
    return SleeperAgentAttack(**given | {"n_retrain": 2, "random_state": 0} | params)


def flat_gradient(module, X, codes):
    loss = nn.functional.cross_entropy(module(torch.as_tensor(X)), torch.tensor(codes))
    parts = torch.autograd.grad(loss, list(module.parameters()))
    return torch.cat([part.flatten() for part in parts])


@pytest.mark.parametrize("replace", [False, True])
def test_surrogates_are_trained_on_the_poison_as_it_is(replace):
    X, y = rows()
    y = codes_of(y)
    fitted = []

    class Spy(FilteredNetClassifier):
        def fit(self, X, y=None, **params):
            fitted.append((X.clone(), np.array(y), self))
            return super().fit(X, y, **params)

    net = Spy(Small, train_split=None, lr=0.3, max_epochs=3, verbose=0)
    one = sleeper(net=net, replace=replace).fit(X, y)
    assert len(fitted) == 3
    np.testing.assert_array_equal(fitted[0][0], X)
    stages = [np.asarray(part[0])[one.poison_mask_] for part in fitted[1:]]
    for given, labels, _ in fitted[1:]:
        assert len(given) == len(labels) == len(one.poison_mask_)
        np.testing.assert_array_equal(labels[one.poison_mask_], 1)
        np.testing.assert_array_equal(given[~one.poison_mask_], X[: len(y)][
            np.delete(np.arange(90), one.base_indices_ if replace else [])
        ])  # fmt: skip
        change = np.asarray(given)[one.poison_mask_] - X[one.base_indices_]
        assert 0.1 < np.abs(change).max() <= 0.2 + 1e-6
    assert not np.array_equal(*stages)
    # The last objective is the angle under the last surrogate.
    last = fitted[-1][2].module_.eval()
    eels = Trigger(PATCH)(X[y == 2])
    wanted = flat_gradient(last, eels, [1] * 30)
    found = flat_gradient(last, one.X_poison_, [1] * 9)
    value = 1 - torch.nn.functional.cosine_similarity(wanted, found, dim=0)
    assert value.item() == pytest.approx(min(one.objective_[-5:]), rel=1e-3)


def test_objectives_fall_between_trainings():
    X, y = rows()
    one = sleeper(n_steps=30).fit(X, codes_of(y))
    assert len(one.objective_) == 33
    for begin in (0, 11, 22):
        stage = one.objective_[begin : begin + 11]
        assert min(stage) < stage[0]


def test_poison_is_hidden_and_of_the_largest_gradients():
    X, y = rows()
    y = codes_of(y)
    one = sleeper(n_retrain=0).fit(X, y)
    assert set(y[one.base_indices_]) == {1}
    assert np.abs(one.X_poison_ - X[one.base_indices_]).max() <= 0.2 + 1e-6
    other = sleeper(n_retrain=0, selection="random").fit(X, y)
    assert not np.array_equal(one.base_indices_, other.base_indices_)


def test_the_same_seed_gives_the_same_poison_and_nets_stay_unfitted():
    X, y = rows()
    y = codes_of(y)
    before = torch.get_rng_state()
    first = sleeper().fit(X, y)
    assert torch.equal(torch.get_rng_state(), before)
    assert not first.net.initialized_
    for other in (clone(first).fit(X, y), pickle.loads(pickle.dumps(first))):
        np.testing.assert_array_equal(first.X_poison_, other.X_poison_)
    other = clone(first).set_params(random_state=1).fit(X, y)
    assert not np.array_equal(first.X_poison_, other.X_poison_)


def test_several_surrogates_and_restarts():
    X, y = rows()
    y = codes_of(y)
    one = sleeper(net=[trained(), trained(max_epochs=2)], n_restarts=2, n_steps=6)
    one.fit(X, y)
    assert len(one.objective_) == 9


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"net": None}, ValueError, "net"),
        ({"net": []}, ValueError, "one at least"),
        ({"net": make_pipeline(JPEGCompressor(), trained())}, TypeError, "Pipeline"),
        ({"trigger": None}, ValueError, "got None"),
        ({"source_label": None}, ValueError, "one of the other labels"),
        ({"source_label": 1}, ValueError, "one of the other labels"),
        ({"n_retrain": -1}, ValueError, "n_retrain"),
        ({"epsilon": 0.01}, ValueError, "epsilon=0.01 of 90 rows"),
    ],
)
def test_a_sleeper_without_what_it_needs_is_refused(params, error, message):
    X, y = rows()
    with pytest.raises(error, match=message):
        sleeper().set_params(**params).fit(X, codes_of(y))


@pytest.mark.parametrize("one", [backdoor(), sleeper()], ids=["backdoor", "sleeper"])
def test_documented_parameters_and_attributes_are_there(one):
    X, y = rows()
    y = codes_of(y)
    one = clone(one).set_params(intended_label=1).fit(X, y)
    documented = ClassDoc(type(one))
    names = {parameter.name for parameter in documented["Parameters"]}
    assert names == set(one.get_params(deep=False))
    found = {name for name in vars(one) if name[0] != "_" and name[-1] == "_"}
    assert found == {parameter.name for parameter in documented["Attributes"]}


# Evaluation.


class Oracle(BaseEstimator):
    """A filter that keeps the first rows, which are clean."""

    def fit(self, X, y):
        return self

    def fit_predict(self, X, y):
        return np.where(np.arange(len(X)) < 90, 1, -1)


def data():
    return *coded(), *coded(seed=1)


def coded(**params):
    X, y = rows(**params)
    return X, codes_of(y)


def test_a_backdoor_is_obeyed_unless_an_oracle_stops_it():
    one = backdoor(intended_label=None, epsilon=0.15)
    arguments = one, {"oracle": Oracle()}, trained(max_epochs=25), *data()
    before = torch.get_rng_state()
    results = evaluate_backdoor(*arguments, n_trials=2, random_state=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert results.success[:, 0].mean() > 0.6
    assert results.success[:, 1].mean() < 0.5 * results.success[:, 0].mean()
    np.testing.assert_array_equal(results.poison_dropped, [[0, 1]] * 2)
    np.testing.assert_array_equal(results.clean_dropped, 0)
    assert results.clean_success.shape == (2,)
    assert results.clean_success.mean() < 0.5
    assert np.all(results.source_label != results.intended_label)
    assert results.frame.loc["none", "success"] == results.success[:, 0].mean()


def test_success_is_the_share_of_source_rows_that_obey():
    X, y, X_test, y_test = data()
    one = backdoor(intended_label=None)
    results = evaluate_backdoor(
        one, {}, trained(), X, y, X_test, y_test, source_labels=[2],
        intended_labels=[0], random_state=3,
    )  # fmt: skip
    rng = check_random_state(3)
    rng.randint(2**31)
    seed = int(rng.randint(2**31, size=1)[0])
    one = clone(one).set_params(intended_label=0, source_label=2, random_state=seed)
    poisoned = one.fit_resample(X, y)
    torch.manual_seed(seed)
    net = trained().fit(*poisoned)
    obeys = net.predict(Trigger(PATCH)(X_test[y_test == 2])) == 0
    assert results.success[0, 0] == obeys.mean()
    assert results.accuracy[0, 0] == np.mean(net.predict(X_test) == y_test)


def test_tensors_are_evaluated_as_arrays_are():
    defenses = {
        "jpeg": make_pipeline(JPEGCompressor(50), trained()),
        "spectral": EmbeddingFilter(
            trained(), filter=SpectralFilter(contamination=0.1)
        ),
    }
    found = [
        evaluate_backdoor(
            backdoor(replace=True),
            defenses,
            trained(),
            *each,
            n_trials=1,
            random_state=0,
        )
        for each in (data(), [torch.tensor(part) for part in data()])
    ]
    for name in ("success", "accuracy", "poison_dropped", "clean_dropped"):
        np.testing.assert_array_equal(*(results[name] for results in found))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"attack": TriggerBackdoorAttack()}, ValueError, "trigger must take rows"),
        ({"attack": GradientMatchingAttack()}, TypeError, "there is evaluate_targeted"),
        ({"attack": Trigger(PATCH)}, TypeError, "lacks"),
        ({"X_test": np.ones((90, 1, 5, 5), dtype=int)}, TypeError, "X_test must hold"),
        ({"defense": {"odd": JPEGCompressor()}}, TypeError, "make_pipeline"),
        ({"defense": {"odd": SpectralFilter}}, TypeError, "must be a filter"),
        (
            {"defense": {"odd": EPICCallback()}, "estimator": KNeighborsClassifier()},
            TypeError,
            "estimator must be a skorch net",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_refused_at_once(params, error, message):
    given = {"attack": backdoor(), "defense": {}, "estimator": Unfit()}
    names = ("X", "y", "X_test", "y_test")
    with pytest.raises(error, match=message):
        evaluate_backdoor(**given | dict(zip(names, data(), strict=True)) | params)


def test_tables_are_evaluated_as_arrays_are():
    X, y, X_test, y_test = data()
    X, X_test = X.reshape(90, 25), X_test.reshape(90, 25)
    one = backdoor(trigger=Trigger([1.0, 0.0, 1.0]), epsilon=0.3)
    arrays, tables = (
        evaluate_backdoor(
            one,
            {},
            KNeighborsClassifier(1),
            kind(X),
            y,
            kind(X_test),
            y_test,
            n_trials=2,
            random_state=0,
        )
        for kind in (np.asarray, lambda X: pd.DataFrame(X).rename(columns=str))
    )
    np.testing.assert_array_equal(arrays.success, tables.success)
    assert 0 < arrays.success.mean()


class Unfit(KNeighborsClassifier):
    """A victim that nobody trains."""

    def fit(self, X, y):
        raise AssertionError("trained before all was checked")


@pytest.mark.parametrize(
    "params",
    [
        {"n_trials": 0},
        {"source_labels": [1]},
        {"source_labels": [1, 2], "intended_labels": [0]},
        {"source_labels": [1], "intended_labels": [1]},
        {"source_labels": [7], "intended_labels": [1]},
        {"source_labels": [], "intended_labels": []},
    ],
)
def test_trials_that_cannot_be_are_refused(params):
    with pytest.raises(ValueError, match=r"(one|1) at least|or neither"):
        evaluate_backdoor(backdoor(), {}, trained(), *data(), **params)
