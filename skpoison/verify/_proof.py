"""The proof: both bounds on what poison can do to the learner, rounded outwards.

Rows x_i with margins m_i = y_i (w x_i + b), or errors m_i = w x_i + b - t_i of
regression, weights c_i, n of them; a convex loss L that is never negative; a penalty R;
a set F of labeled rows that pass the filter; c the weight of poison rows. Whatever rows
of F an attacker adds, at most epsilon n of them, the learner's least objective is at
most, for *any* w and b,

    upper = sum_i c_i L(m_i) / n + epsilon max_F c L(m) + R(w, b).

The largest margin of a ball within a slab, {x : |x - q| <= r, l <= v (x - q) <= h}, is
bounded by weak duality: for *any* number t,

    a x <= a q + r |a - t v| + max(t l, t h);

where rows have restricted values, as `_domain` says.

For any masses alpha_i = c_i a_i of the rows and p_j of poison rows in F, their slopes
a_i, s_j in the range of L's, with shares beta_j = p_j / (epsilon n c s_j) that are not
negative and have a sum of at most 1, no w and b make the attacker's best less than

    lower = (sum_i alpha_i t_i - c_i L*(a_i) + sum_j p_j t_j - p_j L*(s_j) / s_j) / n
            - R*(z),     z = (sum_i alpha_i y_i (x_i, 1) + sum_j p_j y_j (x_j, 1)) / n,

L* being the conjugate of `_losses`, R* that of the penalty (``_rows`` has the error
bounds of sums; sums of many numbers are `math.fsum`, which rounds once).
"""

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from skpoison.verify import _domain
from skpoison.verify._losses import Loss, largest
from skpoison.verify._rows import UNIT, Rows, error


class Refuted(Exception):
    """A step of a proof fails, which the message names."""


