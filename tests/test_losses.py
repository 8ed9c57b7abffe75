"""Losses of margins, against differences, quadrature and scalar minimization."""

import inspect

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.special import lambertw

import skpoison
from skpoison import losses
from skpoison.losses import (
    Hinge,
    Logistic,
    Loss,
    ModifiedHuber,
    SmoothedHinge,
    Squared,
    SquaredHinge,
    decision_margins,
)


class Exponential(Loss):
    """A user's own loss: what the base asks for suffices."""

    slope_range = (0.0, np.inf)

    def __repr__(self):  # names tests: the same in every process
        return "Exponential()"

    def value(self, margins):
        return np.exp(-margins)

    def derivative(self, margins):
        return -np.exp(-margins)

    def curvature(self, margins):
        return np.exp(-margins)

    def conjugate(self, slopes):
        return slopes * np.log(slopes) - slopes

    def prox(self, margins, step):
        return margins + lambertw(step * np.exp(-margins)).real


SMOOTHED = [SmoothedHinge(0.05), SmoothedHinge(0.3), SmoothedHinge(4.0)]
SMOOTH = [*SMOOTHED, Logistic(), Squared(), Exponential()]
LOSSES = [Hinge(), SquaredHinge(), ModifiedHuber(), *SMOOTH]
each_loss = pytest.mark.parametrize("loss", LOSSES, ids=repr)
# No margin lies on a kink or where a second derivative jumps.
MARGINS = np.linspace(-3.003, 4.004, 143)


def slopes_of(loss, n_slopes=41):
    """Slopes across the range, without its ends, and within 5 where it has none."""
    low, high = np.clip(loss.slope_range, -5.0, 5.0)
    return np.linspace(low, high, n_slopes + 2)[1:-1]


def test_every_public_loss_is_tested():
    public = {getattr(losses, name) for name in losses.__all__}
    classes = {thing for thing in public if inspect.isclass(thing)} - {Loss}
    assert classes == {type(loss) for loss in LOSSES} - {Exponential}
    assert "losses" in dir(skpoison)


@each_loss
def test_derivatives_are_those_of_differences(loss):
    h = 1e-6
    slope = (loss.value(MARGINS + h) - loss.value(MARGINS - h)) / (2 * h)
    change = (loss.derivative(MARGINS + h) - loss.derivative(MARGINS - h)) / (2 * h)
    np.testing.assert_allclose(loss.derivative(MARGINS), slope, atol=1e-7)
    np.testing.assert_allclose(loss.curvature(MARGINS), change, atol=1e-3)


@each_loss
def test_losses_are_convex_and_their_slopes_in_range(loss):
    derivatives = loss.derivative(MARGINS)
    assert np.all(np.diff(derivatives) >= -1e-15)
    np.testing.assert_array_equal(loss.project(-derivatives), -derivatives)


@each_loss
def test_no_slope_leads_above_the_loss_and_its_own_leads_to_it(loss):
    conjugates = loss.conjugate(slopes_of(loss))
    below = -np.outer(MARGINS, slopes_of(loss)) - conjugates
    assert np.all(below <= loss.value(MARGINS)[:, np.newaxis] + 1e-13)
    own = -loss.derivative(MARGINS)
    at_own = -own * MARGINS - loss.conjugate(own)
    np.testing.assert_allclose(at_own, loss.value(MARGINS), rtol=1e-12, atol=1e-13)


@each_loss
def test_conjugates_are_the_largest_values(loss):
    for slope in slopes_of(loss, 9):
        found = minimize_scalar(
            lambda m, a=slope: a * m + loss.value(m),
            bounds=(-8, 8),
            method="bounded",
            options={"xatol": 1e-9},
        )
        assert loss.conjugate(slope) == pytest.approx(-found.fun, abs=1e-7)


@pytest.mark.parametrize("loss", LOSSES[:-1], ids=repr)
def test_conjugates_are_infinite_outside_the_range_only(loss):
    low, high = loss.slope_range
    ends = np.array([end for end in (low, high) if np.isfinite(end)])
    assert np.all(np.isfinite(loss.conjugate(ends)))
    outside = np.array([low - 1e-9, high + 1e-9, low - 2.0, high + 2.0])
    outside = outside[np.isfinite(outside)]
    assert np.all(loss.conjugate(outside) == np.inf)
    np.testing.assert_array_equal(loss.conjugate(0.0), 0.0)


