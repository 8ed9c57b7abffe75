"""Plot of the test error of defenses over the poison fraction."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Bunch
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._plotting import _validate_style_kwargs

from skpoison._column_types import RowsLike

from ._style import (
    COLORS,
    GREY,
    LINE,
    MARKERS,
    SMALL,
    Curves,
    axes_for,
    check_lengths,
    style_of,
    unwrap,
    wrap,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

METRICS = {"error": "Test error", "loss": "Test loss"}
WORST = "worst of the attacks"
UNDEFENDED = "same poison, no filter"


class RobustnessDisplay:
    """Plot of test error over the poison fraction, with one line for each defense.

    It is recommended to use :meth:`from_results` or :meth:`from_estimator` to create a
    :class:`RobustnessDisplay`. All parameters are stored as attributes. For several
    defenses, pass lists of arrays, one array for each defense.

    Parameters
    ----------
    epsilon : ndarray of shape (n_epsilons,) or list of ndarrays
        Poison rows divided by clean rows.
    defended : ndarray of shape (n_epsilons,) or list of ndarrays
        Test error (or loss) after training on the rows that the defense keeps.
    undefended : ndarray of shape (n_epsilons,) or list of ndarrays, default=None
        The same after training on all rows, including poison rows of attacks that adapt
        to the defense. Without a defense, attacks that need not adapt may do more harm.
    name : str or list of str, default=None
        Names of the defenses; a list if there are several.
    metric_name : str, default="Test error"
        Label of the vertical axis.
    attack_name : str, default=None
        Name of the attack, for the title.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        The line of each defense.
    undefended_lines_ : list of matplotlib Line2D
        The lines without a defense, if plotted.
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains it.

    See Also
    --------
    skpoison.evaluation.evaluate_attack : Computes the results.
    BoundDisplay : Plots the bound that no attack can exceed.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skpoison import SphereFilter
    >>> from skpoison.attacks import LabelFlipAttack
    >>> from skpoison.inspection import RobustnessDisplay
    >>> X, y = make_blobs(400, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> display = RobustnessDisplay.from_estimator(
    ...     LabelFlipAttack(random_state=0),
    ...     {"narrow": SphereFilter(50), "wide": SphereFilter(90)},
    ...     LogisticRegression(),
    ...     X[:300], y[:300], X[300:], y[300:],
    ...     epsilons=[0.0, 0.3],
    ... )
    >>> display.name
    ['narrow', 'wide']
    >>> display.figure_.clear()
    """

    def __init__(
        self,
        *,
        epsilon: Curves,
        defended: Curves,
        undefended: Curves | None = None,
        name: str | list[str] | None = None,
        metric_name: str = "Test error",
        attack_name: str | None = None,
    ):
        self.epsilon = epsilon
        self.defended = defended
        self.undefended = undefended
        self.name = name
        self.metric_name = metric_name
        self.attack_name = attack_name

    @classmethod
    def from_estimator(
        cls,
        attack: BaseEstimator | dict[str, BaseEstimator],
        defense: BaseEstimator | dict[str, BaseEstimator | None] | None,
        estimator: ClassifierMixin,
        X: RowsLike,
        y: ArrayLike,
        X_test: RowsLike,
        y_test: ArrayLike,
        *,
        epsilons: ArrayLike = (0.0, 0.01, 0.03, 0.1, 0.3),
        metric: str = "error",
        n_jobs: int | None = None,
        ax: "Axes | None" = None,
        **plot_kwargs: Any,
    ) -> Self:
        """Run attacks, and plot their effect.

        Parameters
        ----------
        attack : attack or dict of str to attack
            One attack or several; of several, the worst at each epsilon is plotted.
        defense : filter or dict of str to filter
            One filter or several by name.
        estimator : classifier
            The classifier to train.
        X, y : array-likes
            Clean training rows and their labels.
        X_test, y_test : array-likes
            Clean test rows and their labels.
        epsilons : array-like of shape (n_epsilons,)
            Poison rows divided by clean rows.
        metric : {"error", "loss"}, default="error"
            The metric to plot.
        n_jobs : int, default=None
            Number of combinations to run in parallel.
        ax : matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : RobustnessDisplay
            The display, with the plot drawn.
        """
        from skpoison.evaluation import evaluate_attack

        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        data = (X, y, X_test, y_test)
        results = evaluate_attack(
            attack, defense, estimator, *data, epsilons=epsilons, n_jobs=n_jobs
        )
        return cls.from_results(results, metric=metric, ax=ax, **plot_kwargs)

    @classmethod
    def from_results(
        cls,
        results: "Bunch | pd.DataFrame",
        *,
        attack: str | None = None,
        metric: str = "error",
        ax: "Axes | None" = None,
        **plot_kwargs: Any,
    ) -> Self:
        """Plot computed results.

        Parameters
        ----------
        results : Bunch or DataFrame
            Result of :func:`skpoison.evaluation.evaluate_attack`, or its ``frame``.
        attack : str, default=None
            Name of the attack to plot. None means the worst at each epsilon, for each
            defense.
        metric : {"error", "loss"}, default="error"
            The metric to plot.
        ax : matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : RobustnessDisplay
            The display, with the plot drawn.

        Raises
        ------
        ValueError
            If there is no such attack or metric.
        """
        check_matplotlib_support(f"{cls.__name__}.from_results")
        if metric not in METRICS:
            raise ValueError(
                f"metric must be one of {sorted(METRICS)}; got {metric!r}."
            )
        chosen, attack_name = _chosen(results, attack)
        names = list(dict.fromkeys(np.asarray(results["defense"])[chosen].tolist()))
        curves = [_worst(results, chosen, name, metric) for name in names]
        epsilon, defended, undefended = (
            unwrap(list(column)) for column in zip(*curves, strict=True)
        )
        return cls(
            epsilon=epsilon,
            defended=defended,
            undefended=undefended,
            name=unwrap(names),
            metric_name=METRICS[metric],
            attack_name=attack_name,
        ).plot(ax, **plot_kwargs)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        name: str | list[str] | None = None,
        curve_kwargs: dict[str, Any] | None = None,
        plot_undefended: bool = True,
    ) -> Self:
        """Plot the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. By default, a new figure is created.
        name : str or list of str, default=None
            Names of the defenses. None means `name` of the display.
        curve_kwargs : dict, default=None
            Passed to ``Axes.plot`` for the defenses' lines.
        plot_undefended : bool, default=True
            Whether to plot the effect of the same poison without a defense.

        Returns
        -------
        display : RobustnessDisplay
            This display.
        """
        epsilon, defended = wrap(self.epsilon), wrap(self.defended)
        name = self.name if name is None else name
        names = [None] * len(epsilon) if name is None else wrap(name)
        check_lengths(len(epsilon), {"defended": defended, "name": names})
        ax = axes_for(self, ax)
        self.undefended_lines_ = self._undefended(ax) if plot_undefended else []
        self.lines_ = []
        for i, curve in enumerate(zip(epsilon, defended, names, strict=True)):
            look = _validate_style_kwargs(_look(i), curve_kwargs or {})
            (line,) = ax.plot(*curve[:2], **({"label": curve[2]} | look))
            self.lines_.append(line)
        ax.set(xlabel="Poison rows / clean rows (ε)", ylabel=self.metric_name)
        ax.set_ylim(bottom=0.0)
        if self.attack_name is not None:
            ax.set_title(self.attack_name, fontsize="medium")
        if ax.get_legend_handles_labels()[1]:
            ax.legend(fontsize=SMALL, frameon=False)
        return self

    def _undefended(self, ax):
        """Draw the lines without a defense; identical ones once."""
        lines: list = []
        seen: dict = {}
        curves = [] if self.undefended is None else wrap(self.undefended)
        for i, curve in enumerate(zip(wrap(self.epsilon), curves, strict=False)):
            seen.setdefault(tuple(tuple(np.ravel(part)) for part in curve), i)
        for curve, i in seen.items():
            # In the color of the defense against which the poison was made.
            color = GREY if len(seen) == 1 else style_of(i, COLORS)
            label = UNDEFENDED if not lines else None
            look = {"color": color, "linestyle": ":", "linewidth": 1.0, "zorder": 1}
            lines += ax.plot(*curve, label=label, **look)
        return lines


def _look(position):
    return {
        "color": style_of(position, COLORS),
        "marker": style_of(position, MARKERS),
        **LINE,
    }


def _chosen(results, attack):
    """Return the results to plot, and the name of the attack."""
    names = np.asarray(results["attack"])
    found = list(dict.fromkeys(names.tolist()))
    if attack is None:
        return np.ones(len(names), dtype=bool), found[0] if len(found) == 1 else WORST
    if attack not in found:
        raise ValueError(f"attack must be one of {found}; got {attack!r}.")
    return names == attack, attack


def _worst(results, chosen, defense, metric):
    """Return shares in order, and the largest values of one defense at each."""
    rows = chosen & (np.asarray(results["defense"]) == defense)
    shares = np.asarray(results["epsilon"], dtype=np.float64)
    epsilon = np.unique(shares[rows])
    columns = (f"{metric}_filtered_poisoned", f"{metric}_poisoned")
    values = [np.asarray(results[column]) for column in columns]
    return epsilon, *(
        # fmax: an attack that could not be made is none.
        np.array([np.fmax.reduce(v[rows & (shares == share)]) for share in epsilon])
        for v in values
    )
