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

where rows have restricted values, `_domain` says how.

For any masses alpha_i = c_i a_i of the rows and p_j of poison rows in F, their slopes
a_i, s_j in the range of L's, with shares beta_j = p_j / (epsilon n c s_j) that are not
negative and have a sum of at most 1, no w and b make the attacker's best less than

    lower = (sum_i alpha_i t_i - c_i L*(a_i) + sum_j p_j t_j - p_j L*(s_j) / s_j) / n
            - R*(z),     z = (sum_i alpha_i y_i (x_i, 1) + sum_j p_j y_j (x_j, 1)) / n,

L* being the conjugate of `_losses`, R* that of the penalty (``_rows`` has the error
bounds of sums; sums of many numbers are `math.fsum`, which rounds once).
"""

import math
from typing import Any, NamedTuple

import numpy as np

from skpoison.verify._losses import Loss, largest, loss_of  # noqa: F401
from skpoison.verify._rows import TINY, UNIT, Rows, error


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
    threat: Any = None  # the module that knows what the attacker can send
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


def nonsense_of_any(problem: Problem) -> str:
    """Return what makes the file's problem none; nothing where it is one."""
    header, arrays, loss = problem.header, problem.arrays, problem.loss
    n, epsilon = header["n_rows"], header["epsilon"]
    rho, strength = header["rho"], header["penalty"]
    range_of_targets = header["least_target"], header["largest_target"]
    is_regression = header["classes"] is None
    wrong = {
        "there are no rows": n == 0,
        "epsilon is not within 0 and 1": not 0.0 <= epsilon <= 1.0,
        "n_poison is not the number of rows that epsilon allows": header["n_poison"]
        != math.floor(epsilon * n + 1e-9),
        "errors are losses of targets": loss.of_errors != is_regression,
        "targets need a range, classes none": range_of_targets[0] > range_of_targets[1]
        or (not is_regression and any(range_of_targets)),
        "there must be a radius rho or a penalty": (rho is None) == (strength is None),
        "a ball of parameters is for classes": rho is not None and is_regression,
        "rho and penalties must be positive": not (rho or strength or 0.0) > 0.0
        or not (header["intercept_penalty"] or 0.0) >= 0.0,
        "weights must not be negative": (arrays["row_weights"] < 0.0).any()
        or (arrays["poison_weights"] < 0.0).any(),
    }
    return next((reason for reason, is_wrong in wrong.items() if is_wrong), "")


def nonsense(problem: Problem) -> str:
    """Return the same of the sets of two classes, or of targets."""
    if not len(problem.header["classes"] or (0, 1)) == 2:
        return "classes must be two"
    return nonsense_of_sets(problem)


def nonsense_of_sets(problem: Problem) -> str:
    """Return the same of any number of spheres and slabs."""
    radii, offsets = problem.arrays["radii"], problem.arrays["offsets"]
    nested = (radii[:, 0] >= 0.0) & (radii[:, 0] <= radii[:, 1])
    nested &= (np.diff(offsets[:, [2, 0, 1, 3]]) >= 0.0).all(axis=1)
    if not nested.all():
        return "sets with the filter's rounding must contain those without"
    if _domain(problem) and not _domain(problem).is_domain(problem.arrays):
        return "the domain's features make no sense"
    return ""


def _domain(problem):
    """Return the module that is for rows of restricted values, if they are claimed."""
    if problem.header["domain"] == "real":
        return None
    from skpoison.verify import _domain

    return _domain


def upper_bounds(problem: Problem) -> dict[str, float]:
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
    worst = problem.threat.largest_loss(problem)
    share = max(header["epsilon"], problem.up(header["n_poison"] / n))
    total = problem.up(clean, share * worst, penalty_of(problem, theta))
    total = problem.up(total, _beyond_ball(problem))
    return {"clean_loss": clean, "poison_loss": worst, "upper_bound": total}


def largest_loss(problem: Problem) -> float:
    """Return at least the largest weighted loss of a row of the sets."""
    names = ("tree_features", "tree_limits", "multipliers")
    nodes = np.column_stack([problem.arrays[name] for name in names]).tolist()
    left = iter(nodes)
    worst = max(_worst(problem, k, left) for k in range(len(problem.arrays["radii"])))
    if next(left, None) is not None:
        raise Refuted("there are more multipliers than sets")
    return worst


