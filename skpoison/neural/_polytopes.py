"""Poison whose features surround those of a target."""

from numbers import Real

import torch
from sklearn.utils._param_validation import Interval

from skpoison.neural._space import BaseFeatureAttack

__all__ = ["BullseyePolytopeAttack", "ConvexPolytopeAttack"]

WEIGHT_STEPS = 50
WEIGHT_GAP = 1e-3


class BasePolytopeAttack(BaseFeatureAttack):
    """Base class of attacks that put a target among the features of poison rows.

    A subclass defines ``_aims(space)``: for each module, a function that takes features
    of the poison rows and returns the point that shall be the target's.

    Parameters
    ----------
    step_size : float, default=0.1
        The first step, as a share of the radius.
    **params : dict
        As in :class:`BaseFeatureAttack`.
    """

    _parameter_constraints: dict = {
        **BaseFeatureAttack._parameter_constraints,
        "step_size": [Interval(Real, 0, None, closed="neither")],
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
        n_restarts=1,
        replace=False,
        batch_size=256,
        random_state=None,
    ):
        super().__init__(
            feature_extractor,
            target,
            intended_label,
            epsilon=epsilon,
            radius=radius,
            norm=norm,
            value_range=value_range,
            n_steps=n_steps,
            n_restarts=n_restarts,
            replace=replace,
            batch_size=batch_size,
            random_state=random_state,
        )
        self.step_size = step_size

    def _craft(self, space, start, monitor):
        aims = self._aims(space)

        def loss(features):
            misses = [
                (aim(part) - goal).square().sum() / goal.square().sum()
                for part, goal, aim in zip(features, space.goals, aims, strict=True)
            ]
            return sum(misses) / (2 * len(misses))

        return space.descend(start, loss, self.n_steps, self.step_size, monitor)


