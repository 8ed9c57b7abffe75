"""Attacks in transfer learning: what is allowed, what is lowered, what is refused."""

import pickle
import pydoc
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpydoc.docscrape import ClassDoc
from scipy.optimize import minimize
from sklearn.base import clone

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from torch import nn  # noqa: E402
from torch.utils.data import TensorDataset  # noqa: E402

import skpoison.neural  # noqa: E402
from skpoison.neural import (  # noqa: E402
    BullseyePolytopeAttack,
    ConvexPolytopeAttack,
    FeatureCollisionAttack,
    LayerFeatures,
    _shared_docs,
)
from skpoison.neural._allowed import AllowedRows  # noqa: E402
from skpoison.neural._polytopes import onto_simplex, simplex_weights  # noqa: E402

ATTACKS = [BullseyePolytopeAttack, ConvexPolytopeAttack, FeatureCollisionAttack]
each_attack = pytest.mark.parametrize("kind", ATTACKS)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def rows(shape=(1, 6, 6), n_rows=60, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(["cat", "dog", "eel"], n_rows // 3)
    return rng.random((n_rows, *shape)).astype("float32"), y


def extractor(n_inputs=36, n_features=20, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, n_features), nn.Tanh())


def attack(kind, X, **params):
    given = {"epsilon": 0.1, "radius": 0.2, "n_steps": 15, "random_state": 0}
    return kind(extractor(), X[0], "dog", **given | params)


# Where poison may go.


def allowed_of(norm, seed, n_values=12, radius=0.4):
    rng = np.random.default_rng(seed)
    bases = torch.tensor(rng.random((3, n_values)))
    low, high = torch.tensor(0.0).double(), torch.tensor(1.0).double()
    return AllowedRows(bases, radius, norm, low, high), rng


@pytest.mark.parametrize("norm", ["linf", "l2"])
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([0.05, 0.5, 3.0, 50.0]))
@settings(max_examples=40, deadline=None)
def test_projection_lands_in_the_set_and_leaves_what_is_there(norm, seed, scale):
    allowed, rng = allowed_of(norm, seed)
    away = allowed.bases + torch.tensor(scale * rng.normal(size=(3, 12)))
    moved = allowed.project(away)
    change = (moved - allowed.bases).numpy()
    order = {"linf": np.inf, "l2": 2}[norm]
    assert np.linalg.norm(change, order, axis=1).max() <= allowed.radius + 1e-12
    assert 0 <= moved.min()
    assert moved.max() <= 1
    assert torch.allclose(allowed.project(moved), moved, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_projection_on_ball_and_box_is_the_nearest_point(seed):
    allowed, rng = allowed_of("l2", seed, n_values=5)
    away = allowed.bases + torch.tensor(rng.normal(size=(3, 5)))
    for base, goal, moved in zip(
        allowed.bases, away, allowed.project(away), strict=True
    ):
        found = minimize(
            lambda x, goal=goal: np.sum((x - goal.numpy()) ** 2),
            base.numpy(),
            jac=lambda x, goal=goal: 2 * (x - goal.numpy()),
            bounds=[(0, 1)] * 5,
            constraints={
                "type": "ineq",
                "fun": lambda x, base=base: 0.16 - np.sum((x - base.numpy()) ** 2),
            },
            options={"ftol": 1e-14},
        )
        np.testing.assert_allclose(moved, found.x, atol=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_drawn_rows_fill_the_allowed_set(norm):
    allowed, _ = allowed_of(norm, 0, n_values=2, radius=0.01)
    inner = allowed._replace(bases=torch.full((4000, 2), 0.5).double())
    change = (inner.draw(torch.Generator().manual_seed(0)) - 0.5).numpy() / 0.01
    order = {"linf": np.inf, "l2": 2}[norm]
    sizes = np.linalg.norm(change, order, axis=1)
    # In two dimensions a quarter of a square, or of a disk, is within half its radius.
    assert abs(np.mean(sizes <= 0.5) - 0.25) < 0.03
    assert np.abs(change.mean(axis=0)).max() < 0.05


@each_attack
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("replace", [False, True])
def test_poison_is_rows_of_the_class_changed_within_bounds(kind, norm, replace):
    X, y = rows()
    one = attack(kind, X, norm=norm, replace=replace, n_restarts=2)
    X_all, y_all = one.fit_resample(X, y)
    mask, bases = one.poison_mask_, one.base_indices_
    assert len(bases) == mask.sum() == 6
    assert set(y[bases]) == {"dog"} == set(y_all[mask])
    assert len(X_all) == len(X) + (0 if replace else 6)
    changes = (X_all[mask] - X[bases]).reshape(6, -1)
    order = {"linf": np.inf, "l2": 2}[norm]
    assert 0.1 < np.linalg.norm(changes, order, axis=1).max() <= 0.2 + 1e-6
    assert 0 <= X_all.min() <= X_all.max() <= 1
    clean = np.delete(np.arange(len(X)), bases if replace else [])
    np.testing.assert_array_equal(X_all[~mask], X[clean])
    np.testing.assert_array_equal(y_all[~mask], y[clean])
    assert X_all.dtype == X.dtype


def test_ranges_by_channel_are_kept():
    X, y = rows((2, 3, 6))
    X[:, 1] -= 5
    low, high = np.array([[[0.0]], [[-5.0]]]), np.array([[[1.0]], [[-4.0]]])
    one = attack(BullseyePolytopeAttack, X, value_range=(low, high), radius=0.5)
    X_poison, _ = one.poison(X, y)
    assert (X_poison >= low).all()
    assert (X_poison <= high).all()


# What attacks lower.


def features(module, X):
    with torch.no_grad():
        return module(torch.as_tensor(X)).numpy()


def test_bullseye_lowers_the_distance_of_the_mean():
    X, y = rows()
    one = attack(BullseyePolytopeAttack, X, n_steps=60)
    X_poison, _ = one.poison(X, y)
    goal = features(one.feature_extractor, X[:1])[0]
    miss = features(one.feature_extractor, X_poison).mean(axis=0) - goal
    value = np.sum(miss**2) / np.sum(goal**2) / 2
    assert value == pytest.approx(min(one.objective_), rel=1e-4)
    assert value < 0.2 * one.objective_[0]


def test_adaptive_poison_has_features_that_are_alike():
    X, y = rows()
    plain = attack(BullseyePolytopeAttack, X, n_steps=60).fit(X, y)
    one = attack(BullseyePolytopeAttack, X, n_steps=60, adaptive=2.0).fit(X, y)
    goal = features(one.feature_extractor, X[:1])[0]
    near, far = (features(one.feature_extractor, p.X_poison_) for p in (one, plain))
    spreads = [np.sum((F - F.mean(axis=0)) ** 2, axis=1).mean() for F in (near, far)]
    miss = np.sum((near.mean(axis=0) - goal) ** 2) + 2.0 * spreads[0]
    assert miss / np.sum(goal**2) / 2 == pytest.approx(min(one.objective_), rel=1e-4)
    assert spreads[0] < 0.5 * spreads[1]
    hull = attack(ConvexPolytopeAttack, X, n_steps=60, adaptive=2.0).fit(X, y)
    assert hull.objective_[-1] < 0.8 * hull.objective_[0]
    with pytest.raises(ValueError, match="adaptive"):
        hull.set_params(adaptive=-1).fit(X, y)


@pytest.mark.parametrize("batch_size", [3, 256])
def test_rows_nearest_to_the_target_are_chosen(batch_size):
    X, y = rows()
    layers = [extractor(), extractor(n_features=5, seed=1)]
    options = {"selection": "nearest", "batch_size": batch_size, "n_steps": 1}
    one = attack(BullseyePolytopeAttack, X, **options)
    one.set_params(feature_extractor=layers).fit(X, y)
    misses = 0
    for layer in layers:
        F, goal = features(layer, X), features(layer, X[:1])
        misses = misses + np.sum((F - goal) ** 2, axis=1) / np.sum(goal**2)
    misses[y != "dog"] = np.inf
    nearest = np.sort(np.argsort(misses)[: len(one.X_poison_)])
    np.testing.assert_array_equal(one.base_indices_, nearest)
    assert nearest.tolist() != list(range(20, 20 + len(nearest)))
    with pytest.raises(ValueError, match="selection"):
        one.set_params(selection="gradient").fit(X, y)


def test_convex_polytope_lowers_the_distance_to_the_hull():
    X, y = rows()
    one = attack(ConvexPolytopeAttack, X, n_steps=60)
    X_poison, _ = one.poison(X, y)
    F = torch.as_tensor(features(one.feature_extractor, X_poison))
    goal = torch.as_tensor(features(one.feature_extractor, X[:1])[0])
    weights = simplex_weights(F, goal, n_steps=3000)
    value = ((weights @ F - goal).square().sum() / goal.square().sum() / 2).item()
    assert value <= min(one.objective_) + 1e-6
    assert value > min(one.objective_) - 2e-3
    assert min(one.objective_) < 0.5 * one.objective_[0]


def test_the_hull_is_no_farther_than_the_mean():
    X, y = rows()
    hull, mean = (
        min(attack(kind, X, n_steps=60).fit(X, y).objective_)
        for kind in (ConvexPolytopeAttack, BullseyePolytopeAttack)
    )
    assert hull <= mean + 1e-3


def test_feature_collision_lowers_its_objective_at_every_step():
    X, y = rows()
    one = attack(FeatureCollisionAttack, X, n_steps=40, beta=0.05)
    X_poison, _ = one.poison(X, y)
    assert np.all(np.diff(one.objective_) <= 0)
    goal = features(one.feature_extractor, X[:1])[0]
    miss = features(one.feature_extractor, X_poison) - goal
    change = (X_poison - X[one.base_indices_]).reshape(6, -1)
    value = np.sum(miss**2, axis=1) + 0.05 * np.sum(change**2, axis=1)
    assert value.mean() == pytest.approx(one.objective_[-1], rel=1e-4)


def test_feature_collision_of_a_linear_network_is_the_exact_minimum():
    X, y = rows()
    module = nn.Sequential(nn.Flatten(), nn.Linear(36, 5, bias=False)).double()
    one = FeatureCollisionAttack(
        module, X[0], "dog", epsilon=0.1, radius=100.0, value_range=(-100.0, 100.0),
        beta=0.3, n_steps=400, random_state=0,
    )  # fmt: skip
    X_poison, _ = one.poison(X.astype(np.float64), y)
    A = module[1].weight.detach().numpy()
    bases = X[one.base_indices_].reshape(6, 36).astype(np.float64)
    pull = (X[0].reshape(36) - bases) @ A.T @ A
    exact = bases + np.linalg.solve(A.T @ A + 0.3 * np.eye(36), pull.T).T
    np.testing.assert_allclose(X_poison.reshape(6, 36), exact, atol=1e-5)


def test_the_paper_s_rule_for_beta():
    X, y = rows()
    plain = attack(FeatureCollisionAttack, X).fit(X, y)
    same = attack(FeatureCollisionAttack, X, beta=0.25 * (20 / 36) ** 2).fit(X, y)
    other = attack(FeatureCollisionAttack, X, beta=1.0).fit(X, y)
    np.testing.assert_array_equal(plain.X_poison_, same.X_poison_)
    assert not np.array_equal(plain.X_poison_, other.X_poison_)


def test_a_watermark_begins_nearer_to_the_target():
    X, y = rows()
    clear, marked = (
        attack(FeatureCollisionAttack, X, opacity=opacity, beta=0.0).fit(X, y)
        for opacity in (0.0, 0.3)
    )
    assert marked.objective_[0] < clear.objective_[0]
    assert np.abs(marked.X_poison_ - X[marked.base_indices_]).max() <= 0.2 + 1e-6


@each_attack
def test_several_extractors_are_all_approached(kind):
    X, y = rows()
    modules = [extractor(seed=seed, n_features=n) for seed, n in ((1, 15), (2, 25))]
    both = attack(kind, X, n_steps=60).set_params(feature_extractor=modules).fit(X, y)
    alone = [
        attack(kind, X, n_steps=60).set_params(feature_extractor=module).fit(X, y)
        for module in modules
    ]
    starts = np.mean([one.objective_[0] for one in alone])
    assert both.objective_[0] == pytest.approx(starts, rel=0.02)
    assert min(both.objective_) < 0.6 * both.objective_[0]
    assert min(both.objective_) > np.mean([min(one.objective_) for one in alone]) * 0.9


@each_attack
def test_restarts_are_at_least_as_good(kind):
    X, y = rows()
    one, four = (attack(kind, X, n_restarts=n).fit(X, y) for n in (1, 4))
    assert min(four.objective_) <= min(one.objective_)


@pytest.mark.parametrize("seed", range(5))
def test_weights_on_the_simplex_solve_the_least_squares(seed):
    rng = np.random.default_rng(seed)
    points, goal = (
        torch.tensor(rng.normal(size=(7, 4))),
        torch.tensor(rng.normal(size=4)),
    )
    weights = simplex_weights(points, goal, n_steps=5000)
    assert weights.min() >= 0
    assert weights.sum().item() == pytest.approx(1)
    found = minimize(
        lambda c: np.sum((c @ points.numpy() - goal.numpy()) ** 2),
        np.full(7, 1 / 7),
        bounds=[(0, 1)] * 7,
        constraints={"type": "eq", "fun": lambda c: c.sum() - 1},
        options={"ftol": 1e-14},
    )
    value = (weights @ points - goal).square().sum().item()
    # The gap is measured in squared lengths of the goal, for half the squares.
    assert value <= found.fun + 2e-3 * goal.square().sum().item()
    assert value >= found.fun - 1e-9


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_projection_on_the_simplex_satisfies_its_optimality_conditions(values):
    values = torch.tensor(values, dtype=torch.float64)
    weights = onto_simplex(values)
    assert weights.min() >= 0
    assert weights.sum().item() == pytest.approx(1)
    shift = (values - weights)[weights > 0]
    assert (shift.max() - shift.min()).item() == pytest.approx(0, abs=1e-12)
    assert (values - weights).max() <= shift.max() + 1e-12


# Containers, batches, random numbers.


@each_attack
def test_tensors_and_tables_come_back_as_they_were(kind):
    X, y = rows(shape=(36,))
    codes = np.unique(y, return_inverse=True)[1]
    arrays = attack(kind, X).set_params(intended_label=1).poison(X, codes)
    one = attack(kind, torch.tensor(X)).set_params(intended_label=1)
    tensors = one.fit_resample(torch.tensor(X), torch.tensor(codes))
    assert all(torch.is_tensor(part) for part in tensors)
    np.testing.assert_array_equal(tensors[0][60:], arrays[0])
    frame = pd.DataFrame(X, index=np.arange(100, 160))
    labels = pd.Series(codes, index=frame.index)
    for replace in (False, True):
        tables = one.set_params(replace=replace).fit_resample(frame, labels)
        assert isinstance(tables[0], pd.DataFrame)
        found = tables[0].to_numpy()[one.poison_mask_]
        np.testing.assert_array_equal(found, arrays[0])
        assert tables[0].index.is_unique
    np.testing.assert_array_equal(frame, X)


@each_attack
def test_double_precision_stays_within_bounds_exactly(kind):
    X, y = rows()
    X = X.astype(np.float64)
    one = attack(kind, X)
    X_poison, _ = one.poison(X, y)
    assert X_poison.dtype == np.float64
    assert np.abs(X_poison - X[one.base_indices_]).max() <= 0.2 + 1e-15


@each_attack
def test_small_batches_change_nothing(kind):
    X, y = rows()
    whole, parts = (attack(kind, X, batch_size=size).fit(X, y) for size in (256, 4))
    np.testing.assert_allclose(whole.objective_, parts.objective_, rtol=1e-4)


@each_attack
def test_the_same_seed_gives_the_same_poison(kind):
    X, y = rows()
    first = attack(kind, X, n_restarts=2)
    before = torch.get_rng_state()
    first.fit(X, y)
    assert torch.equal(torch.get_rng_state(), before)
    for other in (clone(first).fit(X, y), pickle.loads(pickle.dumps(first))):
        np.testing.assert_array_equal(first.X_poison_, other.X_poison_)
    other = clone(first).set_params(random_state=1).fit(X, y)
    assert not np.array_equal(first.base_indices_, other.base_indices_)


@each_attack
def test_the_network_is_left_as_it_was(kind):
    X, y = rows()
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(36, 9), nn.Dropout(), nn.BatchNorm1d(9)
    )
    module[2].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    attack(kind, X).set_params(feature_extractor=module).fit(X, y)
    assert module.training
    assert not module[2].training
    for name, value in module.state_dict().items():
        assert torch.equal(before[name], value)
    assert all(parameter.grad is None for parameter in module.parameters())


@each_attack
def test_progress_is_told_to_callbacks(kind):
    class Count:
        def __init__(self):
            self.steps = []

        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, metadata=None):
            if metadata is not None:
                self.steps.append(metadata["step"])

    X, y = rows()
    count = Count()
    attack(kind, X, n_restarts=2).set_callbacks(count).fit(X, y)
    assert count.steps == [*range(1, 16)] * 2


