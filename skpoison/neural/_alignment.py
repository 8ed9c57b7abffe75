"""How features of rows align with those of targets, at checkpoints of a training."""

from copy import deepcopy

import torch
from skorch.callbacks import Callback
from skorch.dataset import unpack_data

from skpoison.neural._features import flat
from skpoison.neural._net import modules_of
from skpoison.neural._recorded import left_out
from skpoison.neural._seeded import everything_restored

N_CHECKPOINTS = 5


class Checkpoints(Callback):
    """Remember parameters at evenly spaced epochs, the last of them included.

    Attributes
    ----------
    states_ : dict of int to dict of Tensor
        Parameters of all modules by epoch, on the CPU.
    """

    def on_train_begin(self, net, **kwargs):
        """Begin anew."""
        self.states_ = {}
        n_epochs = net.max_epochs
        n_kept = min(N_CHECKPOINTS, n_epochs)
        self.epochs_ = {round(n_epochs * (i + 1) / n_kept) for i in range(n_kept)}

    def on_epoch_end(self, net, **kwargs):
        """Remember the parameters, if this is a checkpoint."""
        epoch = len(net.history)
        if epoch in self.epochs_:
            self.states_[epoch] = {
                name: value.detach().cpu().clone()
                for name, value in modules_of(net).state_dict().items()
            }


def alignment(net, states, X, X_target):
    """Return how much rows' features align with those of targets, over checkpoints.

    Parameters
    ----------
    net : skorch net
        Trained.
    states : dict of int to dict of Tensor
        Its parameters at the end of some epochs; where there are none, the last ones
        count.
    X, X_target : array-like
        Training rows and targets.

    Returns
    -------
    alignment : ndarray of shape (n_rows, n_targets)
        Inner products of the features that the last layer is given, centered on the
        mean of the rows, in multiples of the mean square of these; the mean over
        checkpoints. Rows that the net had dropped by then count 0.
    """
    modules = modules_of(net)
    before = deepcopy(modules.state_dict())
    total = 0.0
    try:
        for epoch, state in (states or {len(net.history): before}).items():
            modules.load_state_dict(state)
            rows, targets = (last_features(net, one) for one in (X, X_target))
            center = rows.mean(dim=0)
            rows, targets = rows - center, targets - center
            scale = rows.square().sum(dim=1).mean().clamp_min(1e-12)
            products = (rows @ targets.T / scale).cpu().numpy()
            total = total + products * _was_trained_on(net, epoch, len(products))
    finally:
        modules.load_state_dict(before)
    return total / max(1, len(states))


def _was_trained_on(net, epoch, n_rows):
    """Return, as a column, which rows had not been dropped; nets may drop none."""
    return ~left_out(net, epoch, n_rows)[:, None]


def last_features(net, X):
    """Return what the last linear layer is given for each row, or else the outputs.

    In batches, on the device of the net, in evaluation mode; random streams are left as
    they were. The result is a Tensor of shape (n_rows, n_features), float32.
    """
    loader = net.get_iterator(net.get_dataset(X), training=False)
    linear = [m for m in modules_of(net).modules() if isinstance(m, torch.nn.Linear)]
    with everything_restored(net, loader), torch.no_grad():
        parts = [_into_last(net, batch, linear) for batch in loader]
    return torch.cat(parts)


def _into_last(net, batch, linear):
    calls = []

    def note(layer, given, made):
        calls.append((given[0], made))

    handles = [layer.register_forward_hook(note) for layer in linear]
    try:
        output = net.evaluation_step(unpack_data(batch), training=False)
    finally:
        for handle in handles:
            handle.remove()
    output = output[0] if isinstance(output, tuple) else output
    into = [given for given, made in calls if made is output]
    given = into[-1] if into else calls[-1][0] if calls else output
    return flat(given).detach().float()
