"""Several classes: a row has a score ``S_k = w_k x + b_k`` for each.

Its loss is convex in the scores, and never negative: with m_k = S_k - S_y for its own
class y, ``log(sum_k exp m_k)`` (multinomial) or ``max(0, 1 + max_k m_k)`` (Crammer and
Singer, k being another class), or the sum of a loss of the margins S_y and -S_k (one
against the rest). The upper bound is that of `_proof`, with the largest loss of a row
of each class's ball and slab as follows. Up to an increasing function, the loss is a
sum of convex functions f_j of numbers m_j that are linear in x. On a box of numbers,

    sum_j f_j(m_j) <= sum_j g_j m_j + sum_j max over both ends (f_j(e) - g_j e),

for *any* slopes g, and a linear function of x is bounded as in `_proof`. The boxes of a
binary tree cover all numbers that rows of the set have, and the largest bound is one.

For the lower bound, any slopes s of a row (derivatives by the scores) have ``loss >=
s S - L*(s)``. A joint loss needs slopes that sum to 0, of which all but that of the
row's own class are not negative, and that one at least -1; then L* is the sum of ``p
log p`` of the shares p = s + own (multinomial), or s_y (Crammer and Singer). With
masses c s of the rows, and those of poison rows, whose weights are at most epsilon
together, all of `_proof` holds for each class's sum z_k.
"""

import math
from typing import Any

import numpy as np

from skpoison.verify import _losses, _proof
from skpoison.verify._proof import Problem, Refuted, poison_rows
from skpoison.verify._rows import error

MULTINOMIAL, CRAMMER_SINGER, ONE_VS_REST = (
    "multinomial",
    "crammer_singer",
    "one_vs_rest_",
)
ROUNDING, BLOCK = _losses.ROUNDING, 512


def loss_of(name: str, constant: float, scale: Any = None) -> _losses.Loss | None:
    """Return the loss of margins; for joint losses, one with the range of shares."""
    if name in (MULTINOMIAL, CRAMMER_SINGER):
        return _losses.Loss(np.exp, _of_shares, (0.0, 1.0))
    known = name.startswith(ONE_VS_REST) and scale is None
    loss = _losses.loss_of(name.removeprefix(ONE_VS_REST), constant) if known else None
    return None if loss is None or loss.of_errors else loss


def _of_shares(p):
    terms = np.where(p > 0.0, p * np.log(np.where(p > 0.0, p, 1.0)), 0.0)
    return terms, np.abs(terms) + 40.0  # shares are rounded, which logarithms magnify


def nonsense(problem: Problem) -> str:
    """Return what makes the file's problem none; nothing where it is one."""
    if not len(problem.header["classes"] or ()) > 1:
        return "there must be classes"
    if problem.header["penalty"] is None or problem.header["domain"] != "real":
        return "several classes need a penalty, and rows of any numbers"
    return _proof.nonsense_of_sets(problem)


def _signs(codes, n_classes):
    return 2.0 * (codes[:, None] == np.arange(n_classes)) - 1.0


def upper_bounds(problem: Problem) -> dict[str, float]:
    """Return the largest that the upper bound and its parts can be."""
    header, unit, n = problem.header, problem.unit, len(problem.labels)
    theta, weights = problem.arrays["theta"], problem.of_rows("row_weights")
    scores, off = np.empty((2, n, len(theta)))
    for k, row in enumerate(theta):
        products, sizes = problem.rows.times(row[:-1])
        scores[:, k] = products + row[-1]
        off[:, k] = error(problem.rows.counts + 2, sizes + abs(row[-1]), unit)
    losses, wrong = _largest(problem, scores, off, problem.labels.astype(int))
    clean = problem.up(math.fsum(weights * losses), math.fsum(weights * wrong))
    clean = problem.up(clean / n)
    features, limits = problem.arrays["tree_features"], problem.arrays["tree_limits"]
    slopes = problem.arrays["tree_slopes"]
    nodes = zip(features.tolist(), limits.tolist(), slopes, strict=True)
    worst = max([_worst(problem, k, nodes) for k in range(len(theta))])
    if next(nodes, None) is not None:
        raise Refuted("there are more boxes than classes")
    share = max(header["epsilon"], problem.up(header["n_poison"] / n))
    penalties = [_proof.penalty_of(problem, row) for row in theta]
    total = problem.up(clean, share * worst, *penalties)
    return {"clean_loss": clean, "poison_loss": worst, "upper_bound": total}


