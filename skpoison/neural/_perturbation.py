"""Base class of attacks that make poison by small perturbations of rows."""

from functools import partial
from numbers import Real

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import StrOptions

from skpoison._labels import check_labels
from skpoison._progress import progress_monitor
from skpoison._whole_rows import n_poison_rows
from skpoison.neural._allowed import AllowedRows
from skpoison.neural._features import evaluating
from skpoison.neural._parameters import LARGEST, Number, at_least, range_bounds
from skpoison.neural._rows import (
    as_tensor,
    labels_like,
    overwritten,
    rows_like,
    stacked,
    without_tensor,
)


class BasePerturbationAttack(CallbackSupportMixin, BaseEstimator):
    """Base class of attacks that make poison by small perturbations of rows of a class.

    A subclass has a constructor, and defines

    - ``_modules(rows, labels, rng)``, the networks that are attacked;
    - ``_space(modules, allowed, rows, labels)``, an object that holds ``allowed``;
    - ``_craft(space, start, monitor)``, which returns allowed rows and the
      objective after each step;
    - and where it differs ``_check(rows)``, ``_bases``, ``_start``, ``_finish``.
    """

    _parameter_constraints: dict = {
        "intended_label": "no_validation",
        "epsilon": [Number(Real, 0, 1, closed="both")],
        "radius": [Number(Real, 0, LARGEST, closed="right")],
        "norm": [StrOptions({"linf", "l2"})],
        "value_range": [tuple, list],
        "n_steps": [at_least(1)],
        "n_restarts": [at_least(1)],
        "replace": ["boolean"],
        "batch_size": [at_least(1)],
        "random_state": ["random_state"],
    }

    def fit(self, X, y):
        """Craft the poison rows.

        Parameters
        ----------
        X : {array-like, Tensor} of shape (n_samples, ...)
            Clean rows of floating point numbers: images, or rows of a table.
        y : {array-like, Tensor} of shape (n_samples,)
            Their labels.

        Returns
        -------
        self : object
            The fitted attack.

        Raises
        ------
        ValueError
            If a parameter, X or y is invalid, there are too few rows of the class, or a
            positive ``epsilon`` is less than one row; if a network returns NaN or
            infinity.
        TypeError
            If X holds whole numbers, which cannot be changed a little.
        """
        return self._fit(X, y)

    @with_callbacks
    def _fit(self, X, y):
        self._validate_params()
        rows, labels = self._validate(X, y)
        n_poison = self._n_poison(len(rows))
        rng = check_random_state(self.random_state)
        modules = self._modules(rows, labels, rng)
        context = self._init_callback_context(
            max_subtasks=self.n_restarts * self.n_steps
        )
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        monitor = _watch(progress_monitor(self, context))
        with evaluating(modules):
            self.base_indices_ = self._bases(modules, rows, labels, n_poison, rng)
            self._make(modules, rows, labels, rng, monitor)
        self.poison_mask_ = self._mask(len(rows))
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _n_poison(self, n_rows):
        found = n_poison_rows(self.epsilon, n_rows)
        if self.epsilon and not found:
            raise ValueError(
                f"epsilon={self.epsilon!r} of {n_rows} rows is less than one row of "
                f"poison; the smallest is epsilon=1/{n_rows}."
            )
        return found

    def _make(self, modules, rows, labels, rng, monitor):
        """Perturb the rows that poison is made from, and label them."""
        self.objective_ = []
        allowed = self._allowed(rows)
        moved = allowed.bases
        if len(moved):
            generator = torch.Generator().manual_seed(int(rng.randint(2**31)))
            space = self._space(modules, allowed, rows, labels)
            # Without a space, rows stay as they are.
            moved = moved if space is None else self._best(space, generator, monitor)
        # In the rows' own precision; the network may have computed in another.
        self.X_poison_ = without_tensor(
            self._finish(allowed.project(moved.to(allowed.bases)))
        )
        self.y_poison_ = np.full(len(moved), self.intended_label, dtype=labels.dtype)

    def _mask(self, n_rows):
        if not self.replace:
            return np.arange(n_rows + len(self.y_poison_)) >= n_rows
        return np.isin(np.arange(n_rows), self.base_indices_)

    def poison(self, X, y):
        """Craft the poison rows and return them.

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
        return rows_like(self.X_poison_, X), labels_like(self.y_poison_, y)

    def fit_resample(self, X, y):
        """Craft the poison rows and return them with the clean ones.

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
            return (
                overwritten(X, self.base_indices_, X_poison),
                overwritten(y, self.base_indices_, y_poison),
            )
        return stacked(X, X_poison), stacked(y, y_poison)

    def _validate(self, X, y):
        """Return rows as a tensor and labels as an array; set ``classes_``."""
        rows = as_tensor(X, "X")
        if rows.ndim < 2:
            raise ValueError(f"X must have rows; got the shape {tuple(rows.shape)}.")
        labels = check_labels(without_tensor(y))
        check_consistent_length(rows, labels)
        self.classes_ = np.unique(labels)
        if self.intended_label not in self.classes_.tolist():
            raise ValueError(
                f"intended_label must be one of the labels {self.classes_.tolist()}; "
                f"got {self.intended_label!r}."
            )
        self._check_range(rows)
        self._check(rows)
        return rows, labels

    def _check(self, rows):
        """Check parameters that only this attack has."""

    def _candidates(self, labels, n_poison):
        """Return the rows that poison can be made from."""
        found = np.flatnonzero(labels == self.intended_label)
        if len(found) < n_poison:
            raise ValueError(
                f"epsilon={self.epsilon!r} asks for {n_poison} poison rows, but only "
                f"{len(found)} rows have the label {self.intended_label!r}."
            )
        return found

    def _bases(self, modules, rows, labels, n_poison, rng):
        """Draw the rows that poison is made from."""
        found = self._candidates(labels, n_poison)
        return np.sort(rng.permutation(found)[:n_poison])

    def _allowed(self, rows):
        bases = rows[torch.from_numpy(self.base_indices_)]
        low, high = self._range(rows)
        return AllowedRows(bases, float(self.radius), self.norm, low, high)

    def _range(self, rows):
        """Return the bounds of values as tensors like the rows."""
        return [
            torch.as_tensor(bound, dtype=rows.dtype, device=rows.device)
            for bound in range_bounds(self.value_range)
        ]

    def _check_range(self, rows):
        low, high = self._range(rows)
        if ((rows < low) | (rows > high)).any():
            raise ValueError(
                f"X must lie within value_range={self.value_range!r}; it has values "
                f"from {rows.min():.4g} to {rows.max():.4g}."
            )

    def _best(self, space, generator, monitor):
        """Start the attack several times; return the rows with the lowest objective."""
        best = None
        for restart in range(self.n_restarts):
            drawn = space.allowed.draw if restart else partial(self._start, space)
            rows, objective = self._craft(space, drawn(generator), monitor)
            if best is None or self._merit(objective) < self._merit(self.objective_):
                best, self.objective_ = rows, objective
        return best

    def _merit(self, objective):
        """Return the value by which restarts are compared; lower is better."""
        return min(objective)

    def _start(self, space, generator):
        return space.allowed.bases

    def _finish(self, rows):
        """Return the poison that perturbed rows become."""
        return rows


def _watch(monitor):
    """Return a monitor of steps that also stops an attack that has diverged."""

    def tell(entry):
        if not np.isfinite(entry["objective"]):
            raise ValueError(
                f"the objective of the attack is {entry['objective']}: a network, or "
                "its gradient, is NaN or infinity; its training may have diverged."
            )
        if monitor is not None:
            monitor(entry)

    return tell


def check_target(target, rows):
    """Check that a target has the shape and type of a row."""
    if target is None:
        raise ValueError("target must be a row; got None.")
    target = as_tensor(target, "target")
    if target.shape != rows.shape[1:]:
        raise ValueError(
            f"target must be a row like those of X, of the shape "
            f"{tuple(rows.shape[1:])}; got the shape {tuple(target.shape)}."
        )