def _worst(problem, k, nodes):
    """Return at least the largest weighted loss of a row of one set."""
    header, theta, unit = problem.header, problem.arrays["theta"], problem.unit
    signs, _ = problem.signs_and_targets(np.array([float(k)]))
    w, b = signs[0] * theta[:-1], signs[0] * theta[-1]
    support = _support if _domain(problem) is None else _domain(problem).support
    largest_fall = support(problem, k, -w, nodes)
    low = high = -largest_fall
    if problem.loss.slopes[0] < 0.0:  # the loss rises with the margin, too
        high = support(problem, k, w, nodes)
    if largest_fall == -np.inf:
        return 0.0  # no row is in the set
    if not np.isfinite([low, high]).all():
        return np.inf
    least, most = header["least_target"], header["largest_target"]
    size = max(abs(low), abs(high)) + abs(b) + max(abs(least), abs(most))
    off = error(2, size, unit)
    low, high = np.array([low + b - most - off]), np.array([high + b - least + off])
    value, wrong = largest(problem.loss, low, high, unit)
    worst = float((value + wrong)[0] * problem.arrays["poison_weights"][k])
    return problem.up(worst) if math.isfinite(worst) else np.inf


def _support(problem, k, a, _):
    """Return at least the largest ``a @ x`` of a set with the filter's rounding."""
    arrays, unit = problem.arrays, problem.unit
    center, v = arrays["centers"][k], arrays["directions"][k]
    radius, (low, high) = arrays["radii"][k, 1], arrays["offsets"][k, 2:]
    t = multiplier(a, v, radius, low, high)
    size = np.abs(a) + abs(t) * np.abs(v)
    length = problem.norm(a - t * v, 2.0 * unit * size)
    along = max(t * low, t * high)
    return problem.up(*problem.dot(a, center), radius * length, along)


def multiplier(a: Any, v: Any, radius: float, low: float, high: float) -> float:
    """Return about the best multiplier of the slab; any other would do."""
    along = float(a @ v)
    height = float(np.linalg.norm(a - along * v))
    norm = math.hypot(along, height)
    if not norm > 0.0 or low <= radius * along / norm <= high:
        return 0.0
    t = min(max(radius * along / norm, low), high)
    rest = (radius - t) * (radius + t)
    return along - t * height / math.sqrt(rest) if rest > 0.0 else along


def penalty_of(problem: Problem, theta: np.ndarray) -> float:
    """Return at least the penalty of parameters; the ball has none."""
    header = problem.header
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


def lower_bound(problem: Problem) -> float:
    """Return the least that the lower bound can be; an error where a step fails."""
    arrays, unit, n = problem.arrays, problem.unit, len(problem.labels)
    weights, masses = problem.of_rows("row_weights"), problem.of_rows("row_masses")
    poison_masses, slopes = arrays["poison_masses"], arrays["poison_slopes"]
    least, most = problem.loss.slopes
    heavy = weights > 0.0
    own_masses, own_weights = masses[heavy], weights[heavy]
    inside = (own_masses >= least * own_weights) & (own_masses <= most * own_weights)
    if not inside.all() or masses[~heavy].any():
        raise Refuted("the mass of a row is not within the slopes of its loss")
    problem.threat.check_poison(problem)
    own_slopes = np.clip(own_masses / own_weights, least, most)
    if problem.loss.learns_scale:
        _check_scale(problem, own_weights, own_slopes)
    conjugates, sizes = problem.loss.conjugate(own_slopes)
    poisoned, more = problem.loss.conjugate(slopes)
    parts = [own_weights * conjugates, poison_masses / slopes * poisoned]
    sizes = [own_weights * sizes, poison_masses / slopes * more]
    signs, targets = problem.signs_and_targets(problem.labels)
    poison_signs, aims = problem.signs_and_targets(arrays["poison_labels"])
    linear = [masses * targets, poison_masses * aims]
    total = math.fsum(np.concatenate(linear)) - math.fsum(np.concatenate(parts))
    wrong = math.fsum(np.abs(np.concatenate(linear))) + math.fsum(np.concatenate(sizes))
    conjugate = conjugate_of(problem, masses * signs, poison_masses * poison_signs)
    value = (total - conjugate) / n
    return value - 32.0 * unit * (wrong / n + abs(total / n) + abs(value))