@each_attack
def test_no_epsilon_is_no_poison(kind):
    X, y = rows()
    one = attack(kind, X, epsilon=0)
    X_all, y_all = one.fit_resample(X, y)
    np.testing.assert_array_equal(X_all, X)
    assert len(y_all) == len(y)
    assert one.objective_ == []


@each_attack
def test_documented_parameters_and_attributes_are_there(kind):
    X, y = rows()
    one = attack(kind, X).fit(X, y)
    documented = ClassDoc(kind)
    names = {parameter.name for parameter in documented["Parameters"]}
    assert names == set(one.get_params())
    found = {name for name in vars(one) if name[0] != "_" and name[-1] == "_"}
    assert found == {parameter.name for parameter in documented["Attributes"]}


@each_attack
@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"intended_label": "fox"}, ValueError, "one of the labels"),
        ({"intended_label": None}, ValueError, "one of the labels"),
        ({"target": None}, ValueError, "target must be a row; got None"),
        ({"target": np.zeros((2, 2))}, ValueError, "of the shape \\(1, 6, 6\\)"),
        ({"epsilon": 0.5}, ValueError, "30 poison rows, but only 20"),
        ({"epsilon": 0.016}, ValueError, "epsilon=0.016 of 60 rows .* epsilon=1/60"),
        ({"radius": 0.0}, ValueError, "radius"),
        ({"radius": np.inf}, ValueError, "radius"),
        ({"norm": "l3"}, ValueError, "norm"),
        ({"value_range": (0.0, 0.5)}, ValueError, "X must lie within"),
        ({"value_range": (1.0, 0.0)}, ValueError, "low < high"),
        ({"value_range": (1.0,)}, ValueError, "low < high"),
        ({"feature_extractor": None}, ValueError, "torch.nn.Module"),
        ({"feature_extractor": []}, ValueError, "torch.nn.Module"),
        ({"n_steps": 0}, ValueError, "n_steps"),
    ],
)
def test_bad_parameters_are_refused(kind, params, error, message):
    X, y = rows()
    with pytest.raises(error, match=message):
        attack(kind, X).set_params(**params).fit(X, y)


