"""What the claims of a bound are about, in words, and what nobody can check.

All that the proof uses of the file and that the rows do not tell is said here: a file
with another filter, loss or weights proves another bound.
"""

from collections.abc import Iterator

import numpy as np

from skpoison.verify._proof import Problem

GAP = (
    "What training falls short of the minimum comes on top "
    "(skpoison.bounds.training_gap)."
)
ADDED = "The rows given are clean, and the attacker adds rows but changes none."
FUNCTIONS = (
    "NumPy's exponentials and logarithms are right to four units in the last place."
)
# Losses with a constant, which is part of what they are.
WITH_CONSTANT = ("epsilon_insensitive", "squared_epsilon_insensitive", "huber")
NEARLY = 1e-9


def objective(problem: Problem) -> str:
    """Say what the learner minimizes."""
    header = problem.header
    loss = header["loss"].replace("_", " ")
    if header["loss"] in WITH_CONSTANT or problem.loss.learns_scale:
        learned = " and a scale that is learned" * problem.loss.learns_scale
        loss += f" (epsilon {header['loss_constant']:g}{learned})"
    return f"the mean {loss} loss of the rows, {_weights(problem)}, {_penalty(header)}"


def _weights(problem):
    rows, poison = (problem.arrays[f"{name}_weights"] for name in ("row", "poison"))
    if (rows == 1.0).all() and (poison == 1.0).all():
        return "each with weight 1"
    listed = ", ".join(f"{weight:g}" for weight in poison[:20].tolist())
    return (
        f"weighted with {rows.min():g} to {rows.max():g} as in the file, poison rows "
        f"with {listed}{' (by class)' * (len(poison) > 1)}"
    )


def _penalty(header):
    if header["rho"] is not None:
        return f"over |(w, b)| <= {header['rho']:g}"
    strength, of_intercept = header["penalty"] or 0.0, header["intercept_penalty"]
    if of_intercept == strength:
        return f"plus {strength / 2:g} |(w, b)|^2"
    more = "" if not of_intercept else f" + {of_intercept / 2:g} b^2"
    return f"plus {strength / 2:g} |w|^2{more}{', b = 0' * (of_intercept is None)}"


def assumed(problem: Problem) -> Iterator[str]:
    """Say what no file can prove."""
    header, n = problem.header, len(problem.labels)
    if header["domain"] != "real":
        from skpoison.verify import _domain

        yield _domain.in_words(problem)
    if header["kind"] == "moving":
        from skpoison.verify import _moving

        yield _moving.in_words(problem)
        sets = _moving.sets_of_clean(problem)
    else:
        names = ("centers", "directions", "radii", "offsets")
        sets = [problem.arrays[name] for name in names]
        more = ""
        if header["classes"] is None:
            low, high = header["least_target"], header["largest_target"]
            more = f", and rejects targets outside {low:g} to {high:g}"
        yield (
            "The deployed filter has the centers, radii, directions and offsets of the "
            f"file{more}{_about_directions(*sets[:2])}."
        )
    yield f"{n_inside(problem, *sets):,} of the {n:,} rows pass the filter of the file."
    yield f"The learner minimizes {objective(problem)}."
    yield from (GAP, ADDED, FUNCTIONS)


def _about_directions(centers, directions):
    """Say of two classes whether slabs lie across the line between the centers."""
    if not directions.any():
        return ""
    line = centers[-1] - centers[0]
    length = float(np.linalg.norm(line))
    off = np.abs(np.abs(directions @ line) - length).max()
    units = np.abs(np.linalg.norm(directions, axis=1) - 1.0).max()
    if len(centers) == 2 and off <= NEARLY * length and units <= NEARLY:
        return " (slabs lie across the line between the centers)"
    return " (slabs do NOT lie across the line between two centers)"


def n_inside(
    problem: Problem,
    centers: np.ndarray,
    directions: np.ndarray,
    radii: np.ndarray,
    offsets: np.ndarray,
) -> int:
    """Return how many of the clean rows the filter keeps, up to rounding."""
    rows, labels, count = problem.rows, problem.labels, 0
    squares = np.bincount(rows.row_of, rows.data**2, minlength=len(labels))
    is_regression = problem.header["classes"] is None
    for k, (center, v) in enumerate(zip(centers, directions, strict=True)):
        of_center = float(center @ center)
        distances = squares - 2.0 * rows.times(center)[0] + of_center
        slack = NEARLY * (squares + of_center) + (1.0 + NEARLY) * radii[k, 1] ** 2
        inside = distances <= slack
        if v.any() or offsets[k].any():
            along = rows.times(v)[0] - float(v @ center)
            slack = NEARLY * (np.sqrt(squares) + np.sqrt(of_center))
            inside &= along >= offsets[k, 2] - slack
            inside &= along <= offsets[k, 3] + slack
        if is_regression:
            inside &= labels >= problem.header["least_target"]
            inside &= labels <= problem.header["largest_target"]
        else:
            inside &= labels == k
        count += int(inside.sum())
    return count


def compared(problem: Problem, filter: object) -> str:
    """Return what a fitted filter keeps that the sets of the file do not hold."""
    header, arrays = problem.header, problem.arrays
    if header["kind"] == "moving":
        return "centroids that move are not compared with those of a filter"
    if not hasattr(filter, "feasible_set"):
        raise ValueError(
            "filter must have a feasible_set, as a fitted SphereFilter has; got "
            f"{filter!r:.100}."
        )
    feasible = filter.feasible_set()
    for k, label in enumerate(header["classes"] or [0]):
        if label not in feasible.classes:
            return f"it does not know the label {label!r}"
        one = feasible[label]
        if not np.array_equal(one.center, arrays["centers"][k]):
            return f"its center of {label!r} is another"
        if not one.radius <= arrays["radii"][k, 1]:
            return f"its radius of {label!r} is larger"
        v, offsets = arrays["directions"][k], arrays["offsets"][k]
        if not (v.any() or offsets.any()):
            continue
        if one.direction is None or not np.array_equal(one.direction, v):
            return f"its direction of {label!r} is another"
        if not (offsets[2] <= one.lower and one.upper <= offsets[3]):
            return f"its offsets of {label!r} are wider"
    return ""
