"""Poison that shows a trigger, and so plants a backdoor in a network."""

import numpy as np
import torch
from sklearn.utils._param_validation import StrOptions

from skpoison.neural._features import as_module, workplace
from skpoison.neural._gradients import LossGradients
from skpoison.neural._matching import SignedDescent
from skpoison.neural._parameters import STEP
from skpoison.neural._perturbation import BasePerturbationAttack
from skpoison.neural._shared_docs import with_shared_docs
from skpoison.neural._trigger import check_source, check_trigger, put_trigger

__all__ = ["TriggerBackdoorAttack"]


@with_shared_docs
class TriggerBackdoorAttack(BasePerturbationAttack):
    """Put a trigger on some rows, so that a network learns to react to it.

    Scenario: training from scratch. The victim trains a network on rows that they have
    collected, some of which come from the attacker: they show a trigger and have the
    intended label. The network classifies other rows as before, and rows with the
    trigger as the intended class.

    Threat model: with ``labels="dirty"`` the attacker changes labels: the poison is
    made from rows of other classes. With ``labels="clean"`` the labels are right:
    poison is made from rows of the intended class, and the attacker may know a network,
    under which they first make these rows hard to learn by a small perturbation, so
    that the victim's network has to rely on the trigger. They can put the trigger on
    new rows. They do not control training.

    Parameters
    ----------
    <trigger>
    intended_label : label, default=None
        The class that rows with the trigger should be assigned to, one of the labels.
        Required by :meth:`fit`.
    source_label : label, default=None
        The class whose rows should be misclassified; None is all others. With dirty
        labels, poison is made from its rows.
    labels : {"dirty", "clean"}, default="dirty"
        Whether poison is made from rows of the source, or of the intended class.
    net : torch.nn.Module or skorch net, default=None
        Trained network with one logit for each label, in ascending order, under which
        rows are made hard to learn with clean labels; the paper recommends one that was
        trained against adversarial examples. None leaves rows as they are. It is not
        changed. Cloning the attack, as evaluations do, copies a module, but resets a
        fitted net: give its ``module_``, or wrap it in
        :class:`~sklearn.frozen.FrozenEstimator`.
    <epsilon>
    radius : float, default=0.1
        Largest change that makes rows hard to learn. The trigger is added afterwards.
    <norm>
    <value_range>
    n_steps : int, default=100
        Number of ascent steps on the loss, by Adam on the signs of gradients, each
        projected onto the allowed rows.
    step_size : float, default=0.1
        First step, as a fraction of ``radius``, at most 2.
    n_restarts : int, default=1
        Number of starts: the first from the rows themselves, the others from random
        rows around them. The rows with the highest mean loss are kept.
    replace : bool, default=False
        Whether poison takes the place of the rows that it is made from, and the
        intended label that of theirs, in what :meth:`fit_resample` returns. By default
        these rows stay, and poison comes after all clean rows.
    <batch_size>
    <random_state>

    Attributes
    ----------
    <base_indices_>
    <X_poison_>
    <y_poison_>
    <poison_mask_>
    objective_ : list of float
        Minus the mean loss at the start and after each ascent step; empty if there is
        none.
    <classes_>

    See Also
    --------
    SleeperAgentAttack : Poison that never shows the trigger.
    evaluate_backdoor : Measures such attacks with and without a defense.

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
        "step_size": [STEP],
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
        self.trigger = trigger
        self.intended_label = intended_label
        self.source_label = source_label
        self.labels = labels
        self.net = net
        self.epsilon = epsilon
        self.radius = radius
        self.norm = norm
        self.value_range = value_range
        self.n_steps = n_steps
        self.step_size = step_size
        self.n_restarts = n_restarts
        self.replace = replace
        self.batch_size = batch_size
        self.random_state = random_state

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

    def _space(self, modules, allowed, rows, labels):
        if not modules:
            return None
        gradients = LossGradients(modules[0], len(self.classes_), self.batch_size)
        code = int(np.searchsorted(self.classes_, self.intended_label))
        return HardToLearn(allowed.to(*workplace(modules[0])), gradients, code)

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
    """Minus the mean loss of rows of one label, as a function to descend."""

    noisy = False

    def __init__(self, allowed, gradients, code):
        self.allowed, self.gradients, self.code = allowed, gradients, code

    def value_and_gradient(self, rows):
        """Compute minus the mean loss, and its gradient."""
        total, found = 0.0, []
        for part in rows.detach().split(self.gradients.batch_size):
            part = part.clone().requires_grad_()
            codes = torch.full((len(part),), self.code)
            loss = -self.gradients.loss(part, codes) / len(rows)
            found += torch.autograd.grad(loss, part)
            total = total + loss.detach()
        return total, torch.cat(found)
