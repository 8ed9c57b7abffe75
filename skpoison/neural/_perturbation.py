"""What attacks share that change rows a little, so that a network sees another row."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from skpoison._labels import check_labels
from skpoison.attacks._containers import like_rows, like_targets, stack
from skpoison.bounds._attack import n_poison_rows
from skpoison.bounds._svc import progress_monitor
from skpoison.neural._features import evaluating, features_of, home, writeable
from skpoison.neural._room import Room


class BasePerturbationAttack(CallbackSupportMixin, BaseEstimator):
    """Base class of attacks that make poison of rows of a class by small changes.

    The labels of the poison are right: what is changed is too little for a person to
    see. A subclass defines ``_craft(space, start, monitor)``, which returns rows and
    the objective after each step.

    Parameters
    ----------
    feature_extractor : torch.nn.Module or list of these, default=None
        What computes features of rows.
    target : {array-like, Tensor} of shape (...), default=None
        The row that the victim shall take for another class.
    intended_label : label, default=None
        That class.
    epsilon : float, default=0.01
        Poison rows divided by clean rows.
    radius : float, default=0.1
        Largest change of a row.
    norm : {"linf", "l2"}, default="linf"
        How changes are measured.
    value_range : tuple of (low, high), default=(0.0, 1.0)
        Between which values rows must lie.
    n_steps : int, default=200
        Steps.
    n_restarts : int, default=1
        How often the attack is made, the first time from the rows themselves.
    replace : bool, default=False
        Whether poison takes the place of the rows that it is made of.
    batch_size : int, default=256
        Rows that go through the network at once.
    random_state : int, RandomState instance or None, default=None
        Draws what is drawn.
    """

    _parameter_constraints: dict = {
        "feature_extractor": [torch.nn.Module, list, tuple, None],
        "target": ["array-like", torch.Tensor, None],
        "intended_label": "no_validation",
        "epsilon": [Interval(Real, 0, 1, closed="both")],
        "radius": [Interval(Real, 0, None, closed="neither")],
        "norm": [StrOptions({"linf", "l2"})],
        "value_range": [tuple, list],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "n_restarts": [Interval(Integral, 1, None, closed="left")],
        "replace": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
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
        self.feature_extractor = feature_extractor
        self.target = target
        self.intended_label = intended_label
        self.epsilon = epsilon
        self.radius = radius
        self.norm = norm
        self.value_range = value_range
        self.n_steps = n_steps
        self.n_restarts = n_restarts
        self.replace = replace
        self.batch_size = batch_size
        self.random_state = random_state

    def fit(self, X, y):
        """Make the poison rows.

        Parameters
        ----------
        X : {array-like, Tensor} of shape (n_samples, ...)
            Clean rows of floating point numbers: images, or rows of a table.
        y : {array-like, Tensor} of shape (n_samples,)
            Their labels.

        Returns
        -------
        self : object
            The attack, with its rows.

        Raises
        ------
        ValueError
            If a parameter, X or y is no good, or there are too few rows of the class.
        TypeError
            If X holds whole numbers, which cannot be changed a little.
        """
        return self._fit(X, y)

    @with_callbacks
    def _fit(self, X, y):
        self._validate_params()
        modules = self._modules()
        rows, labels = self._validate(X, y)
        n_poison = n_poison_rows(self.epsilon, len(rows))
        rng = check_random_state(self.random_state)
        self.base_indices_ = self._bases(labels, n_poison, rng)
        room = self._room(rows)
        self.objective_ = []
        context = self._init_callback_context(
            max_subtasks=self.n_restarts * self.n_steps
        )
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        monitor = progress_monitor(self, context) or (lambda entry: None)
        with evaluating(modules):
            moved = self._best(modules, room, rng, monitor) if n_poison else room.bases
        # In the rows' own precision; the network may have computed in another.
        self.X_poison_ = _as_array(room.project(moved.to(room.bases)))
        self.y_poison_ = labels[self.base_indices_]
        self.poison_mask_ = self._mask(len(rows))
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _mask(self, n_rows):
        if not self.replace:
            return np.arange(n_rows + len(self.y_poison_)) >= n_rows
        return np.isin(np.arange(n_rows), self.base_indices_)

    def poison(self, X, y):
        """Make the poison rows and return them.

        Parameters
        ----------
        X : {array-like, Tensor} of shape (n_samples, ...)
            Clean rows.
        y : {array-like, Tensor} of shape (n_samples,)
            Their labels.

        Returns
        -------
        X_poison : {ndarray, Tensor, DataFrame} of shape (n_poison, ...)
            The poison rows, in the container, precision and device of X.
        y_poison : {ndarray, Tensor, Series} of shape (n_poison,)
            Their labels, all of them ``intended_label``.
        """
        self.fit(X, y)
        return _like_rows(self.X_poison_, X), _like_labels(self.y_poison_, y)

    def fit_resample(self, X, y):
        """Make the poison rows and return them with the clean ones.

        Parameters
        ----------
        X : {array-like, Tensor} of shape (n_samples, ...)
            Clean rows.
        y : {array-like, Tensor} of shape (n_samples,)
            Their labels.

        Returns
        -------
        X : {ndarray, Tensor, DataFrame} of shape (n_samples + n_poison, ...)
            Clean rows and then poison rows; with ``replace=True``, n_samples rows,
            some of them poison. ``poison_mask_`` tells them apart.
        y : {ndarray, Tensor, Series} of shape (n_samples + n_poison,)
            Their labels.
        """
        X_poison, y_poison = self.poison(X, y)
        if self.replace:
            return _overwritten(X, self.base_indices_, X_poison), y
        return _stacked(X, X_poison), _stacked(y, y_poison)

    def _modules(self):
        given = self.feature_extractor
        modules = list(given) if isinstance(given, list | tuple) else [given]
        wrong = [m for m in modules if not isinstance(m, torch.nn.Module)]
        if wrong or not modules:
            raise ValueError(
                "feature_extractor must be a torch.nn.Module or a list of these; got "
                f"{given!r}."
            )
        return modules

    def _validate(self, X, y):
        """Return rows as a tensor and labels as an array; set ``classes_``."""
        rows = _as_tensor(X, "X")
        if rows.ndim < 2:
            raise ValueError(f"X must have rows; got the shape {tuple(rows.shape)}.")
        labels = check_labels(y.cpu().numpy() if torch.is_tensor(y) else y)
        check_consistent_length(rows, labels)
        self.classes_ = np.unique(labels)
        if self.intended_label not in self.classes_.tolist():
            raise ValueError(
                f"intended_label must be one of the labels {self.classes_.tolist()}; "
                f"got {self.intended_label!r}."
            )
        self._check_target(rows)
        return rows, labels

    def _check_target(self, rows):
        if self.target is None:
            raise ValueError("target must be a row; got None.")
        target = _as_tensor(self.target, "target")
        if target.shape != rows.shape[1:]:
            raise ValueError(
                f"target must be a row like those of X, of the shape "
                f"{tuple(rows.shape[1:])}; got the shape {tuple(target.shape)}."
            )

    def _bases(self, labels, n_poison, rng):
        """Draw the rows that poison is made of."""
        rows = np.flatnonzero(labels == self.intended_label)
        if len(rows) < n_poison:
            raise ValueError(
                f"epsilon={self.epsilon!r} asks for {n_poison} poison rows, but only "
                f"{len(rows)} rows have the label {self.intended_label!r}."
            )
        return np.sort(rng.permutation(rows)[:n_poison])

    def _room(self, rows):
        bases = rows[torch.from_numpy(self.base_indices_)]
        bounds = [
            torch.as_tensor(np.asarray(bound), dtype=rows.dtype, device=rows.device)
            for bound in self.value_range
        ]
        if len(bounds) != 2 or not (bounds[0] < bounds[1]).all():
            raise ValueError(
                f"value_range must be (low, high), low < high; got "
                f"{self.value_range!r}."
            )
        low, high = bounds
        if ((rows < low) | (rows > high)).any():
            raise ValueError(
                f"X must lie within value_range={self.value_range!r}; it has values "
                f"from {rows.min():.4g} to {rows.max():.4g}."
            )
        return Room(bases, float(self.radius), self.norm, low, high)

    def _best(self, modules, room, rng, monitor):
        """Make the attack several times; keep the rows of the lowest objective."""
        generator = torch.Generator().manual_seed(int(rng.randint(2**31)))
        space = Space(modules, room, self.target, self.batch_size)
        best = None
        for restart in range(self.n_restarts):
            start = space.room.draw(generator) if restart else self._start(space)
            rows, objective = self._craft(space, start, monitor)
            if best is None or min(objective) < min(self.objective_):
                best, self.objective_ = rows, objective
        return best

    def _start(self, space):
        return space.room.bases


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
        self.room = room.to(*home(modules[0]))
        target = _as_tensor(target, "target")
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


def _as_array(tensor):
    return tensor.cpu().numpy()


def _as_tensor(data, name):
    tensor = data if torch.is_tensor(data) else torch.from_numpy(_float_array(data))
    if not tensor.is_floating_point():
        raise TypeError(
            f"{name} must hold floating point numbers, which can be changed a little; "
            f"it holds {tensor.dtype}. Divide pixels by 255."
        )
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} holds NaN or infinity.")
    return tensor.detach()


def _float_array(data):
    array = np.asarray(data)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"numbers are needed; got an array of dtype {array.dtype}.")
    return writeable(array)


def _like_rows(rows, X):
    if torch.is_tensor(X):
        return torch.from_numpy(rows).to(X)
    return like_rows(rows, X)


def _like_labels(labels, y):
    if torch.is_tensor(y):
        return torch.from_numpy(labels).to(y)
    return like_targets(labels, y)


def _stacked(first, second):
    if torch.is_tensor(first):
        return torch.cat([first, second])
    return stack(first, second)


def _overwritten(X, rows, poison):
    if hasattr(X, "iloc"):
        X = X.copy()
        X.iloc[rows] = poison.to_numpy()
        return X
    X = X.clone() if torch.is_tensor(X) else np.array(X)
    X[rows] = poison
    return X