class Problem(NamedTuple):
    """A certificate's content beside the rows that it is about, in their order."""

    header: dict
    arrays: dict
    rows: Rows
    labels: np.ndarray  # codes of classes, or targets
    order: np.ndarray  # the file's place of each row
    loss: Loss
    unit: float = UNIT

    def of_rows(self, name: str) -> np.ndarray:
        """Return an array with a number for each row, in the order of the rows."""
        array = np.empty(len(self.order))
        array[self.order] = self.arrays[name]
        return array

    def signs_and_targets(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the signs of scores in margins, and what is taken from them."""
        if self.loss.of_errors:
            return np.ones(len(labels)), labels
        return 2.0 * labels - 1.0, np.zeros(len(labels))

    def up(self, *terms: float) -> float:
        """Return at least the sum of numbers, each made by up to four roundings."""
        return math.fsum([*terms, 4.0 * self.unit * math.fsum(map(abs, terms))])

    def dot(self, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
        """Return a product of vectors, their entries rounded once, and its error."""
        terms = a * b
        return math.fsum(terms), float(error(0, math.fsum(np.abs(terms)), self.unit))

    def norm(self, vector: np.ndarray, wrong: Any = 0.0) -> float:
        """Return at least the norm of a vector, given bounds of its errors."""
        length = math.sqrt(sum(self.dot(vector, vector)))
        if np.any(wrong):
            length += self.norm(wrong)
        return self.up(length)


def upper(problem: Problem) -> dict[str, float]:
    """Return the largest that the upper bound and its parts can be."""
    header, unit, n = problem.header, problem.unit, len(problem.labels)
    theta, weights = problem.arrays["theta"], problem.of_rows("row_weights")
    signs, targets = problem.signs_and_targets(problem.labels)
    products, sizes = problem.rows.times(theta[:-1])
    sizes += abs(theta[-1]) + np.abs(targets)
    margins = signs * (products + theta[-1]) - targets
    off = error(problem.rows.counts + 2, sizes, unit)
    losses, wrong = largest(problem.loss, margins - off, margins + off, unit)
    clean = problem.up(math.fsum(weights * losses), math.fsum(weights * wrong))
    clean = problem.up(clean / n)
    names = ("tree_features", "tree_limits", "multipliers")
    nodes = np.column_stack([problem.arrays[name] for name in names]).tolist()
    left = iter(nodes)
    worst = max(_worst(problem, k, left) for k in range(len(problem.arrays["radii"])))
    if next(left, None) is not None:
        raise Refuted("there are more multipliers than sets")
    share = max(header["epsilon"], problem.up(header["n_poison"] / n))
    total = problem.up(clean, share * worst, _penalty(problem), _beyond_ball(problem))
    return {"clean_loss": clean, "poison_loss": worst, "upper_bound": total}


def _worst(problem, k, nodes):
    """Return at least the largest weighted loss of a row of one set."""
    theta, unit = problem.arrays["theta"], problem.unit
    signs, _ = problem.signs_and_targets(np.array([float(k)]))
    w, b = signs[0] * theta[:-1], signs[0] * theta[-1]
    support = _support if problem.header["domain"] == "real" else _support_in_domain
    largest_fall = support(problem, k, -w, nodes)
    low = high = -largest_fall
    if problem.loss.slopes[0] < 0.0:  # the loss rises with the margin, too
        high = support(problem, k, w, nodes)
    if largest_fall == -np.inf:
        return 0.0  # no row is in the set
    if not np.isfinite([low, high]).all():
        return np.inf
    targets = problem.header["target_range"] or [0.0, 0.0]
    size = max(abs(low), abs(high)) + abs(b) + max(map(abs, targets))
    off = error(2, size, unit)
    low, high = np.array([low + b - targets[1] - off]), np.array([high + b])
    value, wrong = largest(problem.loss, low, high - targets[0] + off, unit)
    worst = float((value + wrong)[0] * problem.arrays["poison_weights"][k])
    return problem.up(worst) if math.isfinite(worst) else np.inf


def _support_in_domain(problem, k, a, nodes):
    """Return the same for the rows of a domain, given multipliers."""
    arrays, center = problem.arrays, problem.arrays["centers"][k]
    reach = arrays["radii"][k, 1]
    reach = reach + error(2, np.abs(center) + reach, problem.unit)
    kinds = arrays["domain_kinds"]
    lower = np.maximum(arrays["domain_lower"], center - reach)
    upper = np.minimum(arrays["domain_upper"], center + reach)
    lower = np.where(kinds == _domain.WHOLE, np.ceil(lower), lower)
    upper = np.where(kinds == _domain.WHOLE, np.floor(upper), upper)

    def bound(box, lam, t):
        return _bound_of_leaf(problem, k, a, box, lam, t)

    parts = _domain.pieces(lower, upper, kinds)
    return max([_domain.bound_of_tree(nodes, part, bound) for part in parts])


def _bound_of_leaf(problem, k, a, box, lam, t):
    arrays, unit, center = problem.arrays, problem.unit, problem.arrays["centers"][k]
    v, radius = arrays["directions"][k], arrays["radii"][k, 1]
    if _domain.is_empty(box):
        return -np.inf
    slope, size = a - t * v, np.abs(a) + abs(t) * np.abs(v)
    terms, sizes = _domain.best_terms(box, slope, unit * size, center, lam)
    if not (lam >= 0.0 and np.isfinite(terms).all()):
        return np.inf  # no multipliers, or some that are too large to compute with
    parts = [math.fsum(terms), float(error(0, math.fsum(sizes), unit))]
    block = (box.kinds == _domain.UNIT_NORM) & (not box.is_blank)
    if block.any():
        size = size + 2.0 * lam * np.abs(center)
        best = (slope + 2.0 * lam * center + 4.0 * unit * size)[block]
        above = problem.norm(np.maximum(best, 0.0)) if (best > 0).any() else best.max()
        parts += [float(above), -lam]
    along = max(t * value for value in arrays["offsets"][k, 2:].tolist())
    bound = problem.up(*problem.dot(a, center), lam * radius * radius, along, *parts)
    return bound if bound < np.inf else np.inf  # nor is NaN a bound


def _support(problem, k, a, _):
    """Return at least the largest ``a @ x`` of a set with the filter's rounding."""
    arrays, unit = problem.arrays, problem.unit
    center, v = arrays["centers"][k], arrays["directions"][k]
    radius, (low, high) = arrays["radii"][k, 1], arrays["offsets"][k, 2:]
    t = _multiplier(a, v, radius, low, high)
    size = np.abs(a) + abs(t) * np.abs(v)
    length = problem.norm(a - t * v, 2.0 * unit * size)
    along = max(t * low, t * high)
    return problem.up(*problem.dot(a, center), radius * length, along)


def _multiplier(a, v, radius, low, high):
    """Return about the best multiplier of the slab; any other would do."""
    along = float(a @ v)
    height = float(np.linalg.norm(a - along * v))
    norm = math.hypot(along, height)
    if not norm > 0.0 or low <= radius * along / norm <= high:
        return 0.0
    t = min(max(radius * along / norm, low), high)
    rest = (radius - t) * (radius + t)
    return along - t * height / math.sqrt(rest) if rest > 0.0 else along


def _penalty(problem):
    """Return at least the penalty of the parameters; the ball has none."""
    header, theta = problem.header, problem.arrays["theta"]
    if header["rho"] is not None:
        return 0.0
    if header["intercept_penalty"] is None and theta[-1] != 0.0:
        raise Refuted("the learner has no intercept, theta has")
    norm = problem.norm(theta[:-1])
    both = header["penalty"] * norm * norm
    both += (header["intercept_penalty"] or 0.0) * theta[-1] * theta[-1]
    return 0.5 * both * (1.0 + 8 * problem.unit)


def _beyond_ball(problem):
    """Return what parameters lose that rounding has put outside the ball.

    Shortened by a factor, they lose at most that share of the losses at zero more.
    """
    rho, theta = problem.header["rho"], problem.arrays["theta"]
    if rho is None:
        return 0.0
    excess = max(problem.norm(theta) / rho - 1.0, 0.0) + problem.unit
    heaviest = max(problem.arrays["poison_weights"].max(), 1.0)
    heaviest = max(heaviest, problem.arrays["row_weights"].max(initial=0.0))
    at_zero = float(problem.loss.value(np.zeros(1))[0])
    return 2.0 * excess * heaviest * at_zero  # epsilon is at most 1


def lower(problem: Problem) -> float:
    """Return the least that the lower bound can be; an error where a step fails."""
    arrays, unit, n = problem.arrays, problem.unit, len(problem.labels)
    weights, masses = problem.of_rows("row_weights"), problem.of_rows("row_masses")
    poison_masses, slopes = arrays["poison_masses"], arrays["poison_slopes"]
    least, most = problem.loss.slopes
    heavy = weights > 0.0
    masses_of_heavy, weights_of_heavy = masses[heavy], weights[heavy]
    inside = masses_of_heavy >= least * weights_of_heavy
    inside &= masses_of_heavy <= most * weights_of_heavy
    if not inside.all() or masses[~heavy].any():
        raise Refuted("the mass of a row is not within the slopes of its loss")
    _check_poison(problem)
    own = np.clip(masses_of_heavy / weights_of_heavy, least, most)
    conjugates, sizes = problem.loss.conjugate(own)
    poisoned, more = problem.loss.conjugate(slopes)
    parts = [weights_of_heavy * conjugates, poison_masses / slopes * poisoned]
    sizes = [weights_of_heavy * sizes, poison_masses / slopes * more]
    _, targets = problem.signs_and_targets(problem.labels)
    _, aims = problem.signs_and_targets(arrays["poison_labels"])
    linear = [masses * targets, poison_masses * aims]
    total = math.fsum(np.concatenate(linear)) - math.fsum(np.concatenate(parts))
    wrong = math.fsum(np.abs(np.concatenate(linear))) + math.fsum(np.concatenate(sizes))
    value = (total - _conjugate_of_penalty(problem, masses)) / n
    return value - 32.0 * unit * (wrong / n + abs(total / n) + abs(value))


def _check_poison(problem):
    """Raise an error unless poison rows, shares and slopes are what they must be."""
    header, arrays = problem.header, problem.arrays
    masses, slopes = arrays["poison_masses"], arrays["poison_slopes"]
    least, most = problem.loss.slopes
    if not ((slopes >= least) & (slopes <= most) & (masses * slopes > 0.0)).all():
        raise Refuted("a poison row's mass or slope is out of its range")
    labels = arrays["poison_labels"]
    if problem.loss.of_errors:
        low, high = header["target_range"]
        known, sets = (labels >= low) & (labels <= high), np.zeros(len(labels), int)
    else:
        known, sets = (labels == 0.0) | (labels == 1.0), labels.astype(int)
    if not known.all():
        raise Refuted("a poison row has a label or target that it cannot have")
    weights = arrays["poison_weights"][sets]
    budget = header["epsilon"] * len(problem.labels)
    shares = math.fsum(masses / slopes / weights) * (1.0 + 8 * problem.unit)
    if not shares <= budget:
        raise Refuted("the poison rows weigh more than epsilon allows")
    rows = poison_rows(problem)
    if not all(is_inside(problem, k, rows.dense(i)) for i, k in enumerate(sets)):
        raise Refuted("a poison row is outside its set")


def poison_rows(problem: Problem) -> Rows:
    """Return the poison rows; an error where their arrays are not those of rows."""
    names = ("poison_data", "poison_indices", "poison_indptr")
    data, indices, indptr = (problem.arrays[name] for name in names)
    n_features = problem.rows.n_features
    starts = indptr[0] == 0 and indptr[-1] == len(data) and (np.diff(indptr) >= 0).all()
    if not starts or not ((indices >= 0) & (indices < n_features)).all():
        raise Refuted("the poison rows are damaged")
    return Rows(data, indices, indptr, n_features)


def is_inside(problem: Problem, k: int, row: np.ndarray) -> bool:
    """Tell whether a row is inside the filter's set, rounding not included.

    What rounding leaves open, fractions decide.
    """
    arrays = problem.arrays
    v, (low, high) = arrays["directions"][k], arrays["offsets"][k, :2]
    moved = row - arrays["centers"][k]
    if problem.header["domain"] != "real":
        names = ("domain_lower", "domain_upper", "domain_kinds")
        if not _domain.contains(row, *(arrays[name] for name in names)):
            return False
    is_slab, radius = v.any() or low != 0.0 or high != 0.0, arrays["radii"][k, 0]
    along, square = float(v @ moved), float(moved @ moved)
    off = error(len(v), np.abs(v) @ np.abs(moved), problem.unit)
    is_between = not is_slab or low + off <= along <= high - off
    wrong = error(len(v), square + radius * radius, problem.unit)
    if is_between and square + wrong <= radius * radius:
        return True
    is_beside = is_slab and (along + off < low or along - off > high)
    if is_beside or square - wrong > radius * radius:
        return False
    exact = [[Fraction(x) for x in one.tolist()] for one in (row, arrays["centers"][k])]
    exact_moved = [x - q for x, q in zip(*exact, strict=True)]
    along = sum(Fraction(p) * z for p, z in zip(v.tolist(), exact_moved, strict=True))
    is_between = not is_slab or Fraction(low) <= along <= Fraction(high)
    return is_between and sum(z * z for z in exact_moved) <= Fraction(radius) ** 2


def _conjugate_of_penalty(problem, masses):
    """Return at least n times the conjugate of the penalty, at the dual's sum z."""
    header, unit, n = problem.header, problem.unit, len(masses)
    signs, _ = problem.signs_and_targets(problem.labels)
    poisoned = problem.arrays["poison_masses"]
    poison_signs, _ = problem.signs_and_targets(problem.arrays["poison_labels"])
    first = problem.rows.combine(masses * signs)
    second = poison_rows(problem).combine(poisoned * poison_signs)
    off = error(first[2] + second[2] + 1, first[1] + second[1], unit)
    along = problem.norm(first[0] + second[0], off)
    # Correctly rounded: 0 means 0.
    last = math.fsum(np.concatenate([masses * signs, poisoned * poison_signs]))
    if header["rho"] is not None:
        return header["rho"] * math.hypot(along, last) * (1.0 + 8 * unit)
    total = along * along / header["penalty"]
    if header["intercept_penalty"] == 0.0 and last != 0.0:
        raise Refuted("the masses of rows do not cancel, as a free intercept demands")
    if header["intercept_penalty"]:
        total += last * last / header["intercept_penalty"]
    return total / (2.0 * n) * (1.0 + 16 * unit)
