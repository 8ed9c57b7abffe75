"""What a look at a block of rows learns: sums over all of its rows, and a few rows.

Sums of blocks add up to those of all rows, so that both bounds at parameters are known
after each block has been looked at once. See docs/mathematics.md, section "Rows in
blocks".
"""

from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import sparse

from skpoison.losses import Loss
from skpoison.solvers._signed_design import Rows

# Dense rows are looked at so many at a time, which stay in the cache.
STRIP = 4096


@dataclass(frozen=True)
class Smoothed(Loss):
    """A piecewise linear loss, less a proximal term on its slope.

    It is at most the loss, and at least the loss less ``step / 2`` times the square of
    the largest distance of a slope from `slope`.

    Parameters
    ----------
    loss : Loss
        The loss, which has a method `slopes_near`.
    slope : float
        The slope that the proximal term is around.
    step : float
        Weight of the term, or width of what is smoothed.
    """

    loss: Any
    slope: float
    step: float

    @classmethod
    def of(cls, loss: Loss, step: float) -> Self:
        """Smooth a loss around the middle of its slopes."""
        return cls(loss, 0.5 * sum(loss.slope_range), step)

    @property
    def slope_range(self) -> tuple[float, float]:  # type: ignore[override]
        """The slopes of the loss."""
        return self.loss.slope_range

    def _slopes(self, margins):
        return self.loss.slopes_near(margins, self.slope, self.step)

    def value(self, margins: np.ndarray) -> np.ndarray:
        """Return the losses of margins."""
        slopes = self._slopes(margins)
        return -slopes * margins - self.conjugate(slopes)

    def derivative(self, margins: np.ndarray) -> np.ndarray:
        """Return the first derivatives."""
        return -self._slopes(margins)

    def curvature(self, margins: np.ndarray) -> np.ndarray:
        """Return the second derivatives; where undefined, those of the flatter side."""
        sizes = np.abs(self._slopes(margins))
        return ((sizes > 0.0) & (sizes < 1.0)) / self.step

    def conjugate(self, slopes: np.ndarray) -> np.ndarray:
        """Return the conjugates of slopes."""
        moved = slopes - self.slope
        return self.loss.conjugate(slopes) + 0.5 * self.step * moved * moved

    def prox(self, margins: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        """Return the minimizers near margins."""
        # The sum of both quadratic terms in the slope is one around another slope.
        both = step + self.step
        around = self.step * self.slope / both
        return margins + step * self.loss.slopes_near(margins, around, both)


class Look(NamedTuple):
    """What a pass looks for.

    Parameters
    ----------
    theta : ndarray of shape (n_features + 1,)
        The parameters.
    loss : Loss
        The learner's loss.
    smooth : Loss
        The loss whose slopes are taken.
    wide : Loss
        The loss whose curvatures rows are drawn by.
    base, bent : float
        A row is drawn with probability `base`, plus `bent` times its weight and the
        curvature of its loss.
    seed : int
        For the draw.
    """

    theta: np.ndarray
    loss: Loss
    smooth: Loss
    wide: Loss
    base: float
    bent: float
    seed: int


@dataclass
class Sums:
    """Sums over rows at parameters; slopes are those of the smoothed losses.

    Parameters
    ----------
    value : float
        The losses.
    conjugates : ndarray of shape (2,)
        The conjugates of the slopes, of rows that pull scores up and of all others.
    targets : ndarray of shape (2,)
        The products of slopes and targets, of these rows.
    z : ndarray of shape (2, n_features + 1)
        The signed rows times their slopes, of these rows.
    squares, sizes : float
        The squares of the slopes; the sizes of conjugates and of products with targets.
    largest : float
        The largest margin or error, in size.
    """

    value: Any
    conjugates: Any
    targets: Any
    z: Any
    squares: Any
    sizes: Any
    largest: Any

    @classmethod
    def none(cls, dim: int) -> "Sums":
        """Return the sums over no rows."""
        pair = np.zeros(2)
        return cls(0.0, pair, pair, np.zeros((2, dim)), 0.0, 0.0, 0.0)

    def plus(self, other: "Sums") -> "Sums":
        """Return the sums over the rows of both."""
        names = [one.name for one in fields(self)]
        both = {name: getattr(self, name) + getattr(other, name) for name in names}
        return Sums(**both | {"largest": max(self.largest, other.largest)})

    @property
    def all_z(self) -> np.ndarray:
        """The weighted sum of all signed rows."""
        return self.z.sum(axis=0)


class Few(NamedTuple):
    """Rows that stand in for many.

    Parameters
    ----------
    rows : Rows
        The rows.
    weights : ndarray of shape (n_rows,)
        What they weigh, so that in expectation they weigh what all rows do.
    targets : ndarray of shape (n_rows,) or None
        In regression, their targets.
    """

    rows: Rows
    weights: np.ndarray
    targets: np.ndarray | None = None

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(self.weights)

    def take(self, index: Any) -> "Few":
        """Return some of the rows, copied."""
        targets = None if self.targets is None else self.targets[index]
        return Few(self.rows.take(index), self.weights[index], targets)

    @staticmethod
    def joined(parts: "list[Few]") -> "Few":
        """Return all rows of several."""
        first = parts[0]
        if len(parts) == 1:
            return first
        X = [part.rows.X for part in parts]
        X = sparse.vstack(X, format="csr") if first.rows.is_sparse else np.vstack(X)
        rows = Rows(X, np.concatenate([part.rows.signs for part in parts]))
        weights = np.concatenate([part.weights for part in parts])
        if first.targets is None:
            return Few(rows, weights)
        return Few(rows, weights, np.concatenate([part.targets for part in parts]))


class Seen(NamedTuple):
    """What a look has found in blocks."""

    sums: Sums
    few: list[Few]

    def plus(self, other: "Seen") -> "Seen":
        """Return what has been found in the blocks of both."""
        return Seen(self.sums.plus(other.sums), [*self.few, *other.few])


def look_at(block: Few, look: Look, part: int) -> Seen:
    """Return the sums over a block, which is number `part`, and the rows drawn."""
    draw = np.random.default_rng([look.seed, part])
    sums, chances = Sums.none(len(look.theta)), []
    for strip in _strips(block):
        at = _margins(strip, look.theta)
        sums = sums.plus(_sums(strip, at, look))
        chances.append(look.base + look.bent * strip.weights * look.wide.curvature(at))
    chance = np.minimum(np.concatenate([np.zeros(0), *chances]), 1.0)
    drawn = np.flatnonzero(draw.random(len(chance)) < chance)
    if not len(drawn):
        return Seen(sums, [])
    few = block.take(drawn)
    return Seen(sums, [few._replace(weights=few.weights / chance[drawn])])


def sums_at(few: Few, look: Look) -> Sums:
    """Return the sums over rows in memory, by their weights."""
    sums = Sums.none(len(look.theta))
    for strip in _strips(few):
        sums = sums.plus(_sums(strip, _margins(strip, look.theta), look))
    return sums


def _strips(block):
    """Yield a few rows at a time, in float64, which the next overwrite.

    Sparse rows come all at once.
    """
    n_rows = block.n_rows
    step = n_rows if block.rows.is_sparse else STRIP
    is_as_is = block.rows.is_sparse or block.rows.X.dtype == np.float64
    space = None
    if not is_as_is:  # new memory for each would take longer than the sums
        space = np.empty((min(step, n_rows), block.rows.X.shape[1]))
    for start in range(0, n_rows, max(step, 1)):
        part = slice(start, start + step)
        X = block.rows.X[part]
        if space is None:
            X = X.astype(np.float64, copy=False)
        else:
            space[: len(X)] = X
            X = space[: len(X)]
        targets = None if block.targets is None else block.targets[part]
        yield Few(Rows(X, block.rows.signs[part]), block.weights[part], targets)


def _margins(strip, theta):
    scores = strip.rows.scores(theta)
    return scores if strip.targets is None else scores - strip.targets


def _sums(strip, at, look):
    slopes = look.smooth.project(-look.smooth.derivative(at))
    conjugates = strip.weights * look.loss.conjugate(slopes)
    masses = strip.weights * slopes
    signed = masses * strip.rows.signs
    groups = np.array([signed > 0.0, signed <= 0.0], dtype=np.float64)
    signed = groups * signed
    z = strip.rows.X.T @ signed.T if strip.rows.is_sparse else (signed @ strip.rows.X).T
    products = np.zeros(len(at)) if strip.targets is None else masses * strip.targets
    return Sums(
        value=float(strip.weights @ look.loss.value(at)),
        conjugates=groups @ conjugates,
        targets=groups @ products,
        z=np.column_stack([z.T, signed.sum(axis=1)]),
        squares=float(masses @ slopes),
        sizes=float(np.abs(conjugates).sum() + np.abs(products).sum()),
        largest=float(np.abs(at).max(initial=0.0)),
    )