@pytest.mark.parametrize("step", [0.01, 0.5, 3.0])
@each_loss
def test_proximal_points_are_minimizers(loss, step):
    for margin in np.linspace(-3, 4, 15):
        found = minimize_scalar(
            lambda u, m=margin: loss.value(u) + (u - m) ** 2 / (2 * step),
            bounds=(margin - 4 * step, margin + 30 * step),
            method="bounded",
            options={"xatol": 1e-10},
        )
        assert loss.prox(margin, step) == pytest.approx(found.x, abs=1e-6)


@pytest.mark.parametrize("loss", SMOOTH[:-1], ids=repr)
def test_proximal_points_are_stationary_for_steps_of_any_size(loss):
    margins, steps = np.meshgrid(
        np.concatenate([MARGINS, [-1e6, -40.0, 40.0, 1e6]]),
        np.array([1e-12, 1e-6, 1e-2, 1.0, 1e3, 1e6, 1e12]),
    )
    found = loss.prox(margins, steps)
    residual = found - margins + steps * loss.derivative(found)
    scale = 1.0 + np.abs(margins) + steps * (1.0 + loss.curvature(found))
    assert np.all(np.abs(residual) <= 4e-15 * scale)


@pytest.mark.parametrize("loss", [Hinge(), SquaredHinge()], ids=repr)
def test_proximal_points_of_hinges_obey_moreau_s_identity(loss):
    """The slope at a proximal point minimizes the conjugate near where it came from."""
    for step in (1e-6, 0.3, 50.0):
        slopes = (loss.prox(MARGINS, step) - MARGINS) / step
        np.testing.assert_allclose(loss.project(slopes), slopes, atol=1e-9)
        gap = loss.value(MARGINS + step * slopes) + loss.conjugate(loss.project(slopes))
        gap += slopes * (MARGINS + step * slopes)
        np.testing.assert_allclose(gap, 0.0, atol=1e-8)


def test_the_smoothed_hinge_is_the_mean_over_noisy_margins():
    loss = SmoothedHinge(0.4)
    for margin in (0.5, 0.65, 0.9, 1.0, 1.2, 1.39, 1.6):
        mean, _ = quad(
            lambda z, m=margin: 0.75 * (1 - z * z) * max(0, 1 - m + 0.4 * z), -1, 1
        )
        assert loss.value(np.array([margin]))[0] == pytest.approx(mean, abs=1e-7)


def test_a_narrow_smoothed_hinge_is_the_hinge():
    narrow, hinge = SmoothedHinge(1e-9), Hinge()
    slopes = slopes_of(hinge)
    np.testing.assert_allclose(narrow.value(MARGINS), hinge.value(MARGINS), atol=1e-9)
    np.testing.assert_allclose(
        narrow.conjugate(slopes), hinge.conjugate(slopes), atol=1e-9
    )
    np.testing.assert_allclose(
        narrow.prox(MARGINS, 0.5), hinge.prox(MARGINS, 0.5), atol=1e-8
    )


@pytest.mark.parametrize("width", [0.0, -1.0, np.inf, np.nan])
def test_widths_that_are_none_are_refused(width):
    with pytest.raises(ValueError, match=r"width must be a positive, finite number"):
        SmoothedHinge(width)


def test_the_hinge_of_shortfalls_is_that_of_margins():
    np.testing.assert_array_equal(
        Hinge().of_shortfalls(1.0 - MARGINS), Hinge().value(MARGINS)
    )
    assert Hinge() == Hinge() and SmoothedHinge(0.1) != SmoothedHinge(0.2)


def test_a_loss_must_say_all_that_solvers_need():
    class Half(Loss):
        def value(self, margins):
            return margins

    with pytest.raises(TypeError, match="conjugate, curvature, derivative"):
        Half()


def test_margins_of_decisions_are_those_of_loops():
    rng = np.random.default_rng(0)
    decisions, codes = rng.normal(size=(30, 4)), rng.integers(4, size=30)
    before = decisions.copy()
    for row, code, margin in zip(
        decisions, codes, decision_margins(decisions, codes), strict=True
    ):
        others = [value for k, value in enumerate(row) if k != code]
        assert margin == row[code] - max(others)
    np.testing.assert_array_equal(decisions, before)
    # Two classes: half the difference of a symmetric pair.
    binary = decisions[:, 0]
    pair = np.column_stack([-binary / 2, binary / 2])
    np.testing.assert_array_equal(
        decision_margins(binary, codes % 2), decision_margins(pair, codes % 2)
    )


def test_the_mean_loss_is_that_of_the_losses():
    margins = np.array([-1.0, 0.5, 3.0])
    assert Hinge().mean(margins) == pytest.approx(2.5 / 3)
    assert Exponential().mean(margins) == np.exp(-margins).mean()
