"""Base class of attacks that move the features of rows, and what they descend on."""

import torch

from skpoison.neural._features import features_of, workplace
from skpoison.neural._perturbation import BasePerturbationAttack, check_target
from skpoison.neural._rows import as_tensor


class BaseFeatureAttack(BasePerturbationAttack):
    """Base class of attacks that move features of rows towards those of a target."""

    _parameter_constraints: dict = {
        **BasePerturbationAttack._parameter_constraints,
        "feature_extractor": [torch.nn.Module, list, tuple, None],
        "target": ["array-like", torch.Tensor, None],
    }

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

    def _space(self, modules, allowed, rows, labels):
        return FeatureSpace(modules, allowed, self.target, self.batch_size)


def spread(points):
    """Return the mean squared distance of points from their mean."""
    return (points - points.mean(dim=0)).square().sum(dim=1).mean()


class FeatureSpace:
    """Losses of the features of perturbed rows, on the first module's device.

    ``goals`` are the features of the target under each module.
    """

    def __init__(self, modules, allowed, target, batch_size):
        self.modules, self.batch_size = modules, batch_size
        self.allowed = allowed.to(*workplace(modules[0]))
        target = as_tensor(target, "target")
        self.target = target.to(self.allowed.bases)
        with torch.no_grad():
            self.goals = [g[0] for g in self.features(self.target[None])]
        if any(not goal.any() for goal in self.goals):
            raise ValueError("the features of the target are all zero.")

    def features(self, rows):
        """Compute features of rows under each module."""
        return features_of(self.modules, rows, self.batch_size)

    def value_and_gradient(self, rows, loss):
        """Return a loss of features (one value, or one a row) and its gradient."""
        rows = rows.detach().requires_grad_()
        value = loss(self.features(rows))
        (gradient,) = torch.autograd.grad(value.sum(), rows)
        return value.detach(), gradient

    def descend(self, start, loss, n_steps, step_size, monitor):
        """Minimize a loss by projected Adam; return the best rows and all values."""
        rows = start.clone()
        adam = torch.optim.Adam([rows], lr=self.allowed.step(step_size))
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
            rows.copy_(self.allowed.project(rows))
            monitor({"step": step + 1, "objective": objective[-1]})
