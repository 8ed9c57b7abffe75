"""Base class of attacks that align the gradients of poison with another gradient."""

import numpy as np
import torch
from sklearn.utils._param_validation import StrOptions

from skpoison.neural._features import as_module, features_of, workplace
from skpoison.neural._gradients import LossGradients
from skpoison.neural._parameters import STEP, WEIGHT
from skpoison.neural._perturbation import BasePerturbationAttack
from skpoison.neural._seeded import seeded
from skpoison.neural._space import spread

# When, of all steps, steps become ten times shorter.
MILESTONES = (3 / 8, 5 / 8, 7 / 8)


class BaseMatchingAttack(BasePerturbationAttack):
    """Base class of attacks by gradient matching.

    A subclass defines ``_wanted(gradients, rows, labels)``: the gradient that poison
    should have, under one network.
    """

    _parameter_constraints: dict = {
        **BasePerturbationAttack._parameter_constraints,
        "net": "no_validation",
        "step_size": [STEP],
        "selection": [StrOptions({"random", "gradient"})],
        "augment": [callable, None],
        "adaptive": [WEIGHT],
    }

    def _modules(self, rows, labels, rng):
        given = self.net if isinstance(self.net, list | tuple) else [self.net]
        if not given:
            raise ValueError("net must be a network or a list of one at least; got [].")
        return [as_module(net) for net in given]

    def _gradients(self, modules):
        n_classes = len(self.classes_)
        return [LossGradients(m, n_classes, self.batch_size) for m in modules]

    def _codes(self, labels):
        return torch.from_numpy(np.searchsorted(self.classes_, labels))

    def _bases(self, modules, rows, labels, n_poison, rng):
        if self.selection == "random":
            return super()._bases(modules, rows, labels, n_poison, rng)
        found = self._candidates(labels, n_poison)
        candidates = rows[torch.from_numpy(found)], self._codes(labels[found])
        norms = sum(g.row_norms(*candidates) for g in self._gradients(modules))
        return np.sort(found[np.argsort(-norms, kind="stable")[:n_poison]])

    def _space(self, modules, allowed, rows, labels):
        codes = self._codes(np.array([self.intended_label]))
        space = Matching(
            allowed.to(*workplace(modules[0])), codes, self.augment, self.adaptive
        )
        space.aim(
            [(g, self._wanted(g, rows, labels)) for g in self._gradients(modules)]
        )
        return space

    def _best(self, space, generator, monitor):
        with seeded(generator.initial_seed()):
            return super()._best(space, generator, monitor)

    def _merit(self, objective):
        if self.augment is None:
            return min(objective)
        return np.mean(objective[-(1 + len(objective) // 10) :])

    def _start(self, space, generator):
        return space.allowed.draw(generator)

    def _craft(self, space, start, monitor):
        descent = SignedDescent(space, start, self.step_size, self.n_steps)
        return descent.run(self.n_steps, monitor), descent.objective


class Matching:
    """Mean misalignment of the gradients of poison with the wanted ones.

    With ``adaptive``, so many times the spread of the gradients' proxies comes on top.
    """

    def __init__(self, allowed, codes, augment=None, adaptive=0.0):
        self.allowed, self.codes, self.augment = allowed, codes, augment
        self.adaptive, self.goals = adaptive, []

    @property
    def noisy(self):
        """Whether values are random."""
        return self.augment is not None

    def aim(self, goals):
        """Set pairs of LossGradients and wanted gradient, one for each network."""
        if any(not goal.any() for _, goal in goals):
            raise ValueError(
                "the gradient that poison should have is zero: the network already "
                "gives the intended label, with certainty."
            )
        self.goals = goals

    def value_and_gradient(self, rows):
        """Compute one minus the cosine, and its gradient with respect to the rows."""
        rows = rows.detach().requires_grad_()
        seen = rows if self.augment is None else self.augment(rows)
        values, gradients = zip(
            *(self._one(seen.detach(), *goal) for goal in self.goals), strict=True
        )
        value, gradient = sum(values) / len(values), sum(gradients) / len(gradients)
        if self.adaptive:
            more, further = self._spread(seen.detach())
            value, gradient = value + more, gradient + further
        if seen is not rows:
            (gradient,) = torch.autograd.grad(seen, rows, gradient)
        return value, gradient

    def _spread(self, rows):
        """Weigh the spread of proxies; it is that of probabilities, as labels agree."""
        rows = rows.requires_grad_()
        spreads = [
            spread(torch.softmax(logits, dim=1))
            for gradients, _ in self.goals
            for logits in features_of([gradients.module], rows, gradients.batch_size)
        ]
        value = self.adaptive * sum(spreads) / len(spreads)
        (gradient,) = torch.autograd.grad(value, rows)
        return value.detach(), gradient

    def _one(self, rows, gradients, goal):
        value, gradient = gradients.align(rows, self.codes.expand(len(rows)), goal)
        return value.to(rows), gradient


class SignedDescent:
    """Projected Adam on the signs of gradients, with a step schedule of tenths."""

    def __init__(self, space, start, step_size, n_steps):
        self.space, self.rows, self.objective = space, start.clone(), []
        self.adam = torch.optim.Adam([self.rows], lr=space.allowed.step(step_size))
        milestones = [int(share * n_steps) for share in MILESTONES]
        self.decay = torch.optim.lr_scheduler.MultiStepLR(self.adam, milestones)
        self.n_done = 0

    def run(self, n_steps, monitor):
        """Make some steps; return the rows of the lowest (if noisy, the last) value."""
        best, lowest = self.rows.clone(), np.inf
        for step in range(n_steps + 1):
            value, gradient = self.space.value_and_gradient(self.rows)
            self.objective.append(value.item())
            if self.space.noisy or self.objective[-1] < lowest:
                best.copy_(self.rows)
                lowest = self.objective[-1]
            if step < n_steps:
                self._step(gradient, monitor)
        return best

    def _step(self, gradient, monitor):
        self.rows.grad = gradient.sign()
        self.adam.step()
        self.decay.step()
        self.rows.copy_(self.space.allowed.project(self.rows))
        self.n_done += 1
        monitor({"step": self.n_done, "objective": self.objective[-1]})
