"""Poison whose gradient aligns with that of a target with a wrong label."""

import torch

from skpoison.neural._matching import BaseMatchingAttack
from skpoison.neural._perturbation import check_target
from skpoison.neural._rows import as_tensor
from skpoison.neural._shared_docs import with_shared_docs

__all__ = ["GradientMatchingAttack"]


@with_shared_docs
class GradientMatchingAttack(BaseMatchingAttack):
    """Change rows so that training on them makes a network misclassify a target.

    Scenario: training from scratch ("Witches' Brew"). The victim trains a network from
    random parameters, on rows that they have collected. Among these are rows of the
    attacker, changed so little that their labels look right. Each step that lowers the
    loss of these rows also lowers that of the target with the intended label, as the
    gradients are aligned.

    Threat model: the attacker knows the target and the clean rows, or similar ones, and
    trains networks like the victim's on these. They change rows within ``radius`` and
    ``value_range``. They control neither labels nor training, and do not change the
    target.

    Parameters
    ----------
    net : torch.nn.Module, skorch net or list of these, default=None
        Network trained on clean rows, with one logit for each label, in ascending order
        of labels; of several, the mean objective is lowered. It is not changed. Cloning
        the attack, as evaluations do, copies a module, but resets a fitted net: give
        its ``module_``, or wrap it in :class:`~sklearn.frozen.FrozenEstimator`.
        Required by :meth:`fit`.
    <target>
    <intended_label>
    <epsilon>
    <radius>
    <norm>
    <value_range>
    n_steps : int, default=250
        Number of steps of Adam on the signs of the gradients, each projected onto the
        allowed rows, ten times shorter after 3/8, 5/8 and 7/8 of them.
    step_size : float, default=0.3
        First step, as a fraction of ``radius``, at most 2.
    n_restarts : int, default=1
        Number of starts, each from random rows around the clean ones; 8 in the paper.
        The rows with the lowest objective are kept.
    selection : {"random", "gradient"}, default="random"
        Which rows of the class are changed into poison: any, as in the paper, or those
        with the largest gradients, as in later work.
    <augment>
    <adaptive>
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
        rows are those with the lowest entry; with ``augment``, the last ones.
    <classes_>

    Raises
    ------
    TypeError
        At fit, if ``net`` is not a network, or not initialized, or rows are not
        floating point numbers.
    ValueError
        At fit, if a parameter is invalid, or a network does not have one logit for each
        label.

    See Also
    --------
    SleeperAgentAttack : The same with a trigger in place of a target.
    BullseyePolytopeAttack : For victims who take a pretrained network.
    evaluate_targeted : Measures such attacks with and without a defense.

    Notes
    -----
    With the gradient, over all parameters of a network, of the loss of the target t
    with the intended label, g(t), and of poison rows x_1, ..., x_k with their own, the
    objective is

        1 - cos(g(t), 1 / k sum_j g(x_j)),

    the mean of this over networks if there are several.

    The penalty of ``adaptive`` is the mean squared distance of the poison rows'
    probabilities from their mean, averaged over networks: labels agree, so these differ
    as much as EPIC's gradient proxies do.

    Networks run in evaluation mode, on the device of their parameters. Callbacks of
    scikit-learn, such as its ``ProgressBar``, are called at each step.

    References
    ----------
    .. [1] J. Geiping, L. Fowl, W. R. Huang, W. Czaja, G. Taylor, M. Moeller and T.
       Goldstein, "Witches' Brew: Industrial Scale Data Poisoning via Gradient
       Matching", ICLR 2021, equation (3) and algorithm 1.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from skpoison.neural import FilteredNetClassifier, GradientMatchingAttack
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X / 16).astype("float32")
    >>> seed = torch.manual_seed(0)
    >>> net = FilteredNetClassifier(
    ...     torch.nn.Linear(64, 10), lr=0.5, max_epochs=5, verbose=0
    ... ).fit(X, y)
    >>> attack = GradientMatchingAttack(
    ...     net, X[0], intended_label=8, radius=0.3, n_steps=30, random_state=0
    ... )
    >>> X_poison, y_poison = attack.poison(X, y)
    >>> X_poison.shape, set(y_poison.tolist())
    ((17, 64), {8})
    >>> min(attack.objective_) < 0.8 * attack.objective_[0]
    True
    """

    _parameter_constraints: dict = {
        **BaseMatchingAttack._parameter_constraints,
        "target": ["array-like", torch.Tensor, None],
    }

    def __init__(
        self,
        net=None,
        target=None,
        intended_label=None,
        *,
        epsilon=0.01,
        radius=0.1,
        norm="linf",
        value_range=(0.0, 1.0),
        n_steps=250,
        step_size=0.3,
        n_restarts=1,
        selection="random",
        augment=None,
        adaptive=0.0,
        replace=False,
        batch_size=256,
        random_state=None,
    ):
        self.net = net
        self.target = target
        self.intended_label = intended_label
        self.epsilon = epsilon
        self.radius = radius
        self.norm = norm
        self.value_range = value_range
        self.n_steps = n_steps
        self.step_size = step_size
        self.n_restarts = n_restarts
        self.selection = selection
        self.augment = augment
        self.adaptive = adaptive
        self.replace = replace
        self.batch_size = batch_size
        self.random_state = random_state

    def _check(self, rows):
        check_target(self.target, rows)

    def _wanted(self, gradients, rows, labels):
        target = as_tensor(self.target, "target")[None]
        return gradients.mean(target, self._codes([self.intended_label]))
