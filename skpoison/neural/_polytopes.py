"""Poison whose features surround those of a target."""

import numpy as np
import torch
from sklearn.utils._param_validation import StrOptions

from skpoison.neural._features import features_of
from skpoison.neural._parameters import STEP, WEIGHT
from skpoison.neural._rows import as_tensor
from skpoison.neural._shared_docs import with_shared_docs
from skpoison.neural._space import BaseFeatureAttack, spread

__all__ = ["BullseyePolytopeAttack", "ConvexPolytopeAttack"]

WEIGHT_STEPS = 50
WEIGHT_GAP = 1e-3


class BasePolytopeAttack(BaseFeatureAttack):
    """Base class of attacks that put a target among the features of poison rows.

    A subclass defines ``_aims(space)``: for each module, a function from the features
    of the poison rows to the point that should match the target's features.
    """

    _parameter_constraints: dict = {
        **BaseFeatureAttack._parameter_constraints,
        "step_size": [STEP],
        "adaptive": [WEIGHT],
        "selection": [StrOptions({"random", "nearest"})],
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
        n_steps=200,
        step_size=0.1,
        adaptive=0.0,
        n_restarts=1,
        selection="random",
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
        self.n_steps = n_steps
        self.step_size = step_size
        self.adaptive = adaptive
        self.n_restarts = n_restarts
        self.selection = selection
        self.replace = replace
        self.batch_size = batch_size
        self.random_state = random_state

    def _bases(self, modules, rows, labels, n_poison, rng):
        if self.selection == "random":
            return super()._bases(modules, rows, labels, n_poison, rng)
        found = self._candidates(labels, n_poison)
        candidates = rows[torch.from_numpy(found)]
        target = as_tensor(self.target, "target").to(candidates)
        with torch.no_grad():
            goals = features_of(modules, target[None], self.batch_size)
            parts = features_of(modules, candidates, self.batch_size)
            misses = sum(
                (part - goal).square().sum(dim=1) / goal.square().sum()
                for part, goal in zip(parts, goals, strict=True)
            )
        order = np.argsort(misses.cpu().numpy(), kind="stable")
        return np.sort(found[order[:n_poison]])

    def _craft(self, space, start, monitor):
        aims = self._aims(space)

        def loss(features):
            misses = [
                ((aim(part) - goal).square().sum() + self.adaptive * spread(part))
                / goal.square().sum()
                for part, goal, aim in zip(features, space.goals, aims, strict=True)
            ]
            return sum(misses) / (2 * len(misses))

        return space.descend(start, loss, self.n_steps, self.step_size, monitor)


@with_shared_docs
class BullseyePolytopeAttack(BasePolytopeAttack):
    """Move the mean of the features of poison rows onto those of a target.

    Scenario: transfer learning. The victim takes a pretrained network and trains a
    linear head on its features, or the whole network, on rows that they have collected.
    Among these are rows of the attacker, changed so little that their labels look
    right. A linear head that assigns all of them their label assigns it to their mean
    as well, and so to the target; all other rows are classified as before.

    Threat model: the attacker knows the feature extractor, or similar ones (several are
    attacked together, as poison that works on all of them is likely to work on
    another), and the target. They change rows within ``radius`` and ``value_range``.
    They control neither labels nor training, and do not change the target.

    Parameters
    ----------
    <feature_extractor>
    <target>
    <intended_label>
    <epsilon>
    <radius>
    <norm>
    <value_range>
    n_steps : int, default=200
        Number of steps of Adam, each projected onto the allowed rows, with cosine
        annealing.
    step_size : float, default=0.1
        First step, as a fraction of ``radius``, at most 2.
    <adaptive>
    <n_restarts>
    selection : {"random", "nearest"}, default="random"
        Which rows of the class are changed into poison: any, or those whose features
        are nearest to the target's in the units of the objective, which makes stronger
        poison, of rows that are like one another.
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
        Objective (see Notes) at the start and after each step, of the best start. The
        rows are those with the lowest entry.
    <classes_>

    See Also
    --------
    ConvexPolytopeAttack : The target is anywhere in the hull of the poison rows.
    FeatureCollisionAttack : Each poison row matches the target.
    evaluate_targeted : Measures such attacks with and without a defense.

    Notes
    -----
    With m extractors f_i, poison rows x_1, ..., x_k and the target t, the objective is

        1 / (2 m) sum_i || f_i(t) - mean_j f_i(x_j) ||^2 / || f_i(t) ||^2.

    The penalty of ``adaptive`` is the mean squared distance of the f_i(x_j) from their
    mean, in the same units: 1 / (2 m) sum_i mean_j || f_i(x_j) - mean_l f_i(x_l) ||^2 /
    || f_i(t) ||^2. Where features are alike, so are the gradients of any head.

    To attack several layers, for a victim who trains all of them, give a list of
    :class:`LayerFeatures`.

    Extractors run in evaluation mode, on the device of their parameters. With more
    poison rows than ``batch_size``, each batch passes through them twice. Callbacks of
    scikit-learn, such as its ``ProgressBar``, are called at each step.

    References
    ----------
    .. [1] H. Aghakhani, D. Meng, Y.-X. Wang, C. Kruegel and G. Vigna, "Bullseye
       Polytope: A Scalable Clean-Label Poisoning Attack with Improved Transferability",
       IEEE EuroS&P 2021, equation (4).

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from skpoison.neural import BullseyePolytopeAttack
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X / 16).astype("float32")
    >>> seed = torch.manual_seed(0)
    >>> features = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU())
    >>> attack = BullseyePolytopeAttack(
    ...     features, X[0], intended_label=8, radius=0.3, n_steps=50, random_state=0
    ... )
    >>> X_poison, y_poison = attack.poison(X, y)
    >>> X_poison.shape, set(y_poison.tolist())
    ((17, 64), {8})
    >>> attack.objective_[-1] < 0.3 * attack.objective_[0]
    True
    """

    def _aims(self, space):
        return [lambda features: features.mean(dim=0)] * len(space.modules)


@with_shared_docs
class ConvexPolytopeAttack(BasePolytopeAttack):
    """Move poison rows until their features enclose those of a target.

    Scenario: transfer learning. The victim takes a pretrained network and trains a
    linear head on its features, or the whole network, on rows that they have collected.
    Among these are rows of the attacker, changed so little that their labels look
    right. Where the target's features are a convex combination of those of the poison
    rows, a linear head that assigns all of these their label assigns it to the target
    as well; all other rows are classified as before.

    Threat model: the attacker knows the feature extractor, or similar ones (several are
    attacked together, as poison that works on all of them is likely to work on
    another), and the target. They change rows within ``radius`` and ``value_range``.
    They control neither labels nor training, and do not change the target.

    Parameters
    ----------
    <feature_extractor>
    <target>
    <intended_label>
    <epsilon>
    <radius>
    <norm>
    <value_range>
    n_steps : int, default=200
        Number of steps of Adam, each projected onto the allowed rows, with cosine
        annealing. Before each step, the convex combination is improved.
    step_size : float, default=0.1
        First step, as a fraction of ``radius``, at most 2.
    <adaptive>
    <n_restarts>
    selection : {"random", "nearest"}, default="random"
        Which rows of the class are changed into poison: any, or those whose features
        are nearest to the target's in the units of the objective, which makes stronger
        poison, of rows that are like one another.
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
        Objective (see Notes) at the start and after each step, of the best start. The
        rows are those with the lowest entry.
    <classes_>

    See Also
    --------
    BullseyePolytopeAttack : The target is in the center, which is stronger and faster.
    FeatureCollisionAttack : Each poison row matches the target.
    evaluate_targeted : Measures such attacks with and without a defense.

    Notes
    -----
    With m extractors f_i, poison rows x_1, ..., x_k and the target t, the objective is

        1 / (2 m) sum_i min_c || f_i(t) - sum_j c_j f_i(x_j) ||^2 / || f_i(t) ||^2

    over non-negative weights c with sum one, which each extractor has for itself. The
    penalty of ``adaptive`` is that of :class:`BullseyePolytopeAttack`.
    Before each step, at most 50 accelerated projected gradient steps improve them.

    To attack several layers, for a victim who trains all of them, give a list of
    :class:`LayerFeatures`.

    Extractors run in evaluation mode, on the device of their parameters. With more
    poison rows than ``batch_size``, each batch passes through them twice. Callbacks of
    scikit-learn, such as its ``ProgressBar``, are called at each step.

    References
    ----------
    .. [1] C. Zhu, W. R. Huang, A. Shafahi, H. Li, G. Taylor, C. Studer and T.
       Goldstein, "Transferable Clean-Label Poisoning Attacks on Deep Neural Nets",
       ICML 2019, equation (2) and algorithm 1.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from skpoison.neural import ConvexPolytopeAttack
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X / 16).astype("float32")
    >>> seed = torch.manual_seed(0)
    >>> features = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU())
    >>> attack = ConvexPolytopeAttack(
    ...     features, X[0], intended_label=8, radius=0.3, n_steps=50, random_state=0
    ... )
    >>> X_poison, y_poison = attack.poison(X, y)
    >>> X_poison.shape, set(y_poison.tolist())
    ((17, 64), {8})
    >>> attack.objective_[-1] < 0.3 * attack.objective_[0]
    True
    """

    def _aims(self, space):
        return [_Combination(goal) for goal in space.goals]


class _Combination:
    """The convex combination of features nearest to a goal, warm-started."""

    def __init__(self, goal):
        self.goal, self.weights = goal, None

    def __call__(self, features):
        with torch.no_grad():
            self.weights = simplex_weights(features, self.goal, self.weights)
        return self.weights @ features


def simplex_weights(features, goal, weights=None, n_steps=WEIGHT_STEPS):
    """Return the weights of the point of a hull that is nearest to a goal.

    At most ``n_steps`` accelerated projected gradient steps from ``weights`` (None: the
    mean), until the duality gap is a thousandth of the squared norm of the goal.
    """
    points = features.double() / goal.double().norm()
    products, linear = (
        points @ points.T,
        points @ (goal.double() / goal.double().norm()),
    )
    if weights is None:
        weights = torch.full_like(linear, 1 / len(linear))
    length = 1 / products.abs().sum(dim=1).max().clamp(min=1e-300)
    weights = ahead = weights.double()
    speed = 1.0
    for _ in range(n_steps):
        gradient = products @ weights - linear
        if gradient @ weights - gradient.min() <= WEIGHT_GAP:
            break
        new = onto_simplex(ahead - length * (products @ ahead - linear))
        faster = (1 + (1 + 4 * speed**2) ** 0.5) / 2
        ahead = new + (speed - 1) / faster * (new - weights)
        weights, speed = new, faster
    return weights.to(features.dtype)


def onto_simplex(values):
    """Project a vector onto the probability simplex."""
    falling = values.sort(descending=True).values
    count = torch.arange(1, len(values) + 1, device=values.device)
    excess = (falling.cumsum(dim=0) - 1) / count
    last = (falling > excess).sum() - 1
    return (values - excess[last]).clamp(min=0)
