"""Attacks that move features of rows, and the space they move them in."""

import torch

from skpoison.neural._features import features_of, workplace
from skpoison.neural._perturbation import BasePerturbationAttack, check_target
from skpoison.neural._rows import as_tensor


class BaseFeatureAttack(BasePerturbationAttack):
    """Base class of attacks that bring features of rows near to those of a target.

    Parameters
    ----------
    feature_extractor : torch.nn.Module or list of these, default=None
        What computes features of rows.
    target : {array-like, Tensor} of shape (...), default=None
        The row that the victim shall take for another class.
    intended_label : label, default=None
        That class.
    **params : dict
        As in :class:`BasePerturbationAttack`.
    """

    _parameter_constraints: dict = {
        **BasePerturbationAttack._parameter_constraints,
        "feature_extractor": [torch.nn.Module, list, tuple, None],
        "target": ["array-like", torch.Tensor, None],
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
        self.feature_extractor = feature_extractor
        self.target = target

    def _modules(self, rows, labels, rng):
        given = self.feature_extractor
        modules = list(given) if isinstance(given, list | tuple) else [given]
        wrong = [m for m in modules if not isinstance(m, torch.nn.Module)]
        if wrong or not modules:
            raise ValueError(
                "feature_extractor must be a torch.nn.Module or a list of these; got "
                f"{given!r}."
            )
        return modules

    def _check(self, rows):
        check_target(self.target, rows)

    def _space(self, modules, room, rows, labels):
        return Space(modules, room, self.target, self.batch_size)


class Space:
    """Rows that may be changed, and how far their features are from a target's.

    Parameters
    ----------
    modules : list of torch.nn.Module
        Feature extractors.
    room : Room
        Where rows may go.
    target : {array-like, Tensor}
        The row to come near to.
    batch_size : int
        Rows at a time.

    Attributes
    ----------
    room : Room
        On the device and in the precision of the first module.
    target : Tensor
        The target, there.
    goals : list of Tensor of shape (n_features,)
        Its features under each module.
    """

    def __init__(self, modules, room, target, batch_size):
        self.modules, self.batch_size = modules, batch_size
        self.room = room.to(*workplace(modules[0]))
        target = as_tensor(target, "target")
        self.target = target.to(self.room.bases)
        with torch.no_grad():
            self.goals = [g[0] for g in self.features(self.target[None])]
        if any(not goal.any() for goal in self.goals):
            raise ValueError("the features of the target are all zero.")

    def features(self, rows):
        """Compute features of rows under each module."""
        return features_of(self.modules, rows, self.batch_size)

    def value_and_gradient(self, rows, loss):
        """Compute a loss of features, and its gradient with respect to the rows.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, ...)
            Rows.
        loss : callable
            Takes the features under each module; returns a value, or one for each row.

        Returns
        -------
        value : Tensor
            What the loss returns.
        gradient : Tensor of shape (n_rows, ...)
            Gradient of the (sum of the) value.
        """
        rows = rows.detach().requires_grad_()
        value = loss(self.features(rows))
        (gradient,) = torch.autograd.grad(value.sum(), rows)
        return value.detach(), gradient

    def descend(self, start, loss, n_steps, step_size, monitor):
        """Lower a loss by Adam's steps, each followed by a projection.

        Parameters
        ----------
        start : Tensor of shape (n_rows, ...)
            Rows to start from, in the room.
        loss : callable
            Takes the features under each module; returns a value.
        n_steps : int
            Steps; they become shorter, down to zero.
        step_size : float
            The first step, as a share of the radius.
        monitor : callable
            Told of each step.

        Returns
        -------
        rows : Tensor of shape (n_rows, ...)
            Those of the lowest loss that were met.
        objective : list of float
            The loss at the start and after each step.
        """
        rows = start.clone()
        adam = torch.optim.Adam([rows], lr=self.room.step(step_size))
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, n_steps)
        best, objective = rows.clone(), []
        for step in range(n_steps + 1):
            value, rows.grad = self.value_and_gradient(rows, loss)
            objective.append(value.item())
            if objective[-1] == min(objective):
                best.copy_(rows)
            if step == n_steps:
                return best, objective
            adam.step()
            decay.step()
            rows.copy_(self.room.project(rows))
            monitor({"step": step + 1, "objective": objective[-1]})
