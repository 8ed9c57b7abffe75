"""Gradients of a network's loss, with respect to all parameters, and their angles."""

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
    """Gradients of a module's cross-entropy, which leave the module as it is.

    Parameters
    ----------
    module : torch.nn.Module
        Returns logits, or a tuple that begins with them. It runs in the mode that it
        is in.
    n_classes : int
        How many logits there must be.
    batch_size : int
        Rows at a time.

    Raises
    ------
    ValueError
        If the module has no parameters; at use, if there are other logits.
    """

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
        """Compute the sum of the cross-entropies of rows.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, ...)
            Rows.
        codes : Tensor of shape (n_rows,)
            Positions of their labels.

        Returns
        -------
        loss : Tensor
            The sum.
        """
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
        """Compute the gradient of the mean loss with respect to all parameters.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, ...)
            Rows.
        codes : Tensor of shape (n_rows,)
            Positions of their labels.

        Returns
        -------
        gradient : Tensor of shape (n_parameters,)
            One flat vector.
        """
        parts = zip(*self._batches(rows, codes), strict=True)
        return sum(self._flat(self.loss(*part)) for part in parts) / len(rows)

    def align(self, rows, codes, goal):
        """Compute one minus the cosine of the mean gradient and a goal, and its slope.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, ...)
            Rows.
        codes : Tensor of shape (n_rows,)
            Positions of their labels.
        goal : Tensor of shape (n_parameters,)
            The direction that is wanted.

        Returns
        -------
        value : Tensor
            One minus the cosine.
        gradient : Tensor of shape (n_rows, ...)
            Its gradient with respect to the rows, on their device.
        """
        if len(rows) > self.batch_size:
            # Rows of all batches make the slope, so each is looked at twice.
            value, slope = misalignment(self.mean(rows, codes), goal)
            return value, self.pull(rows, codes, slope)
        rows = rows.detach().requires_grad_()
        mean = self._flat(self.loss(rows, codes), create_graph=True) / len(rows)
        value, slope = misalignment(mean.detach(), goal)
        (gradient,) = torch.autograd.grad(mean, rows, slope)
        return value, gradient

    def pull(self, rows, codes, direction):
        """Compute how rows change the mean gradient's product with a direction.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, ...)
            Rows.
        codes : Tensor of shape (n_rows,)
            Positions of their labels.
        direction : Tensor of shape (n_parameters,)
            The direction.

        Returns
        -------
        gradient : Tensor of shape (n_rows, ...)
            Of the product, with respect to the rows, on their device.
        """
        found = []
        for part, part_codes in zip(*self._batches(rows, codes), strict=True):
            part = part.detach().requires_grad_()
            gradient = self._flat(self.loss(part, part_codes), create_graph=True)
            found += torch.autograd.grad(gradient @ direction / len(rows), part)
        return torch.cat(found)

    def row_norms(self, rows, codes):
        """Compute the length of each row's gradient with respect to all parameters.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, ...)
            Rows.
        codes : Tensor of shape (n_rows,)
            Positions of their labels.

        Returns
        -------
        norms : ndarray of shape (n_rows,)
            Lengths.
        """
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
        """Return for how many rows at a time there is room for gradients."""
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
    """Compute one minus the cosine of the angle between two gradients.

    Parameters
    ----------
    gradient, goal : Tensor of shape (n_parameters,)
        The gradients.

    Returns
    -------
    value : Tensor
        Between 0, for the same direction, and 2, for the opposite one.
    slope : Tensor of shape (n_parameters,)
        Its gradient with respect to `gradient`.
    """
    tiny = torch.finfo(gradient.dtype).tiny
    length = gradient.norm().clamp(min=tiny)
    along, aim = gradient / length, goal / goal.norm().clamp(min=tiny)
    cosine = along @ aim
    return 1 - cosine, (cosine * along - aim) / length
