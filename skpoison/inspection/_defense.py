"""Plot of the cost and effect of a defense's parameter."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skpoison._column_types import RowsLike
from skpoison.bounds import CertifiedBound
from skpoison.evaluation import DefenseSearchCV, neg_loss_scorer

from ._style import BLUE, GREEN, GREY, LINE, SMALL, VERMILION, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOKS = {
    "attacked_loss": ("under attack, held out", VERMILION, "-", "o"),
    "clean_loss": ("no attack, held out", GREEN, "--", "D"),
    "upper_bound": ("certified bound, training", BLUE, "-.", "s"),
}


class DefenseDisplay:
    """Plot of held-out loss with and without attack over a defense's parameter.

    It is recommended to use :meth:`from_search` to create a :class:`DefenseDisplay`.
    All parameters are stored as attributes.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        The parameter's values.
    attacked_loss : ndarray of shape (n_values,)
        Loss on held-out clean rows after training on clean and poison rows.
    clean_loss : ndarray of shape (n_values,)
        The same without poison: the cost of the defense.
    upper_bound : ndarray of shape (n_values,), default=None
        Certified bound on the training loss.
    best : float, default=None
        The chosen value.
    parameter_name : str, default="Percentile"
        Label of the horizontal axis.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The lines by quantity.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains it.

    See Also
    --------
    skpoison.evaluation.DefenseSearchCV : Computes the losses.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.inspection import DefenseDisplay
    >>> display = DefenseDisplay(
    ...     values=np.array([50, 70, 90]),
    ...     attacked_loss=np.array([0.3, 0.2, 0.4]),
    ...     clean_loss=np.array([0.2, 0.1, 0.1]),
    ...     best=70,
    ... ).plot()
    >>> sorted(display.lines_)
    ['attacked_loss', 'clean_loss']
    >>> display.figure_.clear()
    """

    def __init__(
        self,
        *,
        values: ArrayLike,
        attacked_loss: ArrayLike,
        clean_loss: ArrayLike,
        upper_bound: ArrayLike | None = None,
        best: float | None = None,
        parameter_name: str = "Percentile",
    ):
        self.values = values
        self.attacked_loss = attacked_loss
        self.clean_loss = clean_loss
        self.upper_bound = upper_bound
        self.best = best
        self.parameter_name = parameter_name

    @classmethod
    def from_search(
        cls,
        search: DefenseSearchCV,
        *,
        bound: CertifiedBound | None = None,
        X: RowsLike | None = None,
        y: ArrayLike | None = None,
        ax: "Axes | None" = None,
        **plot_kwargs: Any,
    ) -> Self:
        """Plot a search, with the bound for each of its settings.

        Parameters
        ----------
        search : DefenseSearchCV
            A fitted search over one numeric parameter, scored by loss.
        bound : CertifiedBound, default=None
            If given, the bound is also plotted, with the filter of the search's
            estimator in each setting.
        X, y : array-likes, default=None
            Clean rows and their labels, on which the bound is computed.
        ax : matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : DefenseDisplay
            The display, with the plot drawn.

        Raises
        ------
        ValueError
            If the search is not fitted, has several parameters or a non-numeric one, or
            is scored by something other than loss, or if `bound` is given without `X`
            and `y`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_search")
        if bound is not None and (X is None or y is None):
            raise ValueError("bound requires X and y, the clean rows to compute it on.")
        _check_search(search)
        found, name = search.cv_results_, _only_parameter(search)
        values = _numbers([params[name] for params in found["params"]], name)
        order = np.argsort(values)
        bounds = None
        if bound is not None:
            settings = [found["params"][i] for i in order]
            bounds = _bounds(bound, search.estimator, settings, X, y)
        return cls(
            values=values[order],
            attacked_loss=-found["mean_attacked_score"][order],
            clean_loss=-found["mean_clean_score"][order],
            upper_bound=bounds,
            best=float(values[search.best_index_]),
            parameter_name=name.split("__")[-1].replace("_", " ").capitalize(),
        ).plot(ax, **plot_kwargs)

    def plot(
        self, ax: "Axes | None" = None, *, curve_kwargs: dict[str, Any] | None = None
    ) -> Self:
        """Plot the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        curve_kwargs : dict, default=None
            Passed to ``Axes.plot`` for all lines.

        Returns
        -------
        display : DefenseDisplay
            This display.
        """
        ax = axes_for(self, ax)
        self.lines_ = {}
        for name, (label, color, linestyle, marker) in LOOKS.items():
            losses = getattr(self, name)
            if losses is None:
                continue
            look: dict[str, Any] = {
                "color": color,
                "linestyle": linestyle,
                "marker": marker,
                **LINE,
                "label": label,
            }
            look |= curve_kwargs or {}
            (self.lines_[name],) = ax.plot(self.values, losses, **look)
        if self.best is not None:
            ax.axvline(self.best, color=GREY, linewidth=0.8, zorder=1)
        ax.set(xlabel=self.parameter_name, ylabel="Loss")
        ax.set_ylim(bottom=0.0)
        ax.legend(fontsize=SMALL, frameon=False)
        return self


def _check_search(search):
    check_is_fitted(search)
    if "mean_attacked_score" not in search.cv_results_:
        raise ValueError(
            f"search must be a DefenseSearchCV; {type(search).__name__} has no scores "
            "under attack."
        )
    if search.scoring not in (None, neg_loss_scorer):
        raise ValueError(
            "The search must be scored by loss (scoring=None); got "
            f"scoring={search.scoring!r}."
        )


def _numbers(values, name):
    try:
        return np.array(values, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(
            f"The parameter {name} must be numeric; its values are {values}."
        ) from None


def _only_parameter(search):
    names = set().union(*search.cv_results_["params"])
    if len(names) != 1:
        raise ValueError(
            f"The search must have exactly one parameter; got {sorted(names)}."
        )
    return names.pop()


def _bounds(bound, estimator, settings, X, y):
    """Return the upper bound for each setting of an estimator's filter."""
    found = []
    for params in settings:
        defended = clone(estimator).set_params(**params)
        fitted = clone(bound).set_params(filter=defended.filter).fit(X, y)
        found.append(fitted.upper_bound_)
    return np.array(found)
