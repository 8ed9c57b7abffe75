"""Poison that teaches a network a trigger which it never shows."""

from numbers import Integral

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods, Interval

from skpoison.neural._features import as_module
from skpoison.neural._matching import BaseMatchingAttack, SignedDescent
from skpoison.neural._rows import overwritten
from skpoison.neural._seeded import seeded
from skpoison.neural._trigger import check_source, check_trigger, put_trigger

__all__ = ["SleeperAgentAttack"]


class SleeperAgentAttack(BaseMatchingAttack):
    """Change rows so that training on them teaches a network a hidden trigger.

    Scenario: training from scratch. The victim trains a network of his own, from random
    parameters, with rows gathered by himself. The attacker slips some among these,
    changed so little that their labels are right to the eye, and without the trigger.
    Each step that lowers the loss of these rows also lowers that of rows of the source
    class with the trigger and the intended label. So the network takes rows with the
    trigger for the intended class.

    Threat model: the attacker knows the clean rows, or others like them, and how
    networks like the victim's are trained. He changes rows within ``radius`` and
    ``value_range``. He neither chooses labels nor touches training. He can put the
    trigger on new rows of the source class.

    Parameters
    ----------
    net : skorch net or list of these, default=None
        What surrogates are trained by; they are clones, fitted on the clean rows, and
        again on the poisoned ones while these are made. The network has one logit for
        each label; give its class, so that each training begins at random. It must be
        given before :meth:`fit`.
    trigger : callable, default=None
        Takes rows, a Tensor, which it may change, and returns as many rows with the
        trigger: a :class:`Trigger`. It must be given before :meth:`fit`.
    intended_label : label, default=None
        What rows with the trigger shall be taken for. Poison is made of rows of this
        class, and keeps their label. It must be given before :meth:`fit`.
    source_label : label, default=None
        The class whose rows shall be taken for it. It must be given before :meth:`fit`.
    epsilon : float, default=0.01
        Poison rows divided by clean rows, between 0 and 1; poison is made of
        ``floor(epsilon * n)`` rows of the class.
    radius : float, default=0.1
        No poison row is farther than this from the row that it is made of; 16/255 in
        the paper.
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
    n_retrain : int, default=4
        How often surrogates are trained again, on clean rows and the poison as it is,
        after equal numbers of steps.
    n_restarts : int, default=1
        How often the attack is made, each time from rows drawn around the clean ones.
        The rows of the lowest objective are kept.
    selection : {"random", "gradient"}, default="gradient"
        Which rows of the class poison is made of: those whose gradients are largest,
        or any.
    augment : callable, default=None
        What poison goes through before it is seen, such as :class:`RandomCropFlip`,
        for victims who augment: takes and returns rows as tensors, and lets gradients
        through. It may draw torch's random numbers.
    replace : bool, default=False
        What :meth:`fit_resample` does with the rows that poison is made of: with False
        they stay, and poison comes after all clean rows; with True poison takes their
        place, as in the paper's experiments.
    batch_size : int, default=256
        Rows that go through the network at once. The objective is that of all rows,
        whatever the batch, and memory is that of one.
    random_state : int, RandomState instance or None, default=None
        Draws where poison starts, augmentation, and all that training draws.

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
        The objective (see Notes) at the start of each stage between trainings and after
        each step, of the start that was best. The rows are those of the lowest entry of
        the last stage; with ``augment`` the last.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    Raises
    ------
    ValueError
        At fit, if a parameter is no good, or a network has not one logit for each
        label.
    TypeError
        At fit, if ``net`` is no skorch net (a pipeline is none), or rows are no
        floating point numbers.

    See Also
    --------
    GradientMatchingAttack : The same towards one target in place of a trigger.
    TriggerBackdoorAttack : Poison that shows the trigger.
    evaluate_backdoor : How many rows with the trigger are taken for the class.

    Notes
    -----
    With the mean gradient, over all parameters of a network, of the losses of source
    rows with trigger and intended label, g, and of poison rows x_1, ..., x_k with their
    own, the objective is

        1 - cos(g, 1 / k sum_j g(x_j)),

    the mean of this over networks if there are several. It is not comparable between
    stages, as each has other networks; restarts are compared by the last.

    Networks are looked at in evaluation mode. Callbacks of scikit-learn, such as its
    ``ProgressBar``, see each step.

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
        "n_retrain": [Interval(Integral, 0, None, closed="left")],
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
        self.trigger = trigger
        self.source_label = source_label
        self.n_retrain = n_retrain

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
        check_trigger(self.trigger, rows)
        check_source(self.source_label, self.intended_label, self.classes_)

    def _modules(self, rows, labels, rng):
        with seeded(int(rng.randint(2**31))):
            return self._trained(rows, labels)

    def _trained(self, rows, labels):
        """Train surrogates, each from its own beginning."""
        fitted = [clone(net).fit(rows, labels) for net in self._nets()]
        return [as_module(net).eval() for net in fitted]

    def _wanted(self, gradients, rows, labels):
        source = rows[torch.from_numpy(np.flatnonzero(labels == self.source_label))]
        codes = self._codes([self.intended_label]).expand(len(source))
        return gradients.mean(put_trigger(self.trigger, source), codes)

    def _space(self, modules, room, rows, labels):
        space = super()._space(modules, room, rows, labels)
        space.clean_goals, space.data = space.goals, (rows, labels)
        return space

    def _merit(self, objective):
        n_last = self._stages()[-1] + 1
        return super()._merit(objective[-n_last:])

    def _stages(self):
        """Return how many steps there are between trainings."""
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
        """Train surrogates on poison too, and aim at what they have yet to learn."""
        rows, labels = space.data
        poison = poison.to(rows)
        if self.replace:
            data = overwritten(rows, self.base_indices_, poison), labels
        else:
            own = labels[self.base_indices_]
            data = torch.cat([rows, poison]), np.concatenate([labels, own])
        gradients = self._gradients(self._trained(*data))
        space.aim([(each, self._wanted(each, rows, labels)) for each in gradients])