def _largest(problem, scores, off, codes):
    """Return the largest losses of rows whose scores are so far off, and errors."""
    name, unit, (n, n_classes) = problem.header["loss"], problem.unit, scores.shape
    if name.startswith(ONE_VS_REST):
        margins = _signs(codes, n_classes) * scores
        values, wrong = _losses.largest(
            problem.loss, margins - off, margins + off, unit
        )
        total = values.sum(axis=1)
        return total, wrong.sum(axis=1) + n_classes * unit * total
    each = np.arange(n), codes
    m = scores - scores[each][:, None] + off + off[each][:, None]
    m[each] = 0.0
    wrong = ROUNDING * unit * (n_classes + np.abs(m).max(axis=1))
    if name == CRAMMER_SINGER:
        m += 1.0
        m[each] = 0.0
        return m.max(axis=1), wrong
    top = m.max(axis=1)
    return top + np.log(np.exp(m - top[:, None]).sum(axis=1)), wrong


def _worst(problem, k, nodes):
    """Return at least the largest weighted loss of a row of one class."""
    name, unit = problem.header["loss"], problem.unit
    w, b = problem.arrays["theta"][:, :-1], problem.arrays["theta"][:, -1]
    is_joint = not name.startswith(ONE_VS_REST)
    numbers, own = np.eye(len(b)), np.eye(len(b))[k]
    if is_joint:
        numbers = np.delete(numbers - own, k, axis=0)

    def bounds(g):
        return _bounds_of_numbers(problem, k, g, numbers, w, b)

    high, low = bounds(np.eye(len(numbers))), -bounds(-np.eye(len(numbers)))
    weight = problem.arrays["poison_weights"][k]
    if name == CRAMMER_SINGER:
        most = problem.up(1.0, float(high.max()))
        # NaN is no bound.
        return problem.up(weight * max(0.0, most)) if most < np.inf else np.inf
    lower, upper, g = _boxes(np.minimum(low, high), high, nodes)
    shift = max(0.0, float(high.max())) if is_joint else 0.0
    signs = np.ones(len(numbers)) if is_joint else _signs(np.array([k]), len(b))[0]
    ends, sizes = [], []
    for end in (lower, upper):
        values = np.exp(end - shift) if is_joint else problem.loss.value(signs * end)
        ends.append(values - g * end)
        wide = 1.0 + np.abs(end - shift) if is_joint else 1.0  # of exp's argument
        sizes.append(values * wide + np.abs(g * end))
    sums = bounds(g) + np.maximum(*ends).sum(axis=1)
    off = (ROUNDING + len(numbers)) * unit * np.maximum(*sizes).sum(axis=1)
    most = problem.up(float(sums.max()), float(off.max()), 0.0)
    if is_joint:  # the sum of exponentials, of which one is that of 0
        total = problem.up(max(most, 0.0), math.exp(-shift))
        most = problem.up(shift, math.log(total), ROUNDING * unit)
    return problem.up(weight * most) if most < np.inf else np.inf


def _boxes(low, high, nodes):
    """Return the leaves of a tree that halves a box of numbers, with their slopes."""
    boxes, leaves = [(low, high)], []
    while boxes:
        lower, upper = boxes.pop()
        number, limit, slopes = next(nodes, (-2, 0.0, None))
        if not -1 <= number < len(low):
            raise Refuted("the boxes are not those of a tree")
        if number < 0:
            leaves.append((lower, upper, slopes[: len(low)]))
            continue
        first, second = upper.copy(), lower.copy()
        first[number] = min(limit, upper[number])
        second[number] = max(limit, lower[number])
        boxes += [(second, upper), (lower, first)]
    return (np.array(part) for part in zip(*leaves, strict=True))


def _bounds_of_numbers(problem, k, g, numbers, w, b):
    """Return at least the largest value of linear functions of a class's numbers."""
    each, sizes = (numbers @ w, numbers @ b), np.abs(numbers)
    sizes = sizes @ np.abs(w), sizes @ np.abs(b)
    parts = range(0, len(g), BLOCK)
    found = [_bounds(problem, k, g[i : i + BLOCK], each, sizes) for i in parts]
    return np.concatenate(found)


