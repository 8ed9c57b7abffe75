"""Poison whose gradients point where those of a wrongly labelled target would."""

import torch

from skpoison.neural._matching import BaseMatchingAttack
from skpoison.neural._perturbation import check_target
from skpoison.neural._rows import as_tensor

__all__ = ["GradientMatchingAttack"]


class GradientMatchingAttack(BaseMatchingAttack):
    """Change rows so that training on them teaches a network a wrong target.

    Scenario: training from scratch ("Witches' Brew"). The victim trains a network of
    his own, from random parameters, with rows gathered by himself. The attacker slips
    some among these, changed so little that their labels are right to the eye. Each
    step that lowers the loss of these rows also lowers that of the target with the
    intended label, for the gradients point the same way.

    Threat model: the attacker knows the target and the clean rows, or others like them,
    and trains networks like the victim's on these. He changes rows within ``radius``
    and ``value_range``. He neither chooses labels nor touches training or the target.

    Parameters
    ----------
    net : torch.nn.Module, skorch net or list of these, default=None
        A network that is trained on clean rows, with one logit for each label, in
        ascending order of labels; of several, the mean objective is lowered. It stays
        as it is. Cloning the attack, as evaluations do, copies a module, and forgets
        that a net was fitted: give its ``module_``, or wrap it in
        :class:`~sklearn.frozen.FrozenEstimator`. It must be given before :meth:`fit`.
    target : {array-like, Tensor} of shape (...), default=None
        The row that the victim shall take for another class, of the shape of one row
        of X. It must be given before :meth:`fit`.
    intended_label : label, default=None
        That class, one of the labels. Poison is made of rows of it, and keeps their
        label. It must be given before :meth:`fit`.
    epsilon : float, default=0.01
        Poison rows divided by clean rows, between 0 and 1; poison is made of
        ``floor(epsilon * n)`` rows of the class.
    radius : float, default=0.1
        No poison row is farther than this from the row that it is made of; 8/255 and
        16/255 in the literature.
    norm : {"linf", "l2"}, default="linf"
        How that is measured: as the largest change of any value, or as the root of the
        sum of squares of the changes.
    value_range : tuple of (low, high), default=(0.0, 1.0)
        The range that rows lie in, and that poison stays in. Each bound is a number, or
        an array whose shape fits a row, such as (n_channels, 1, 1).
    n_steps : int, default=250
        Steps of Adam on the signs of the gradients, each projected on the rows that
        are allowed; ten times shorter after 3/8, 5/8 and 7/8 of them.
    step_size : float, default=0.3
        The first step, as a share of the radius.
    n_restarts : int, default=1
        How often the attack is made, each time from rows drawn around the clean ones;
        8 in the paper. The rows of the lowest objective are kept.
    selection : {"random", "gradient"}, default="random"
        Which rows of the class poison is made of: any, as in the paper, or those whose
        gradients are largest, as in later work.
    augment : callable, default=None
        What poison goes through before it is seen, such as :class:`RandomCropFlip`,
        for victims who augment: takes and returns rows as tensors, and lets gradients
        through. It may draw torch's random numbers.
    replace : bool, default=False
        What :meth:`fit_resample` does with the rows that poison is made of: with False
        they stay, and poison comes after all clean rows; with True poison takes their
        place, as in the experiments of most papers.
    batch_size : int, default=256
        Rows that go through the network at once. The objective is that of all rows,
        whatever the batch, and memory is that of one.
    random_state : int, RandomState instance or None, default=None
        Draws the rows that poison is made of, where it starts, and augmentation.

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
        was best. The rows are those of the lowest entry; with ``augment`` the last.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    Raises
    ------
    TypeError
        At fit, if a network is none, or not initialized, or rows are no floating point
        numbers.
    ValueError
        At fit, if a parameter is no good, or the network has not one logit for each
        label.

    See Also
    --------
    SleeperAgentAttack : The same towards a trigger in place of a target.
    BullseyePolytopeAttack : For victims who take a network that others have trained.
    evaluate_targeted : What such attacks do, with and without a defense.

    Notes
    -----
    With the gradient, over all parameters of a network, of the loss of the target t
    with the intended label, g(t), and of poison rows x_1, ..., x_k with their own, the
    objective is

        1 - cos(g(t), 1 / k sum_j g(x_j)),

    the mean of this over networks if there are several.

    Networks run in evaluation mode, where their parameters are; put them on a GPU to
    use it. Callbacks of scikit-learn, such as its ``ProgressBar``, see each step.

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
        replace=False,
        batch_size=256,
        random_state=None,
    ):
        super().__init__(
            net,
            intended_label,
            epsilon=epsilon,
            radius=radius,
            norm=norm,
            value_range=value_range,
            n_steps=n_steps,
            step_size=step_size,
            n_restarts=n_restarts,
            selection=selection,
            augment=augment,
            replace=replace,
            batch_size=batch_size,
            random_state=random_state,
        )
        self.target = target

    def _check(self, rows):
        check_target(self.target, rows)

    def _wanted(self, gradients, rows, labels):
        target = as_tensor(self.target, "target")[None]
        return gradients.mean(target, self._codes([self.intended_label]))
