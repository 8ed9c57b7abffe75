"""Small conic programs: solved by Clarabel or SCS, with dual values certified in numpy.

Programs read ``maximize c @ x`` subject to ``A x + s = b``, s in a product of cones:
zeros, non-negative numbers, cones of dimension three, and positive semidefinite
matrices of order six (upper triangles column by column, off the diagonal times the
square root of two). For every z in the dual cones, whatever solver it comes from,

    c @ x  <=  b @ z + (c - A.T z) @ x  <=  b @ z + |c - A.T z| @ limits

where ``limits`` bound the absolute values of x at all points that matter. A value is
valid whenever the limits are, and as tight as the solver is accurate.
See docs/mathematics.md, section "Semidefinite programs for moving centroids".
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

ORDER = 6
ROOT = np.sqrt(2.0)
# Position of the matrix entries (i, j), i <= j, column by column.
UPPER = np.array([(i, j) for j in range(ORDER) for i in range(j + 1)])
N_MATRIX = len(UPPER)
_OFF = UPPER[:, 0] != UPPER[:, 1]
# An unfinished solution whose multipliers come so near to it will do.
NEAR = 1e-4
# Rounding of a sum of this many products, generously.
ROUNDING = 256 * np.finfo(float).eps


class ConicProgram(NamedTuple):
    """A program in the form above.

    Parameters
    ----------
    c : ndarray of shape (n_variables,)
        Coefficients of the objective, which is maximized.
    A : ndarray of shape (n_rows, n_variables)
        Rows of zeros first, then non-negative ones, then cones, then the matrix.
    b : ndarray of shape (n_rows,)
        Right-hand side.
    limits : ndarray of shape (n_variables,)
        Largest absolute value of each variable at points that matter.
    n_zero, n_nonnegative, n_cones : int
        Number of rows of the first two kinds, and of cones of dimension three.
    """

    c: np.ndarray
    A: np.ndarray
    b: np.ndarray
    limits: np.ndarray
    n_zero: int
    n_nonnegative: int
    n_cones: int


class Answer(NamedTuple):
    """What is known of a program after solving it.

    Parameters
    ----------
    value : float
        No point of the program has a larger objective.
    point : ndarray of shape (n_variables,)
        The solver's point: nothing is promised of it.
    dual : ndarray of shape (n_rows,)
        The multipliers that prove the value.
    """

    value: float
    point: np.ndarray
    dual: np.ndarray


# What a solver returns: point, multipliers, and why they may be of no use, or None.
Attempt = tuple[np.ndarray, np.ndarray, str | None]
ConicSolver = Callable[[ConicProgram], Attempt]


class SolverError(RuntimeError):
    """No installed solver could solve a program."""


def solve_program(
    program: ConicProgram, solvers: Sequence[ConicSolver] | None = None
) -> Answer:
    """Solve a program and bound its value."""
    failures, best = [], None
    for solver in solvers or (by_clarabel, by_scs):
        try:
            answer, failure = _ask(solver, program)
        except Exception as error:
            answer, failure = None, error
        if answer is not None:
            best = answer if best is None or answer.value < best.value else best
            if failure is None or _is_near(program, answer):
                return best
        failures.append(f"{solver.__name__}: {failure}")
    raise SolverError(f"No solver solved a conic program ({'; '.join(failures)}).")


def _ask(solver, program):
    point, dual, failure = solver(program)
    if not (np.all(np.isfinite(point)) and np.all(np.isfinite(dual))):
        return None, failure or "not finite"
    return Answer(certified_value(program, dual), point, dual), failure


def _is_near(program, answer):
    gap = answer.value - float(program.c @ answer.point)
    return gap <= NEAR * (1.0 + abs(answer.value))


def certified_value(program: ConicProgram, dual: np.ndarray) -> float:
    """Bound a program's value by a dual point of any quality."""
    z = into_dual_cones(program, dual)
    residual = program.c - program.A.T @ z
    sizes = np.abs(program.A).T @ np.abs(z) + np.abs(program.c)
    rounding = ROUNDING * (np.abs(program.b) @ np.abs(z) + sizes @ program.limits)
    return float(program.b @ z + np.abs(residual) @ program.limits + rounding)


def into_dual_cones(program: ConicProgram, dual: np.ndarray) -> np.ndarray:
    """Return the nearest multipliers that are admissible beyond rounding."""
    z = np.array(dual, dtype=np.float64)
    start = program.n_zero + program.n_nonnegative
    end = start + 3 * program.n_cones
    z[program.n_zero : start] = np.maximum(z[program.n_zero : start], 0.0)
    cones = z[start:end].reshape(-1, 3)
    lengths = np.hypot(cones[:, 1], cones[:, 2]) * (1.0 + 1e-14)
    cones[:, 0] = np.maximum(cones[:, 0], lengths)
    z[end:] = _into_semidefinite(z[end:])
    return z


def _into_semidefinite(triangle):
    values, vectors = np.linalg.eigh(as_matrix(triangle))
    lifted = np.maximum(values, 0.0) + 1e-14 * np.abs(values).max()
    return as_triangle((vectors * lifted) @ vectors.T)


def as_matrix(triangle: np.ndarray) -> np.ndarray:
    """Return the symmetric matrix of a scaled triangle."""
    matrix = np.empty((ORDER, ORDER))
    entries = np.where(_OFF, triangle / ROOT, triangle)
    matrix[UPPER[:, 0], UPPER[:, 1]] = entries
    matrix[UPPER[:, 1], UPPER[:, 0]] = entries
    return matrix


def as_triangle(matrix: np.ndarray) -> np.ndarray:
    """Return the scaled triangle of a symmetric matrix: undoes :func:`as_matrix`."""
    entries = matrix[UPPER[:, 0], UPPER[:, 1]]
    return np.where(_OFF, entries * ROOT, entries)


def by_clarabel(program: ConicProgram) -> Attempt:
    """Solve by Clarabel."""
    import clarabel

    cones = [
        clarabel.ZeroConeT(program.n_zero),
        clarabel.NonnegativeConeT(program.n_nonnegative),
        *[clarabel.SecondOrderConeT(3)] * program.n_cones,
        clarabel.PSDTriangleConeT(ORDER),
    ]
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads = False, 1
    settings.chordal_decomposition_enable = False
    nothing = sparse.csc_matrix((len(program.c), len(program.c)))
    A = sparse.csc_matrix(program.A)
    found = clarabel.DefaultSolver(
        nothing, -program.c, A, program.b, cones, settings
    ).solve()
    solved = str(found.status) in ("Solved", "AlmostSolved")
    failure = None if solved else f"status {found.status}"
    return np.array(found.x), np.array(found.z), failure


def by_scs(program: ConicProgram) -> Attempt:
    """Solve by SCS, a first-order method: slower and less exact."""
    import scs

    start = len(program.b) - N_MATRIX
    # SCS wants lower triangles column by column.
    order = np.append(np.arange(start), start + np.lexsort(UPPER.T[[1, 0]]))
    data = {"A": sparse.csc_matrix(program.A[order]), "b": program.b[order]}
    cones = {
        "z": program.n_zero,
        "l": program.n_nonnegative,
        "q": [3] * program.n_cones,
        "s": [ORDER],
    }
    options = {"verbose": False, "eps_abs": 1e-7, "eps_rel": 1e-7, "max_iters": 20_000}
    found = scs.SCS({**data, "c": -program.c}, cones, **options).solve()
    status = found["info"]["status"]
    dual = np.empty(len(program.b))
    dual[order] = found["y"]
    return found["x"], dual, None if status == "solved" else f"status {status}"