def _bounds(problem, k, g, each, sizes):
    """Return the same, of numbers ``each[0] x + each[1]``, the sizes of their terms."""
    arrays, unit = problem.arrays, problem.unit
    center, v = arrays["centers"][k], arrays["directions"][k]
    radius, (low, high) = arrays["radii"][k, 1], arrays["offsets"][k, 2:]
    a = g @ each[0]
    off = error(g.shape[1] + 2, np.abs(g) @ sizes[0], unit)
    t = [_proof.multiplier(row, v, radius, low, high) for row in a]
    t = np.array(t)[:, None]
    across = np.abs(a - t * v) + 2.0 * unit * (np.abs(a) + np.abs(t * v)) + off
    length = np.sqrt((across * across).sum(axis=1)) * (1.0 + (len(v) + 8) * unit)
    along = np.maximum(t * low, t * high)[:, 0]
    value = a @ center + g @ each[1]
    size = np.abs(a) @ np.abs(center) + np.abs(g) @ sizes[1]
    wrong = off @ np.abs(center) + error(len(v) + g.shape[1] + 2, size, unit)
    parts = np.array([value, radius * length, along, wrong])
    return parts.sum(axis=0) + 8.0 * unit * np.abs(parts).sum(axis=0)


def lower_bound(problem: Problem) -> float:
    """Return the least that the lower bound can be; an error where a step fails."""
    arrays, unit, n = problem.arrays, problem.unit, len(problem.labels)
    masses = np.empty(arrays["row_masses"].shape)
    masses[problem.order] = arrays["row_masses"]
    poison_masses, shares = arrays["poison_masses"], arrays["poison_shares"]
    labels = arrays["poison_labels"]
    codes, aims = problem.labels.astype(int), labels.astype(int)
    if not np.isin(labels, np.arange(len(arrays["theta"]))).all():
        raise Refuted("a poison row has a label that it cannot have")
    weights = arrays["poison_weights"][aims]
    budget = problem.header["epsilon"] * n
    used = math.fsum(shares / weights) * (1.0 + 8 * unit)
    if not ((shares > 0.0).all() and used <= budget):
        raise Refuted("the poison rows weigh more than epsilon allows")
    poison = poison_rows(problem)
    if not all(
        _proof.is_inside(problem, k, poison.dense(i)) for i, k in enumerate(aims)
    ):
        raise Refuted("a poison row is outside its set")
    first = _conjugates(problem, masses, problem.of_rows("row_weights"), codes)
    second = _conjugates(problem, poison_masses, shares, aims)
    total = -math.fsum(np.concatenate([first[0], second[0]]))
    wrong = math.fsum(np.concatenate([first[1], second[1]]))
    conjugate = 0.0
    for k in range(masses.shape[1]):
        conjugate += _proof.conjugate_of(problem, masses[:, k], poison_masses[:, k])
    value = (total - conjugate * (1.0 + masses.shape[1] * unit)) / n
    return value - 32.0 * unit * (wrong / n + abs(total / n) + abs(value))


def _conjugates(problem, masses, weights, codes):
    """Return the weighted conjugates of rows' slopes, and the sizes of their terms."""
    name, each = problem.header["loss"], (np.arange(len(codes)), codes)
    heavy = weights > 0.0
    if masses[~heavy].any():
        raise Refuted("a row without weight has a mass")
    divisor = np.where(heavy, weights, 1.0)[:, None]
    if name.startswith(ONE_VS_REST):
        slopes, (least, most) = (
            -_signs(codes, masses.shape[1]) * masses,
            (problem.loss.slopes),
        )
        scale = weights[:, None]
        ranged = slopes >= (least * scale if least else 0.0)
        if np.isfinite(most):
            ranged &= slopes <= most * scale
        _check(ranged | ~heavy[:, None])
        values, sizes = problem.loss.conjugate(slopes / divisor)
    else:
        sums = [math.fsum(row) for row in masses.tolist()]
        others = masses.copy()
        others[each] += weights  # exactly: at least 0, or not
        own = masses[each] >= -weights
        others[each] = np.where(own, np.maximum(others[each], 0.0), -1.0)
        _check((others >= 0.0).all(axis=1) & (np.array(sums) == 0.0))
        if name == CRAMMER_SINGER:
            values = masses[each][:, None] / divisor
            sizes = np.abs(values)
        else:
            values, sizes = problem.loss.conjugate(np.minimum(others / divisor, 1.0))
    return weights * values.sum(axis=1), weights * sizes.sum(axis=1)


def _check(right: Any) -> None:
    if not np.all(right):
        raise Refuted("the mass of a row is not within the slopes of its loss")
