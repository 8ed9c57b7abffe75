"""Gradients of a network's loss with respect to its parameters, and their cosines."""

import torch
from torch.func import functional_call, vmap
from torch.func import grad as func_grad
from torch.nn.functional import cross_entropy

from skpoison.neural._features import (
    at_least_single,
    home,
    is_recurrent,
    twice_differentiable,
)

# Numbers that the gradients of all rows of a chunk may have together; on a CUDA device,
# this share of its free memory, if that is more.
CHUNK_SIZE = 2**25
CHUNK_SHARE = 0.25


class LossGradients:
    """Gradients of a module's cross-entropy; the module is not changed."""

    def __init__(self, module, n_classes, batch_size):
        self.module, self.n_classes, self.batch_size = module, n_classes, batch_size
        self.home = home(module)
        # Views of the same numbers, so that no gradient is stored in the module.
        self.parameters = {
            name: parameter.detach().requires_grad_()
            for name, parameter in module.named_parameters()
        }
        if not self.parameters:
            raise ValueError("a network without parameters has no gradients.")

    def loss(self, rows, codes):
        """Compute the sum of the cross-entropies of rows."""
        return self._loss(self.parameters, rows, codes)

    def _loss(self, parameters, rows, codes):
        device, dtype = self.home
        with twice_differentiable(self.module):
            logits = functional_call(self.module, parameters, (rows.to(device, dtype),))
        logits = logits[0] if isinstance(logits, tuple) else logits
        if logits.shape[1:] != (self.n_classes,):
            raise ValueError(
                f"the network must return {self.n_classes} logits for each row, one "
                f"for each label; it returns the shape {tuple(logits.shape)}."
            )
        logits = at_least_single(logits)
        return cross_entropy(logits, codes.to(device), reduction="sum")

    def mean(self, rows, codes):
        """Compute the gradient of the mean loss with respect to the parameters."""
        parts = zip(*self._batches(rows, codes), strict=True)
        return sum(self._flat(self.loss(*part)) for part in parts) / len(rows)

    def align(self, rows, codes, goal):
        """Return one minus the cosine of mean gradient and goal, and its gradient."""
        if len(rows) > self.batch_size:
            # Rows of all batches make the slope, so each is looked at twice.
            value, slope = misalignment(self.mean(rows, codes), goal)
            return value, self.gradient_along(rows, codes, slope)
        rows = rows.detach().requires_grad_()
        mean = self._flat(self.loss(rows, codes), create_graph=True) / len(rows)
        value, slope = misalignment(mean.detach(), goal)
        (gradient,) = torch.autograd.grad(mean, rows, slope)
        return value, gradient

    def gradient_along(self, rows, codes, direction):
        """Return the gradient, by the rows, of mean gradient times direction."""
        found = []
        for part, part_codes in zip(*self._batches(rows, codes), strict=True):
            part = part.detach().requires_grad_()
            gradient = self._flat(self.loss(part, part_codes), create_graph=True)
            found += torch.autograd.grad(gradient @ direction / len(rows), part)
        return torch.cat(found)

    def row_norms(self, rows, codes):
        """Compute the norm of each row's gradient with respect to the parameters."""
        parameters = {name: p.detach() for name, p in self.parameters.items()}

        def norm(row, code):
            gradient = func_grad(self._loss)(parameters, row[None], code[None])
            squares = (at_least_single(p).square().sum() for p in gradient.values())
            return sum(squares).sqrt()

        rows, codes = rows.to(*self.home), codes.to(self.home[0])
        with torch.no_grad():
            if is_recurrent(self.module):  # some of these write in place
                pairs = zip(rows, codes, strict=True)
                norms = torch.stack([norm(*pair) for pair in pairs])
            else:
                norms = vmap(norm, chunk_size=self._chunk())(rows, codes)
        return norms.double().cpu().numpy()

    def _chunk(self):
        """Return the number of rows whose gradients fit in memory at once."""
        numbers, (device, dtype) = CHUNK_SIZE, self.home
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            numbers = max(numbers, int(CHUNK_SHARE * free) // dtype.itemsize)
        n_parameters = sum(p.numel() for p in self.parameters.values())
        return max(1, min(self.batch_size, numbers // n_parameters))

    def _batches(self, rows, codes):
        return rows.split(self.batch_size), codes.split(self.batch_size)

    def _flat(self, loss, create_graph=False):
        gradient = torch.autograd.grad(
            loss,
            list(self.parameters.values()),
            create_graph=create_graph,
            materialize_grads=True,
        )
        return torch.cat([at_least_single(part.flatten()) for part in gradient])


def misalignment(gradient, goal):
    """Compute one minus the cosine of two gradients."""
    tiny = torch.finfo(gradient.dtype).tiny
    length = gradient.norm().clamp(min=tiny)
    along, aim = gradient / length, goal / goal.norm().clamp(min=tiny)
    cosine = along @ aim
    return 1 - cosine, (cosine * along - aim) / length