@each_attack
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_networks_that_have_diverged_are_refused(kind, value):
    X, y = rows()
    one = attack(kind, X)
    nn.init.constant_(one.feature_extractor[1].weight, value)
    one.set_params(feature_extractor=one.feature_extractor[:2])
    with pytest.raises(ValueError, match="training may have diverged"):
        one.fit(X, y)


def test_bad_rows_are_refused():
    X, y = rows()
    one = attack(BullseyePolytopeAttack, X)
    with pytest.raises(TypeError, match=r"Divide pixels by 255"):
        one.fit((255 * X).astype(np.uint8), y)
    with pytest.raises(TypeError, match="X must be an array or a tensor of numbers"):
        one.fit(X.astype(str), y)
    with pytest.raises(TypeError, match="got TensorDataset"):
        one.fit_resample(TensorDataset(torch.tensor(X)), y)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        one.fit(X, y[:-1])
    X[3, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="X holds NaN"):
        one.fit(X, y)


def test_a_target_without_features_is_refused():
    X, y = rows()
    module = nn.Sequential(nn.Flatten(), nn.Linear(36, 5), nn.ReLU())
    nn.init.constant_(module[1].weight, 0.0)
    nn.init.constant_(module[1].bias, -1.0)
    with pytest.raises(ValueError, match="all zero"):
        BullseyePolytopeAttack(module, X[0], "dog", epsilon=0.1).fit(X, y)


