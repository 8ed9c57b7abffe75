"""Gradient matching: what is allowed, what is aligned, what is left alone."""

import copy
import gc
import pickle

import numpy as np
import pytest
from numpydoc.docscrape import ClassDoc
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from torch import nn  # noqa: E402

from skpoison.neural import (  # noqa: E402
    FilteredNetClassifier,
    GradientMatchingAttack,
    RandomCropFlip,
)
from skpoison.neural._allowed import AllowedRows  # noqa: E402
from skpoison.neural._gradients import LossGradients, misalignment  # noqa: E402
from skpoison.neural._matching import Matching  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def rows(n_rows=60, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(["cat", "dog", "eel"], n_rows // 3)
    return rng.random((n_rows, 1, 6, 6)).astype("float32"), y


def network(seed=0, n_classes=3):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Dropout(),
        nn.Linear(48, n_classes),
    )  # fmt: skip


def attack(X, **params):
    given = {"net": network(), "target": X[0], "intended_label": "dog"}
    given |= {"epsilon": 0.1, "radius": 0.2, "n_steps": 15, "random_state": 0}
    return GradientMatchingAttack(**given | params)


def plain_gradient(module, X, codes):
    """The gradient of the mean loss, by the plainest means."""
    module = copy.deepcopy(module).eval()
    loss = nn.functional.cross_entropy(module(torch.as_tensor(X)), torch.tensor(codes))
    loss.backward()
    return torch.cat([p.grad.flatten() for p in module.parameters()])


def one_minus_cosine(a, b):
    return 1 - torch.nn.functional.cosine_similarity(a, b, dim=0).item()


# What is allowed.


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("selection", ["random", "gradient"])
def test_poison_is_rows_of_the_class_changed_within_bounds(norm, replace, selection):
    X, y = rows()
    one = attack(X, norm=norm, replace=replace, selection=selection, n_restarts=2)
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


def test_poison_begins_anywhere_among_the_allowed_rows():
    X, y = rows()
    one = attack(X, n_steps=1, step_size=1e-9).fit(X, y)
    changes = one.X_poison_ - X[one.base_indices_]
    inside = (X[one.base_indices_] > 0.2) & (X[one.base_indices_] < 0.8)
    assert np.abs(np.abs(changes[inside]).mean() - 0.1) < 0.015


# What is lowered.


def test_the_objective_is_the_angle_between_plain_gradients():
    X, y = rows()
    one = attack(X, n_steps=60).fit(X, y)
    wanted = plain_gradient(one.net, X[:1], [1])
    found = plain_gradient(one.net, one.X_poison_, [1] * 6)
    value = one_minus_cosine(wanted, found)
    assert value == pytest.approx(min(one.objective_), rel=1e-4)
    assert value < 0.7 * one.objective_[0]


@pytest.mark.parametrize("batch_size", [4, 256])
def test_slopes_are_those_of_a_double_differentiation(batch_size):
    module = network().double().eval()
    X = torch.as_tensor(rows()[0]).double()
    gradients = LossGradients(module, 3, batch_size)
    goal = gradients.mean(X[:1], torch.tensor([1]))
    allowed = AllowedRows(X[20:30], 0.2, "linf", torch.tensor(0.0), torch.tensor(1.0))
    space = Matching(allowed, torch.tensor([1]))
    space.aim([(gradients, goal)])
    value, slope = space.value_and_gradient(X[20:30])

    poison = X[20:30].clone().requires_grad_()
    loss = nn.functional.cross_entropy(module(poison), torch.full((10,), 1))
    whole = torch.autograd.grad(loss, list(module.parameters()), create_graph=True)
    flat = torch.cat([part.flatten() for part in whole])
    direct = 1 - torch.nn.functional.cosine_similarity(flat, goal, dim=0)
    (expected,) = torch.autograd.grad(direct, poison)
    assert value.item() == pytest.approx(direct.item(), rel=1e-10)
    torch.testing.assert_close(slope, expected, rtol=1e-8, atol=1e-14)


def test_the_slope_of_the_angle_is_a_difference_quotient():
    torch.manual_seed(0)
    a, b, step = torch.randn(3, 5).double()
    value, slope = misalignment(a, b)
    ahead, behind = (misalignment(a + h * step, b)[0] for h in (1e-6, -1e-6))
    assert ((ahead - behind) / 2e-6).item() == pytest.approx((slope @ step).item())
    assert value.item() == pytest.approx(one_minus_cosine(a, b))
    assert misalignment(3 * a, 2 * a)[0].item() == pytest.approx(0, abs=1e-12)


def test_of_several_networks_the_mean_is_lowered():
    X, y = rows()
    nets = [network(1), network(2)]
    one = attack(X, n_steps=40).set_params(net=nets).fit(X, y)
    values = [
        one_minus_cosine(
            plain_gradient(net, X[:1], [1]),
            plain_gradient(net, one.X_poison_, [1] * 6),
        )
        for net in nets
    ]
    assert np.mean(values) == pytest.approx(min(one.objective_), rel=1e-4)
    assert np.mean(values) < 0.8 * one.objective_[0]


def proxies_spread(module, X):
    """Mean squared distance of probabilities from their mean, by the plainest means."""
    with torch.no_grad():
        logits = copy.deepcopy(module).eval()(torch.as_tensor(X)).double().numpy()
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.sum((probabilities - probabilities.mean(axis=0)) ** 2, axis=1).mean()


@pytest.mark.parametrize("batch_size", [4, 256])
def test_adaptive_poison_has_gradients_that_are_alike(batch_size):
    X, y = rows()
    nets = [network(1), network(2)]
    options = {"net": nets, "n_steps": 40, "batch_size": batch_size}
    plain = attack(X, **options).fit(X, y)
    one = attack(X, adaptive=100.0, **options).fit(X, y)
    values = [
        one_minus_cosine(
            plain_gradient(net, X[:1], [1]), plain_gradient(net, one.X_poison_, [1] * 6)
        )
        + 100.0 * proxies_spread(net, one.X_poison_)
        for net in nets
    ]
    assert np.mean(values) == pytest.approx(min(one.objective_), rel=1e-4)
    here, there = (
        sum(proxies_spread(net, each.X_poison_) for net in nets)
        for each in (one, plain)
    )
    assert here < 0.5 * there


def test_the_slope_of_adaptive_poison_goes_through_augmentation():
    X, _ = rows()
    module = network().double().eval()
    X = torch.as_tensor(X).double()
    gradients = LossGradients(module, 3, 4)
    goal = gradients.mean(X[:1], torch.tensor([1]))
    allowed = AllowedRows(X[20:30], 0.2, "linf", torch.tensor(0.0), torch.tensor(1.0))
    space = Matching(allowed, torch.tensor([1]), lambda rows: 0.9 * rows**2, 3.0)
    space.aim([(gradients, goal)])
    torch.manual_seed(0)
    step = 1e-6 * torch.randn(10, 1, 6, 6).double()
    _, slope = space.value_and_gradient(X[20:30])
    ahead, behind = (
        space.value_and_gradient(X[20:30] + move)[0] for move in (step, -step)
    )
    assert ((ahead - behind) / 2).item() == pytest.approx(
        (slope * step).sum().item(), rel=1e-5
    )


def test_rows_of_the_largest_gradients_are_chosen():
    X, y = rows()
    one = attack(X, selection="gradient", n_steps=1).fit(X, y)
    dogs = np.flatnonzero(y == "dog")
    norms = [plain_gradient(one.net, X[[row]], [1]).norm().item() for row in dogs]
    np.testing.assert_array_equal(
        one.base_indices_, np.sort(dogs[np.argsort(norms)[-6:]])
    )
    gradients = LossGradients(one.net.eval(), 3, 4)
    found = gradients.row_norms(torch.as_tensor(X[dogs]), torch.ones(20).long())
    np.testing.assert_allclose(found, norms, rtol=1e-4)


def test_restarts_are_at_least_as_good():
    X, y = rows()
    one, four = (attack(X, n_restarts=n).fit(X, y) for n in (1, 4))
    assert min(four.objective_) < min(one.objective_)


def test_small_batches_change_nothing():
    X, y = rows()
    whole, parts = (attack(X, batch_size=size).fit(X, y) for size in (256, 4))
    np.testing.assert_allclose(whole.objective_, parts.objective_, rtol=1e-3)


# Augmentation.


def test_crops_and_flips_are_those_that_can_be():
    torch.manual_seed(0)
    images = torch.rand(300, 2, 3, 4)
    padded = nn.functional.pad(images, [1] * 4)
    seen = set()
    for image, around in zip(RandomCropFlip(1)(images), padded, strict=True):
        matches = [
            (top, left, flipped)
            for top in range(3)
            for left in range(3)
            for flipped in (False, True)
            if torch.equal(
                image,
                around[:, top : top + 3, left : left + 4].flip(-1)
                if flipped
                else around[:, top : top + 3, left : left + 4],
            )
        ]
        assert len(matches) == 1
        seen.update(matches)
    assert len(seen) == 18
    straight = RandomCropFlip(0, flip=False)(images)
    assert torch.equal(straight, images)
    assert torch.equal(RandomCropFlip(1).eval()(images), images)


def test_reflection_leaves_no_border():
    image = torch.ones(50, 1, 5, 5)
    assert RandomCropFlip(2, padding_mode="reflect")(image).min() == 1
    assert RandomCropFlip(2)(image).min() == 0


def test_gradients_go_through_augmentation():
    images = torch.rand(4, 1, 3, 3, requires_grad=True)
    RandomCropFlip(0)(images).sum().backward()
    assert torch.equal(images.grad, torch.ones_like(images))


@pytest.mark.parametrize("arguments", [(-1,), (2, True, "mirror")])
def test_augmentation_that_cannot_be_is_refused(arguments):
    with pytest.raises(ValueError, match=r"padding(_mode)? must be"):
        RandomCropFlip(*arguments)
    with pytest.raises(ValueError, match="images of shape"):
        RandomCropFlip()(torch.zeros(3, 5))


def test_poison_that_is_augmented_is_aligned_after_augmentation():
    X, y = rows()
    augment = RandomCropFlip(1)
    plain = attack(X, n_steps=60).fit(X, y)
    before = torch.get_rng_state()
    sturdy = attack(X, n_steps=60, augment=augment).fit(X, y)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(0)

    def mean_angle(one):
        wanted = plain_gradient(one.net, X[:1], [1])
        draws = [augment(torch.as_tensor(one.X_poison_)) for _ in range(30)]
        found = [plain_gradient(one.net, draw, [1] * 6) for draw in draws]
        return np.mean([one_minus_cosine(wanted, each) for each in found])

    assert mean_angle(sturdy) < mean_angle(plain)
    again = attack(X, n_steps=60, augment=augment).fit(X, y)
    np.testing.assert_array_equal(sturdy.X_poison_, again.X_poison_)


# Networks, random numbers, memory.


def test_the_network_is_left_as_it_was():
    X, y = rows()
    one = attack(X)
    before = {name: value.clone() for name, value in one.net.state_dict().items()}
    one.net[0].weight.requires_grad_(False)
    one.fit(X, y)
    assert one.net.training
    for name, value in one.net.state_dict().items():
        assert torch.equal(before[name], value)
    assert all(parameter.grad is None for parameter in one.net.parameters())
    assert not one.net[0].weight.requires_grad


def test_the_same_seed_gives_the_same_poison():
    X, y = rows()
    first = attack(X, n_restarts=2).fit(X, y)
    for other in (clone(first).fit(X, y), pickle.loads(pickle.dumps(first))):
        np.testing.assert_array_equal(first.X_poison_, other.X_poison_)
    other = clone(first).set_params(random_state=1).fit(X, y)
    assert not np.array_equal(first.base_indices_, other.base_indices_)


def test_nets_of_skorch_are_taken():
    X, y = rows()
    codes = np.unique(y, return_inverse=True)[1]
    net = FilteredNetClassifier(network(), max_epochs=1, verbose=0).fit(X, codes)
    plain = attack(X, net=net.module_).set_params(intended_label=1).fit(X, codes)
    for given in (net, FrozenEstimator(net)):
        one = clone(plain).set_params(net=given).fit(X, codes)
        np.testing.assert_array_equal(plain.X_poison_, one.X_poison_)


class Watch:
    """A callback that counts the tensors there are at some steps."""

    def __init__(self, look_at):
        self.look_at, self.steps, self.n_tensors = look_at, [], []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        if metadata is not None:
            self.steps.append(metadata["step"])
        if metadata is not None and metadata["step"] in self.look_at:
            found = [1 for thing in gc.get_objects() if type(thing) is torch.Tensor]
            self.n_tensors.append(len(found))


def test_progress_is_told_and_memory_does_not_grow():
    X, y = rows()
    watch = Watch((2, 9))
    attack(X, n_steps=9).set_callbacks(watch).fit(X, y)
    assert watch.steps == [*range(1, 10)]
    assert watch.n_tensors[0] == watch.n_tensors[1]


def test_documented_parameters_and_attributes_are_there():
    X, y = rows()
    one = attack(X).fit(X, y)
    documented = ClassDoc(GradientMatchingAttack)
    names = {parameter.name for parameter in documented["Parameters"]}
    assert names == set(one.get_params())
    found = {name for name in vars(one) if name[0] != "_" and name[-1] == "_"}
    assert found == {parameter.name for parameter in documented["Attributes"]}


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"net": None}, TypeError, "an initialized skorch net"),
        ({"net": []}, ValueError, "a list of one at least"),
        ({"net": nn.Flatten()}, ValueError, "without parameters"),
        ({"net": network(n_classes=4)}, ValueError, "must return 3 logits"),
        ({"target": None}, ValueError, "target must be a row"),
        ({"intended_label": "fox"}, ValueError, "one of the labels"),
        ({"selection": "best"}, ValueError, "selection"),
        ({"augment": 3}, ValueError, "augment"),
        ({"step_size": 0.0}, ValueError, "step_size"),
        ({"adaptive": -1.0}, ValueError, "adaptive"),
    ],
)
def test_bad_parameters_are_refused(params, error, message):
    X, y = rows()
    with pytest.raises(error, match=message):
        attack(X).set_params(**params).fit(X, y)


@pytest.mark.parametrize("selection", ["random", "gradient"])
@pytest.mark.parametrize("augment", [None, RandomCropFlip(1)])
def test_networks_that_have_diverged_are_refused(selection, augment):
    X, y = rows()
    one = attack(X, n_steps=1, selection=selection, augment=augment)
    nn.init.constant_(one.net[0].bias, np.nan)
    with pytest.raises(ValueError, match="training may have diverged"):
        one.fit(X, y)


def test_a_target_that_has_nothing_to_teach_is_refused():
    X, y = rows()
    module = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    nn.init.zeros_(module[1].weight)
    module[1].bias.data = torch.tensor([0.0, 1e4, 0.0])
    with pytest.raises(ValueError, match="already gives the intended label"):
        attack(X, net=module).fit(X, y)