def _check_scale(problem, weights, slopes):
    """Raise an error if the lower bound falls with the scale of the loss."""
    own = problem.arrays["poison_slopes"]
    weights = np.append(weights, problem.arrays["poison_masses"] / own)
    spent = 0.25 * math.fsum(weights * np.append(slopes, own) ** 2)
    if not spent * (1.0 + 16 * problem.unit) <= math.fsum(weights):
        raise Refuted("the slopes are too large for a scale that is learned")


def check_poison(problem: Problem) -> None:
    """Raise an error unless poison rows, shares and slopes are what they must be."""
    header, arrays = problem.header, problem.arrays
    masses, slopes = arrays["poison_masses"], arrays["poison_slopes"]
    least, most = problem.loss.slopes
    if not ((slopes >= least) & (slopes <= most) & (masses * slopes > 0.0)).all():
        raise Refuted("a poison row's mass or slope is out of its range")
    labels = arrays["poison_labels"]
    if problem.loss.of_errors:
        low, high = header["least_target"], header["largest_target"]
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
    is_right = indptr[0] == 0 and indptr[-1] == len(data)
    is_right = is_right and (np.diff(indptr) >= 0).all()
    is_right = is_right and ((indices >= 0) & (indices < n_features)).all()
    if not is_right:
        raise Refuted("the poison rows are damaged")
    rows = Rows(data, indices, indptr, n_features)
    # No entry is there twice: some sums would count both, and others the last one.
    if not ((np.diff(indices) > 0) | (np.diff(rows.row_of) > 0)).all():
        raise Refuted("the poison rows are damaged")
    return rows


def is_inside(problem: Problem, k: int, row: np.ndarray) -> bool:
    """Tell whether a row is inside the filter's set, rounding not included.

    A row that is so near to a limit that rounding leaves it open is not inside.
    """
    arrays, domain = problem.arrays, _domain(problem)
    v, (low, high) = arrays["directions"][k], arrays["offsets"][k, :2]
    if domain is not None and not domain.contains(row, arrays):
        return False
    moved, radius = row - arrays["centers"][k], arrays["radii"][k, 0]
    is_slab, few = v.any() or low != 0.0 or high != 0.0, len(row) * TINY
    # Quickly, and where that leaves it open with sums that are rounded once.
    for add, n_roundings in ((np.sum, len(row)), (math.fsum, 0)):
        share, between = (n_roundings + 4) * UNIT, True
        if is_slab:
            along, wrong = add(v * moved), share * add(np.abs(v * moved)) + few
            between = low + wrong <= along <= high - wrong
        near = add(moved * moved) * (1.0 + share) + few <= radius * radius
        if between and (near or not moved.any()):
            return True
    return False


def conjugate_of(problem: Problem, masses: Any, poisoned: Any) -> float:
    """Return at least n times the conjugate of the penalty, at the signed sum z."""
    header, unit, n = problem.header, problem.unit, len(masses)
    first = problem.rows.combine(masses)
    second = poison_rows(problem).combine(poisoned)
    off = error(first[2] + second[2] + 1, first[1] + second[1], unit)
    along = problem.norm(first[0] + second[0], off)
    last = math.fsum(np.concatenate([masses, poisoned]))  # rounded once: 0 means 0
    if header["rho"] is not None:
        return header["rho"] * math.hypot(along, last) * (1.0 + 8 * unit)
    total = along * along / header["penalty"]
    if header["intercept_penalty"] == 0.0 and last != 0.0:
        raise Refuted("the masses of rows do not cancel, as a free intercept demands")
    if header["intercept_penalty"]:
        total += last * last / header["intercept_penalty"]
    return total / (2.0 * n) * (1.0 + 16 * unit)