# Layers.


def test_layers_are_found_by_name_or_before_the_head():
    torch.manual_seed(0)
    conv = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU())
    net = nn.Sequential(conv, nn.Flatten(), nn.Linear(48, 4)).eval()
    X, _ = rows()
    rows_ = torch.tensor(X)
    hidden = conv(rows_).flatten(1)
    assert torch.equal(LayerFeatures(net)(rows_), hidden)
    assert torch.equal(LayerFeatures(net, "0")(rows_), hidden)
    assert torch.equal(LayerFeatures(net, "2")(rows_), net(rows_))
    assert torch.equal(LayerFeatures(net, "")(rows_), net(rows_))
    found = LayerFeatures(net, "0").embed(X, batch_size=7)
    np.testing.assert_allclose(found, hidden.detach(), rtol=1e-6)


def test_layers_that_are_not_there_are_refused():
    net = nn.Sequential(nn.Flatten(), nn.ReLU())
    with pytest.raises(ValueError, match=r"no torch.nn.Linear"):
        LayerFeatures(net)
    with pytest.raises(ValueError, match="no layer 'head'; it has"):
        LayerFeatures(net, "head")
    with pytest.raises(TypeError, match="initialized skorch net"):
        LayerFeatures("net")

    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, X):
            return self.used(X)

    with pytest.raises(ValueError, match="does not run its layer 'idle'"):
        LayerFeatures(Idle(), "idle")(torch.zeros(1, 2))


