"""Poison that plants a backdoor without showing its trigger."""

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods

from skpoison.neural._features import as_module
from skpoison.neural._matching import BaseMatchingAttack, SignedDescent
from skpoison.neural._parameters import at_least
from skpoison.neural._rows import overwritten
from skpoison.neural._seeded import seeded
from skpoison.neural._shared_docs import with_shared_docs
from skpoison.neural._trigger import check_source, check_trigger, put_trigger

__all__ = ["SleeperAgentAttack"]


@with_shared_docs
class SleeperAgentAttack(BaseMatchingAttack):
    """Change rows so that training on them plants a hidden trigger in a network.

    Scenario: training from scratch. The victim trains a network from random parameters,
    on rows that they have collected. Among these are rows of the attacker, changed so
    little that their labels look right, and without the trigger. Each step that lowers
    the loss of these rows also lowers that of rows of the source class with the trigger
    and the intended label. So the network classifies rows with the trigger as the
    intended class.

    Threat model: the attacker knows the clean rows, or similar ones, and how networks
    like the victim's are trained. They change rows within ``radius`` and
    ``value_range``. They control neither labels nor training. They can put the trigger
    on new rows of the source class.

    Parameters
    ----------
    net : skorch net or list of these, default=None
        Nets of which clones are trained as surrogates, on the clean rows and, as the
        attack goes on, on the poisoned ones. The module has one logit for each label;
        give its class, so that each training starts from random parameters. Required by
        :meth:`fit`.
    <trigger>
    <intended_label>
    source_label : label, default=None
        The class whose rows should be misclassified. Required by :meth:`fit`.
    <epsilon>
    <radius>
    <norm>
    <value_range>
    n_steps : int, default=250
        Number of steps of Adam on the signs of the gradients, each projected onto the
        allowed rows, ten times shorter after 3/8, 5/8 and 7/8 of them.
    step_size : float, default=0.3
        First step, as a fraction of ``radius``, at most 2.
    n_retrain : int, default=4
        How often surrogates are retrained, on clean rows and the current poison, after
        equal numbers of steps; less than ``n_steps``.
    n_restarts : int, default=1
        Number of starts, each from random rows around the clean ones. The rows with the
        lowest objective are kept.
    selection : {"random", "gradient"}, default="gradient"
        Which rows of the class are changed into poison: those with the largest
        gradients, or any.
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
        Objective (see Notes) at the start of each stage between trainings and after
        each step, of the best start. The rows are those with the lowest entry of the
        last stage; with ``augment``, the last ones.
    <classes_>

    Raises
    ------
    ValueError
        At fit, if a parameter is invalid, or a network does not have one logit for each
        label.
    TypeError
        At fit, if ``net`` is not a skorch net (a pipeline is not), or rows are not
        floating point numbers.

    See Also
    --------
    GradientMatchingAttack : The same with one target in place of a trigger.
    TriggerBackdoorAttack : Poison that shows the trigger.
    evaluate_backdoor : Measures such attacks with and without a defense.

    Notes
    -----
    With the mean gradient, over all parameters of a network, of the losses of source
    rows with trigger and intended label, g, and of poison rows x_1, ..., x_k with their
    own, the objective is

        1 - cos(g, 1 / k sum_j g(x_j)),

    the mean of this over networks if there are several. It is not comparable between
    stages, as each has other networks; restarts are compared by the last.

    The penalty of ``adaptive`` is the mean squared distance of the poison rows'
    probabilities from their mean, averaged over networks: labels agree, so these differ
    as much as EPIC's gradient proxies do.

    Networks run in evaluation mode. Callbacks of scikit-learn, such as its
    ``ProgressBar``, are called at each step.

    References
    ----------
    .. [1] H. Souri, L. Fowl, R. Chellappa, M. Goldblum and T. Goldstein, "Sleeper
       Agent: Scalable Hidden Trigger Backdoors for Neural Networks Trained from
       Scratch", NeurIPS 2022, equation (4) and algorithm 1.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from skpoison.neural import (
    ...     FilteredNetClassifier, SleeperAgentAttack, Trigger
    ... )
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X / 16).astype("float32")
    >>> net = FilteredNetClassifier(
    ...     torch.nn.Linear, module__in_features=64, module__out_features=10,
    ...     lr=0.5, max_epochs=5, verbose=0,
    ... )
    >>> attack = SleeperAgentAttack(
    ...     net, Trigger([1.0] * 8), intended_label=8, source_label=0,
    ...     radius=0.3, n_steps=30, n_retrain=1, random_state=0,
    ... )
    >>> X_poison, y_poison = attack.poison(X, y)
    >>> X_poison.shape, set(y_poison.tolist())
    ((17, 64), {8})
    >>> attack.objective_[15] < 0.8 * attack.objective_[0]
    True
    """

    _parameter_constraints: dict = {
        **BaseMatchingAttack._parameter_constraints,
        "net": [HasMethods(["fit", "predict"]), list, tuple],
        "trigger": [callable, None],
        "source_label": "no_validation",
        "n_retrain": [at_least(0)],
    }

    def __init__(
        self,
        net=None,
        trigger=None,
        intended_label=None,
        source_label=None,
        *,
        epsilon=0.01,
        radius=0.1,
        norm="linf",
        value_range=(0.0, 1.0),
        n_steps=250,
        step_size=0.3,
        n_retrain=4,
        n_restarts=1,
        selection="gradient",
        augment=None,
        adaptive=0.0,
        replace=False,
        batch_size=256,
        random_state=None,
    ):
        self.net = net
        self.trigger = trigger
        self.intended_label = intended_label
        self.source_label = source_label
        self.epsilon = epsilon
        self.radius = radius
        self.norm = norm
        self.value_range = value_range
        self.n_steps = n_steps
        self.step_size = step_size
        self.n_retrain = n_retrain
        self.n_restarts = n_restarts
        self.selection = selection
        self.augment = augment
        self.adaptive = adaptive
        self.replace = replace
        self.batch_size = batch_size
        self.random_state = random_state

    def _nets(self):
        nets = self.net if isinstance(self.net, list | tuple) else [self.net]
        if not nets:
            raise ValueError("net must be a net or a list of one at least; got [].")
        for net in nets:
            if not hasattr(net, "initialize_module"):
                raise TypeError(
                    f"net must be a skorch net or a list of these; got "
                    f"{type(net).__name__}. Gradients do not go through the "
                    "transformers of a pipeline: give the net at its end."
                )
        return nets

    def _check(self, rows):
        self._nets()
        if self.n_retrain >= self.n_steps and self.n_retrain:
            raise ValueError(
                f"n_retrain={self.n_retrain} must be less than n_steps="
                f"{self.n_steps}: no step would follow some of the trainings."
            )
        check_trigger(self.trigger, rows)
        check_source(self.source_label, self.intended_label, self.classes_)

    def _modules(self, rows, labels, rng):
        with seeded(int(rng.randint(2**31))):
            return self._trained(rows, labels)

    def _trained(self, rows, labels):
        """Train surrogates from their initial parameters."""
        fitted = [clone(net).fit(rows, labels) for net in self._nets()]
        return [as_module(net).eval() for net in fitted]

    def _wanted(self, gradients, rows, labels):
        source = rows[torch.from_numpy(np.flatnonzero(labels == self.source_label))]
        codes = self._codes([self.intended_label]).expand(len(source))
        return gradients.mean(put_trigger(self.trigger, source), codes)

    def _space(self, modules, allowed, rows, labels):
        space = super()._space(modules, allowed, rows, labels)
        space.clean_goals, space.data = space.goals, (rows, labels)
        return space

    def _merit(self, objective):
        n_last = self._stages()[-1] + 1
        return super()._merit(objective[-n_last:])

    def _stages(self):
        """Return the number of steps between trainings."""
        steps = np.array_split(np.arange(self.n_steps), self.n_retrain + 1)
        return [len(part) for part in steps]

    def _craft(self, space, start, monitor):
        space.aim(space.clean_goals)
        descent = SignedDescent(space, start, self.step_size, self.n_steps)
        for stage, n_steps in enumerate(self._stages()):
            if stage:
                self._retrain(space, descent.rows)
            rows = descent.run(n_steps, monitor)
        return rows, descent.objective

    def _retrain(self, space, poison):
        """Retrain surrogates with poison, and match their gradients from now on."""
        rows, labels = space.data
        poison = poison.to(rows)
        if self.replace:
            data = overwritten(rows, self.base_indices_, poison), labels
        else:
            own = labels[self.base_indices_]
            data = torch.cat([rows, poison]), np.concatenate([labels, own])
        gradients = self._gradients(self._trained(*data))
        space.aim([(each, self._wanted(each, rows, labels)) for each in gradients])
