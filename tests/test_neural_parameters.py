"""Numbers that parameters may not be are refused by name, before any work is done."""

import re
from numbers import Number

import numpy as np
import pytest
from sklearn.base import clone

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from torch import nn  # noqa: E402

from skpoison.neural import (  # noqa: E402
    BullseyePolytopeAttack,
    ConvexPolytopeAttack,
    EmbeddingFilter,
    EPICCallback,
    FeatureCollisionAttack,
    FilteredNetClassifier,
    GradientMatchingAttack,
    JPEGCompressor,
    RandomCropFlip,
    SleeperAgentAttack,
    Trigger,
    TriggerBackdoorAttack,
    evaluate_backdoor,
    evaluate_targeted,
)
from skpoison.neural._allowed import AllowedRows  # noqa: E402

NO_NUMBERS = [np.nan, -1, "0.1", True, np.True_, [0.1], 1j, 1e31, np.inf]
PATCH = np.ones((2, 2), dtype="float32")


class Unused(nn.Linear):
    """A network that nobody may use."""

    def __init__(self):
        super().__init__(16, 3)

    def forward(self, rows):
        raise AssertionError("used before all was checked")


def rows():
    X = np.random.default_rng(0).random((30, 1, 4, 4)).astype("float32")
    return X, np.repeat([0, 1, 2], 10)


def unused_net():
    return FilteredNetClassifier(Unused, train_split=None, verbose=0)


def attacks():
    X, _ = rows()
    by_feature = (
        BullseyePolytopeAttack,
        ConvexPolytopeAttack,
        FeatureCollisionAttack,
        GradientMatchingAttack,
    )
    trigger = Trigger(PATCH)
    yield from (kind(Unused(), X[0], 1, epsilon=0.1) for kind in by_feature)
    yield SleeperAgentAttack(unused_net(), trigger, 1, 0, epsilon=0.1)
    yield TriggerBackdoorAttack(trigger, 1, labels="clean", net=Unused(), epsilon=0.1)


def numeric_parameters(one):
    found = {
        name: value
        for name, value in one.get_params(deep=False).items()
        if isinstance(value, Number) and not isinstance(value, bool)
    }
    return found.keys() - {"intended_label", "source_label"}


def refuses(name):
    return pytest.raises(ValueError, match=re.escape(name))


@pytest.mark.parametrize("one", [*attacks()], ids=lambda one: type(one).__name__)
def test_numbers_of_attacks(one):
    names = numeric_parameters(one) | ({"beta"} & set(one.get_params(deep=False)))
    assert {"epsilon", "radius", "n_steps", "step_size", "batch_size"} <= names
    for name in names:
        for value in NO_NUMBERS:
            with refuses(f"'{name}' parameter of {type(one).__name__} must be"):
                clone(one).set_params(**{name: value}).fit(*rows())


@pytest.mark.parametrize("one", [*attacks()], ids=lambda one: type(one).__name__)
@pytest.mark.parametrize(
    "value_range",
    [(0, "1"), (0, None), (0, 1j), (False, True), (0, np.nan), (1, 0), (0, 1, 2)],
)
def test_ranges_of_values(one, value_range):
    with refuses(f"low < high; got {value_range!r}"):
        clone(one).set_params(value_range=value_range).fit(*rows())
    with refuses("X must lie within value_range"):
        clone(one).set_params(value_range=(0.0, 0.5)).fit(*rows())


def test_the_largest_weight_leaves_something_of_the_objective():
    largest = next(attacks())._parameter_constraints["adaptive"][0].right
    assert np.float32(largest + 1) > np.float32(largest)


def test_trainings_that_no_step_would_follow():
    X, y = rows()
    net, trigger = unused_net(), Trigger(PATCH)
    one = SleeperAgentAttack(net, trigger, 1, 0, epsilon=0.1, n_steps=4, n_retrain=4)
    with refuses("n_retrain=4 must be less than n_steps=4"):
        one.fit(X, y)
    with pytest.raises(AssertionError, match="used before"):
        one.set_params(n_retrain=3).fit(X, y)


def test_numbers_of_epic():
    names = numeric_parameters(EPICCallback()) | {
        "stop_after",
        "readmit_after",
        "partitions",
    }
    assert len(names) == 8
    for name in names:
        for value in [*NO_NUMBERS, 2.5]:
            epic = EPICCallback(**{"stop_after": 9, "forget": "rewind", name: value})
            with refuses(f"'{name}' parameter of EPICCallback must be"):
                unused_net().set_params(callbacks=[epic]).fit(*rows())


def test_numbers_of_what_changes_or_filters_rows():
    X, y = rows()
    for value in NO_NUMBERS:
        with refuses("padding must be a whole number, 0 at least; got"):
            RandomCropFlip(value)
        with refuses("opacity must be in (0, 1]; got"):
            Trigger(PATCH, opacity=value)(X)
        with refuses("position must be a tuple of whole numbers"):
            Trigger(PATCH, position=value)(X)
        with refuses("position must be a tuple of whole numbers"):
            Trigger(PATCH, position=(0, value))(X)
        with refuses("'batch_size' parameter of EmbeddingFilter"):
            EmbeddingFilter(Unused(), batch_size=value).fit(X, y)
        with refuses("'quality' parameter of JPEGCompressor"):
            JPEGCompressor(value).fit(X)
    for value in (0, 1, None, "no"):
        with refuses("flip must be True or False; got"):
            RandomCropFlip(flip=value)
    for bounds in [(0, np.inf), (0, "1"), (0, [1.0]), (0, None), (1, 0)]:
        with refuses("value_range must be"):
            JPEGCompressor(value_range=bounds).fit(X)


@pytest.mark.parametrize("value", [0, 2.5, np.nan, "3", True, None])
def test_numbers_of_evaluations(value):
    X, y = rows()
    data = unused_net(), X, y, X, y
    *_, sleeper, _ = attacks()
    with refuses("n_targets must be a whole number, 1 at least; got"):
        evaluate_targeted(next(attacks()), {}, *data, n_targets=value)
    with refuses("n_trials must be a whole number, 1 at least; got"):
        evaluate_backdoor(sleeper, {}, *data, n_trials=value)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_steps_do_not_exceed_the_range_of_values(norm):
    bases = torch.full((3, 100), 0.5)
    allowed = AllowedRows(bases, 1e30, norm, torch.tensor(0.0), torch.tensor(2.0))
    assert allowed.step(0.5) == 1.0
    near = allowed._replace(radius=0.2)
    assert near.step(0.5) == pytest.approx({"linf": 0.1, "l2": 0.01}[norm])