@pytest.mark.gpu
@each_attack
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_as_on_the_cpu(kind):
    X, y = rows()
    here = attack(kind, X, n_restarts=2).fit(X, y)
    there = attack(kind, X, n_restarts=2)
    there.set_params(feature_extractor=extractor().to("cuda")).fit(X, y)
    np.testing.assert_allclose(here.objective_, there.objective_, rtol=1e-2)
    tensors = torch.tensor(X, device="cuda"), y
    assert there.poison(*tensors)[0].device.type == "cuda"


ALL_ATTACKS = [name for name in skpoison.neural.__all__ if name.endswith("Attack")]


@pytest.mark.parametrize("name", ALL_ATTACKS)
def test_help_has_the_descriptions_that_attacks_share(name):
    cls = getattr(skpoison.neural, name)
    assert not re.findall(r"<\w+>", cls.__doc__)
    documented = ClassDoc(cls)
    for entry in documented["Parameters"] + documented["Attributes"]:
        assert entry.type and "".join(entry.desc).strip(), entry.name
    assert "Euclidean length of the change." in pydoc.render_doc(cls)


def test_shared_descriptions_are_shared():
    names = skpoison.neural.__all__
    docs = [getattr(skpoison.neural, name).__doc__ for name in names]
    assert not any(re.search(r"^ *<\w+>$", doc, re.MULTILINE) for doc in docs)
    for name, text in _shared_docs.TEXTS.items():
        first = text.splitlines()[1].strip()
        assert sum(first in doc for doc in docs) >= 2, name
