"""Poison rows whose features collide with those of a target."""

from numbers import Real

import torch

from skpoison.neural._allowed import TINY
from skpoison.neural._parameters import LARGEST, STEP, Number
from skpoison.neural._shared_docs import with_shared_docs
from skpoison.neural._space import BaseFeatureAttack

__all__ = ["FeatureCollisionAttack"]

GROW, SHRINK = 1.5, 0.5


@with_shared_docs
class FeatureCollisionAttack(BaseFeatureAttack):
    """Change rows of a class so that their features match those of a target.

    Scenario: transfer learning. The victim takes a pretrained network and trains a
    linear head on its features, or the whole network, on rows that they have collected.
    Among these are rows of the attacker, which look like rows of their class and have
    features like the target's. A head that assigns them their label assigns it to the
    target as well.

    Threat model: the attacker knows the feature extractor and the target. They change
    rows within ``radius`` and ``value_range``. They control neither labels nor
    training, and do not change the target.

    Parameters
    ----------
    <feature_extractor>
    <target>
    <intended_label>
    <epsilon>
    <radius>
    <norm>
    <value_range>
    beta : float, default=None
        Weight of the squared change in the objective. None is the paper's rule,
        ``0.25 * (n_features / n_values) ** 2``, with the numbers of features and of
        values of a row.
    opacity : float, default=0.0
        Share of the target that is mixed into the initial rows, in [0, 1): the
        watermark that the paper needs against victims who train the whole network. It
        counts as change, and ``radius`` limits it.
    n_steps : int, default=200
        Number of forward-backward steps: a gradient step on the distance of features, a
        proximal step on the squared change, and a projection onto the allowed rows.
    step_size : float, default=0.5
        First step, as a fraction of ``radius``, at most 2. A step that does not lower
        the objective of a row is undone, and halved for this row.
    <n_restarts>
    <replace>
    <batch_size>
    <random_state>

    Attributes
    ----------
    <base_indices_>
    <X_poison_>
    <y_poison_>
    <poison_mask_>
    objective_ : list of float
        Mean objective of the rows (see Notes) at the start and after each step, of the
        best start; it never rises.
    <classes_>

    See Also
    --------
    BullseyePolytopeAttack : Stronger: the mean of rows comes closer to the target.
    ConvexPolytopeAttack : The target is anywhere in the hull of the poison rows.
    evaluate_targeted : Measures such attacks with and without a defense.

    Notes
    -----
    The objective of a poison row x made from the row b, for the target t, is

        || f(x) - f(t) ||^2 + beta || x - b ||^2,

    the mean of the first term over extractors f if there are several. In the paper a
    large ``beta`` keeps poison near its row, and nothing else bounds it; to reproduce
    that, set ``radius`` to the width of ``value_range``.

    Extractors run in evaluation mode, on the device of their parameters. With more
    poison rows than ``batch_size``, each batch passes through them twice. Callbacks of
    scikit-learn, such as its ``ProgressBar``, are called at each step.

    References
    ----------
    .. [1] A. Shafahi, W. R. Huang, M. Najibi, O. Suciu, C. Studer, T. Dumitras and T.
       Goldstein, "Poison Frogs! Targeted Clean-Label Poisoning Attacks on Neural
       Networks", NeurIPS 2018, equation (1) and algorithm 1.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from skpoison.neural import FeatureCollisionAttack
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X / 16).astype("float32")
    >>> seed = torch.manual_seed(0)
    >>> features = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU())
    >>> attack = FeatureCollisionAttack(
    ...     features, X[0], intended_label=8, radius=0.3, n_steps=50, random_state=0
    ... )
    >>> X_poison, y_poison = attack.poison(X, y)
    >>> X_poison.shape, set(y_poison.tolist())
    ((17, 64), {8})
    >>> attack.objective_[-1] < 0.5 * attack.objective_[0]
    True
    """

    _parameter_constraints: dict = {
        **BaseFeatureAttack._parameter_constraints,
        "beta": [Number(Real, 0, LARGEST, closed="both"), None],
        "opacity": [Number(Real, 0, 1, closed="left")],
        "step_size": [STEP],
    }

    def __init__(
        self,
        feature_extractor=None,
        target=None,
        intended_label=None,
        *,
        epsilon=0.01,
        radius=0.1,
        norm="linf",
        value_range=(0.0, 1.0),
        beta=None,
        opacity=0.0,
        n_steps=200,
        step_size=0.5,
        n_restarts=1,
        replace=False,
        batch_size=256,
        random_state=None,
    ):
        self.feature_extractor = feature_extractor
        self.target = target
        self.intended_label = intended_label
        self.epsilon = epsilon
        self.radius = radius
        self.norm = norm
        self.value_range = value_range
        self.beta = beta
        self.opacity = opacity
        self.n_steps = n_steps
        self.step_size = step_size
        self.n_restarts = n_restarts
        self.replace = replace
        self.batch_size = batch_size
        self.random_state = random_state

    def _start(self, space, generator):
        mixed = torch.lerp(space.allowed.bases, space.target[None], self.opacity)
        return space.allowed.project(mixed)

    def _beta(self, space):
        if self.beta is not None:
            return self.beta
        n_features = sum(len(goal) for goal in space.goals) / len(space.goals)
        return 0.25 * (n_features / space.target.numel()) ** 2

    def _craft(self, space, start, monitor):
        def loss(features):
            misses = [
                (part - goal).square().sum(dim=1)
                for part, goal in zip(features, space.goals, strict=True)
            ]
            return sum(misses) / len(misses)

        descent = _Descent(space, loss, self._beta(space), start)
        lengths = _by_row(descent.gradient).norm(dim=1).clamp(min=TINY)
        full = space.allowed.step(self.step_size) * space.target.numel() ** 0.5
        steps = full / lengths
        objective = [descent.total.mean().item()]
        for step in range(self.n_steps):
            steps = torch.where(descent.step(steps), GROW * steps, SHRINK * steps)
            objective.append(descent.total.mean().item())
            monitor({"step": step + 1, "objective": objective[-1]})
        return descent.rows, objective


class _Descent:
    """Backtracking descent of each row by itself."""

    def __init__(self, space, loss, beta, start):
        self.space, self.loss, self.beta = space, loss, beta
        self.rows = start
        self.total, self.gradient = self._look(start)

    def _look(self, rows):
        value, gradient = self.space.value_and_gradient(rows, self.loss)
        change = _by_row(rows - self.space.allowed.bases).square().sum(dim=1)
        return value + self.beta * change, gradient

    def step(self, steps):
        """Make a step of the rows that it improves; return which these are."""
        shape = (-1, *[1] * (self.rows.ndim - 1))
        ahead = self.rows - steps.reshape(shape) * self.gradient
        weight = (2 * self.beta * steps).reshape(shape)
        moved = (ahead + weight * self.space.allowed.bases) / (1 + weight)
        moved = self.space.allowed.project(moved)
        total, gradient = self._look(moved)
        better = total < self.total
        self.total = torch.where(better, total, self.total)
        self.rows = torch.where(better.reshape(shape), moved, self.rows)
        self.gradient = torch.where(better.reshape(shape), gradient, self.gradient)
        return better


def _by_row(tensor):
    return tensor.flatten(1)
