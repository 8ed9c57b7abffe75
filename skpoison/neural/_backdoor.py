"""Poison that shows a trigger, and so puts a backdoor into a network."""

from numbers import Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from skpoison.neural._features import as_module, workplace
from skpoison.neural._gradients import LossGradients
from skpoison.neural._matching import SignedDescent
from skpoison.neural._perturbation import BasePerturbationAttack
from skpoison.neural._trigger import check_source, check_trigger, put_trigger

__all__ = ["TriggerBackdoorAttack"]


class TriggerBackdoorAttack(BasePerturbationAttack):
    """Put a trigger on some rows, so that a network learns to obey it.

    Scenario: training from scratch. The victim trains a network with rows gathered by
    himself, some of which the attacker has made: they bear a trigger and the intended
    label. The network classifies other rows as before, and takes rows with the trigger
    for the intended class.

    Threat model: with ``labels="dirty"`` the attacker changes labels: the poison is
    made of rows of other classes. With ``labels="clean"`` the labels are right: poison
    is made of rows of the intended class, and the attacker may know a network, under
    which he first makes these rows hard to learn by a small perturbation, so that the
    victim's network has to look at the trigger. He can put the trigger on new rows. He
    does not touch training.

    Parameters
    ----------
    trigger : callable, default=None
        Takes rows, a Tensor, which it may change, and returns as many rows with the
        trigger: a :class:`Trigger`. It must be given before :meth:`fit`.
    intended_label : label, default=None
        What rows with the trigger shall be taken for, one of the labels. It must be
        given before :meth:`fit`.
    source_label : label, default=None
        The class whose rows the attacker wants to be taken for another; None is all
        others. With dirty labels, poison is made of its rows.
    labels : {"dirty", "clean"}, default="dirty"
        Whether poison is made of rows of the source, or of the intended class.
    net : torch.nn.Module or skorch net, default=None
        A trained network with one logit for each label, in ascending order, under which
        rows are made hard to learn with clean labels; the paper advises one that was
        trained against adversarial examples. None leaves rows as they are. It stays as
        it is. Cloning the attack, as evaluations do, copies a module, and forgets that
        a net was fitted: give its ``module_``, or wrap it in
        :class:`~sklearn.frozen.FrozenEstimator`.
    epsilon : float, default=0.01
        Poison rows divided by clean rows, between 0 and 1; ``floor(epsilon * n)`` rows
        are drawn to make poison of.
    radius : float, default=0.1
        Largest change that makes rows hard to learn. The trigger comes on top.
    norm : {"linf", "l2"}, default="linf"
        How that is measured: as the largest change of any value, or as the root of the
        sum of squares of the changes.
    value_range : tuple of (low, high), default=(0.0, 1.0)
        The range that rows lie in, and that poison must lie in. Each bound is a number,
        or an array whose shape fits a row, such as (n_channels, 1, 1).
    n_steps : int, default=100
        Steps uphill on the loss, by Adam on signs of gradients, each projected.
    step_size : float, default=0.1
        The first step, as a share of the radius.
    n_restarts : int, default=1
        How often: first from the rows themselves, then from rows drawn around them.
        Those of the highest mean loss are kept.
    replace : bool, default=False
        What :meth:`fit_resample` does with the rows that poison is made of: with False
        they stay, and poison comes after all clean rows; with True poison takes their
        place, and the intended label that of theirs.
    batch_size : int, default=256
        Rows that go through the network at once.
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
        Minus the mean loss at the start and after each step uphill; empty where none is
        made.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    See Also
    --------
    SleeperAgentAttack : Poison that never shows the trigger.
    evaluate_backdoor : How many rows with the trigger are taken for the class.

    References
    ----------
    .. [1] T. Gu, B. Dolan-Gavitt and S. Garg, "BadNets: Identifying Vulnerabilities in
       the Machine Learning Model Supply Chain", 2017.
    .. [2] A. Turner, D. Tsipras and A. Madry, "Clean-Label Backdoor Attacks", 2018,
       section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skpoison.neural import Trigger, TriggerBackdoorAttack
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X / 16).astype("float32").reshape(-1, 1, 8, 8)
    >>> attack = TriggerBackdoorAttack(
    ...     Trigger(np.ones((2, 2))), intended_label=8, source_label=0, random_state=0
    ... )
    >>> X_poison, y_poison = attack.poison(X, y)
    >>> X_poison[0, 0, -2:, -2:].tolist(), set(y_poison.tolist())
    ([[1.0, 1.0], [1.0, 1.0]], {8})
    >>> set(y[attack.base_indices_].tolist())
    {0}
    """

    _parameter_constraints: dict = {
        **BasePerturbationAttack._parameter_constraints,
        "trigger": [callable, None],
        "source_label": "no_validation",
        "labels": [StrOptions({"dirty", "clean"})],
        "net": "no_validation",
        "step_size": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        trigger=None,
        intended_label=None,
        source_label=None,
        *,
        labels="dirty",
        net=None,
        epsilon=0.01,
        radius=0.1,
        norm="linf",
        value_range=(0.0, 1.0),
        n_steps=100,
        step_size=0.1,
        n_restarts=1,
        replace=False,
        batch_size=256,
        random_state=None,
    ):
        super().__init__(
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
        self.trigger = trigger
        self.source_label = source_label
        self.labels = labels
        self.net = net
        self.step_size = step_size

    def _check(self, rows):
        check_trigger(self.trigger, rows)
        if self.source_label is not None:
            check_source(self.source_label, self.intended_label, self.classes_)

    def _modules(self, rows, labels, rng):
        if self.labels == "dirty" or self.net is None:
            return []
        return [as_module(self.net)]

    def _candidates(self, labels, n_poison):
        if self.labels == "clean":
            return super()._candidates(labels, n_poison)
        wanted = labels != self.intended_label
        if self.source_label is not None:
            wanted = labels == self.source_label
        found = np.flatnonzero(wanted)
        if len(found) < n_poison:
            raise ValueError(
                f"epsilon={self.epsilon!r} asks for {n_poison} poison rows, but the "
                f"source, source_label={self.source_label!r}, has only {len(found)}."
            )
        return found

    def _space(self, modules, room, rows, labels):
        if not modules:
            return None
        gradients = LossGradients(modules[0], len(self.classes_), self.batch_size)
        code = int(np.searchsorted(self.classes_, self.intended_label))
        return HardToLearn(room.to(*workplace(modules[0])), gradients, code)

    def _craft(self, space, start, monitor):
        descent = SignedDescent(space, start, self.step_size, self.n_steps)
        return descent.run(self.n_steps, monitor), descent.objective

    def _finish(self, rows):
        if not len(rows):
            return rows
        low, high = (torch.as_tensor(np.asarray(b)).to(rows) for b in self.value_range)
        rows = put_trigger(self.trigger, rows)
        if ((rows < low) | (rows > high)).any():
            raise ValueError(
                f"rows with the trigger are outside value_range={self.value_range!r}; "
                f"they go from {rows.min():.4g} to {rows.max():.4g}."
            )
        return rows


class HardToLearn:
    """Rows, and how well a network knows their label.

    Parameters
    ----------
    room : Room
        Where rows may go.
    gradients : LossGradients
        Computes the loss.
    code : int
        The position of their label.
    """

    noisy = False

    def __init__(self, room, gradients, code):
        self.room, self.gradients, self.code = room, gradients, code

    def value_and_gradient(self, rows):
        """Compute minus the mean loss, and its gradient.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, ...)
            Rows.

        Returns
        -------
        value : Tensor
            Minus the mean loss.
        gradient : Tensor of shape (n_rows, ...)
            Its gradient.
        """
        total, found = 0.0, []
        for part in rows.detach().split(self.gradients.batch_size):
            part = part.clone().requires_grad_()
            codes = torch.full((len(part),), self.code)
            loss = -self.gradients.loss(part, codes) / len(rows)
            found += torch.autograd.grad(loss, part)
            total = total + loss.detach()
        return total, torch.cat(found)
