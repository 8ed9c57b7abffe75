"""Poison rows with the features of a target."""

from numbers import Real

import torch
from sklearn.utils._param_validation import Interval

from skpoison.neural._room import TINY
from skpoison.neural._space import BaseFeatureAttack

__all__ = ["FeatureCollisionAttack"]

GROW, SHRINK = 1.5, 0.5


class FeatureCollisionAttack(BaseFeatureAttack):
    """Change rows of a class so that a network sees a target in each of them.

    Scenario: transfer learning. The victim takes a network that others have trained
    and trains a linear head on its features, or the whole network, with rows gathered
    by himself. The attacker slips some among these that look like rows of their class
    and have features like the target's. Where the head gives them their label, it
    gives it to the target as well.

    Threat model: the attacker knows the feature extractor and the target. He changes
    rows within ``radius`` and ``value_range``. He neither chooses labels nor touches
    training or the target.

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
    beta : float, default=None
        Weight of the squared change in the objective. None is the paper's rule,
        ``0.25 * (n_features / n_values) ** 2``, where a row has so many values and is
        given so many features.
    opacity : float, default=0.0
        How much of the target is mixed into the rows to start from, in [0, 1): the
        watermark that the paper needs against victims who train the whole network. It
        counts as change, and is bounded with it.
    n_steps : int, default=200
        Forward-backward steps: along the gradient of the features' distance, then back
        towards the rows, then onto the rows that are allowed.
    step_size : float, default=0.5
        The first step, as a share of the radius. A step that does not lower the
        objective of a row is taken back, and halved for this row.
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
        The mean of the rows' objectives (see Notes) at the start and after each step,
        of the start that was best; it never rises.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    See Also
    --------
    BullseyePolytopeAttack : Stronger, as the mean of rows meets the target better.
    ConvexPolytopeAttack : The target anywhere between poison rows.
    evaluate_targeted : What such attacks do, with and without a defense.

    Notes
    -----
    The objective of a poison row x made of the row b, for the target t, is

        || f(x) - f(t) ||^2 + beta || x - b ||^2,

    the mean of the first term over extractors f if there are several. In the paper a
    large ``beta`` keeps poison near to its row, and nothing bounds it; for that, let
    ``radius`` be as wide as ``value_range``.

    Extractors run in evaluation mode, where their parameters are; put them on a GPU to
    use it. Callbacks of scikit-learn, such as its ``ProgressBar``, see each step.

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
        "beta": [Interval(Real, 0, None, closed="left"), None],
        "opacity": [Interval(Real, 0, 1, closed="left")],
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
        beta=None,
        opacity=0.0,
        n_steps=200,
        step_size=0.5,
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
        self.beta = beta
        self.opacity = opacity
        self.step_size = step_size

    def _start(self, space, generator):
        mixed = torch.lerp(space.room.bases, space.target[None], self.opacity)
        return space.room.project(mixed)

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
        full = space.room.step(self.step_size) * space.target.numel() ** 0.5
        steps = full / lengths
        objective = [descent.total.mean().item()]
        for step in range(self.n_steps):
            steps = torch.where(descent.step(steps), GROW * steps, SHRINK * steps)
            objective.append(descent.total.mean().item())
            monitor({"step": step + 1, "objective": objective[-1]})
        return descent.rows, objective


class _Descent:
    """Rows on their way down, each by itself."""

    def __init__(self, space, loss, beta, start):
        self.space, self.loss, self.beta = space, loss, beta
        self.rows = start
        self.total, self.gradient = self._look(start)

    def _look(self, rows):
        value, gradient = self.space.value_and_gradient(rows, self.loss)
        change = _by_row(rows - self.space.room.bases).square().sum(dim=1)
        return value + self.beta * change, gradient

    def step(self, steps):
        """Go a step with those rows that it makes better; return which."""
        shape = (-1, *[1] * (self.rows.ndim - 1))
        ahead = self.rows - steps.reshape(shape) * self.gradient
        pull = (2 * self.beta * steps).reshape(shape)
        moved = (ahead + pull * self.space.room.bases) / (1 + pull)
        moved = self.space.room.project(moved)
        total, gradient = self._look(moved)
        better = total < self.total
        self.total = torch.where(better, total, self.total)
        self.rows = torch.where(better.reshape(shape), moved, self.rows)
        self.gradient = torch.where(better.reshape(shape), gradient, self.gradient)
        return better


def _by_row(tensor):
    return tensor.flatten(1)