class BullseyePolytopeAttack(BasePolytopeAttack):
    """Move the mean of the features of poison rows onto those of a target.

    Scenario: transfer learning. The victim takes a network that others have trained
    and trains a linear head on its features, or the whole network, with rows gathered
    by himself. The attacker slips some among these, changed so little that their labels
    are right to the eye. A linear head that gives all of them their label gives it to
    their mean as well, and so to the target; all other rows are classified as before.

    Threat model: the attacker knows the feature extractor, or others like it (several
    are attacked together, for what fools all of them is likely to fool another), and
    the target. He changes rows within ``radius`` and ``value_range``. He neither
    chooses labels nor touches training or the target.

    Parameters
    ----------
    feature_extractor : torch.nn.Module or list of these, default=None
        Computes features of rows: what the victim's head will see. Of several, all
        are attacked. :class:`LayerFeatures` takes a layer out of a network. It must
        be given before :meth:`fit`.
    target : {array-like, Tensor} of shape (...), default=None
        The row that the victim shall take for another class, of the shape of one row
        of X. It must be given before :meth:`fit`.
    intended_label : label, default=None
        That class, one of the labels. Poison is made of rows of it, and keeps their
        label. It must be given before :meth:`fit`.
    epsilon : float, default=0.01
        Poison rows divided by clean rows, between 0 and 1; ``floor(epsilon * n)`` rows
        of the class are drawn to make poison of.
    radius : float, default=0.1
        No poison row is farther than this from the row that it is made of.
    norm : {"linf", "l2"}, default="linf"
        How that is measured: as the largest change of any value, or as the root of the
        sum of squares of the changes.
    value_range : tuple of (low, high), default=(0.0, 1.0)
        The range that rows lie in, and that poison stays in. Each bound is a number, or
        an array whose shape fits a row, such as (n_channels, 1, 1).
    n_steps : int, default=200
        Steps of the optimizer Adam, each projected on the rows that are allowed, and
        shorter and shorter.
    step_size : float, default=0.1
        The first step, as a share of the radius.
    n_restarts : int, default=1
        How often the attack is made: first from the rows themselves, then from rows
        drawn around them. The rows of the lowest objective are kept.
    replace : bool, default=False
        What :meth:`fit_resample` does with the rows that poison is made of: with False
        they stay, and poison comes after all clean rows; with True poison takes their
        place, as in the experiments of most papers.
    batch_size : int, default=256
        Rows that go through the network at once. Where there are more poison rows, each
        batch goes through it twice, so that memory is bounded.
    random_state : int, RandomState instance or None, default=None
        Draws the rows that poison is made of, and restarts.

    Attributes
    ----------
    base_indices_ : ndarray of shape (n_poison,)
        The row of X that each poison row is made of, in ascending order.
    X_poison_ : ndarray of shape (n_poison, ...)
        The poison rows, in the precision of X.
    y_poison_ : ndarray of shape (n_poison,)
        Their labels: ``intended_label``.
    poison_mask_ : ndarray
        True for the poison rows in what :meth:`fit_resample` returns.
    objective_ : list of float
        The objective (see Notes) at the start and after each step, of the start that
        was best. The rows are those of the lowest entry.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    See Also
    --------
    ConvexPolytopeAttack : The target anywhere between poison rows.
    FeatureCollisionAttack : Each poison row on the target.
    evaluate_targeted : What such attacks do, with and without a defense.

    Notes
    -----
    With m extractors f_i, poison rows x_1, ..., x_k and the target t, the objective is

        1 / (2 m) sum_i || f_i(t) - mean_j f_i(x_j) ||^2 / || f_i(t) ||^2.

    For an attack through several layers, as on a victim who trains all of them, give a
    list of :class:`LayerFeatures`.

    Extractors run in evaluation mode, where their parameters are; put them on a GPU to
    use it. Callbacks of scikit-learn, such as its ``ProgressBar``, see each step.

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


class ConvexPolytopeAttack(BasePolytopeAttack):
    """Move poison rows until features of a target lie between theirs.

    Scenario: transfer learning. The victim takes a network that others have trained
    and trains a linear head on its features, or the whole network, with rows gathered
    by himself. The attacker slips some among these, changed so little that their labels
    are right to the eye. Where the target's features are a convex combination of those
    of the poison rows, a linear head that gives all of these their label gives it to
    the target as well; all other rows are classified as before.

    Threat model: the attacker knows the feature extractor, or others like it (several
    are attacked together, for what fools all of them is likely to fool another), and
    the target. He changes rows within ``radius`` and ``value_range``. He neither
    chooses labels nor touches training or the target.

    Parameters
    ----------
    feature_extractor : torch.nn.Module or list of these, default=None
        Computes features of rows: what the victim's head will see. Of several, all
        are attacked. :class:`LayerFeatures` takes a layer out of a network. It must
        be given before :meth:`fit`.
    target : {array-like, Tensor} of shape (...), default=None
        The row that the victim shall take for another class, of the shape of one row
        of X. It must be given before :meth:`fit`.
    intended_label : label, default=None
        That class, one of the labels. Poison is made of rows of it, and keeps their
        label. It must be given before :meth:`fit`.
    epsilon : float, default=0.01
        Poison rows divided by clean rows, between 0 and 1; ``floor(epsilon * n)`` rows
        of the class are drawn to make poison of.
    radius : float, default=0.1
        No poison row is farther than this from the row that it is made of.
    norm : {"linf", "l2"}, default="linf"
        How that is measured: as the largest change of any value, or as the root of the
        sum of squares of the changes.
    value_range : tuple of (low, high), default=(0.0, 1.0)
        The range that rows lie in, and that poison stays in. Each bound is a number, or
        an array whose shape fits a row, such as (n_channels, 1, 1).
    n_steps : int, default=200
        Steps of the optimizer Adam, each projected on the rows that are allowed, and
        shorter and shorter. Before each, the combination is made better.
    step_size : float, default=0.1
        The first step, as a share of the radius.
    n_restarts : int, default=1
        How often the attack is made: first from the rows themselves, then from rows
        drawn around them. The rows of the lowest objective are kept.
    replace : bool, default=False
        What :meth:`fit_resample` does with the rows that poison is made of: with False
        they stay, and poison comes after all clean rows; with True poison takes their
        place, as in the experiments of most papers.
    batch_size : int, default=256
        Rows that go through the network at once. Where there are more poison rows, each
        batch goes through it twice, so that memory is bounded.
    random_state : int, RandomState instance or None, default=None
        Draws the rows that poison is made of, and restarts.

    Attributes
    ----------
    base_indices_ : ndarray of shape (n_poison,)
        The row of X that each poison row is made of, in ascending order.
    X_poison_ : ndarray of shape (n_poison, ...)
        The poison rows, in the precision of X.
    y_poison_ : ndarray of shape (n_poison,)
        Their labels: ``intended_label``.
    poison_mask_ : ndarray
        True for the poison rows in what :meth:`fit_resample` returns.
    objective_ : list of float
        The objective (see Notes) at the start and after each step, of the start that
        was best. The rows are those of the lowest entry.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    See Also
    --------
    BullseyePolytopeAttack : The target in the middle, which is safer and faster.
    FeatureCollisionAttack : Each poison row on the target.
    evaluate_targeted : What such attacks do, with and without a defense.

    Notes
    -----
    With m extractors f_i, poison rows x_1, ..., x_k and the target t, the objective is

        1 / (2 m) sum_i min_c || f_i(t) - sum_j c_j f_i(x_j) ||^2 / || f_i(t) ||^2

    over weights c that are not negative and add up to one, for each extractor its own.
    Before each step they are improved by at most 50 accelerated projected
    gradient steps from where they were.

    For an attack through several layers, as on a victim who trains all of them, give a
    list of :class:`LayerFeatures`.

    Extractors run in evaluation mode, where their parameters are; put them on a GPU to
    use it. Callbacks of scikit-learn, such as its ``ProgressBar``, see each step.

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
    """The convex combination of features nearest to a goal; remembers its weights."""

    def __init__(self, goal):
        self.goal, self.weights = goal, None

    def __call__(self, features):
        with torch.no_grad():
            self.weights = simplex_weights(features, self.goal, self.weights)
        return self.weights @ features


def simplex_weights(features, goal, weights=None, n_steps=WEIGHT_STEPS):
    """Find weights of the point nearest to a goal in the hull of some points.

    Parameters
    ----------
    features : Tensor of shape (n_points, n_features)
        The points.
    goal : Tensor of shape (n_features,)
        The goal.
    weights : Tensor of shape (n_points,), default=None
        Where to start; None is the mean.
    n_steps : int, default=50
        Most accelerated projected gradient steps. They end earlier at a duality gap of
        a thousandth of the squared length of the goal.

    Returns
    -------
    weights : Tensor of shape (n_points,)
        Not negative, adding up to one.
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
    """Find the nearest weights that are not negative and add up to one.

    Parameters
    ----------
    values : Tensor of shape (n_values,)
        Numbers.

    Returns
    -------
    weights : Tensor of shape (n_values,)
        Weights.
    """
    falling = values.sort(descending=True).values
    count = torch.arange(1, len(values) + 1, device=values.device)
    excess = (falling.cumsum(dim=0) - 1) / count
    last = (falling > excess).sum() - 1
    return (values - excess[last]).clamp(min=0)
