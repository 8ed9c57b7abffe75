"""Independent solutions of the bound, and problems to try them on."""

import warnings

import cvxpy as cp
import numpy as np

KINDS = ("gaussian", "whole numbers", "duplicates", "constant feature", "two points")


def worst_loss(sign, rows, w, b):
    """The largest hinge loss of a feasible row as a cvxpy expression, by duality."""
    a = -sign * w
    if rows.direction is None:
        support = rows.center @ a + rows.radius * cp.norm(a)
    else:
        tilt = cp.Variable()
        support = rows.center @ a + rows.radius * cp.norm(a - tilt * rows.direction)
        support += cp.maximum(tilt * rows.upper, tilt * rows.lower)
    return 1 - sign * b + support


def conic_bound(X, signs, sets, epsilon, *, rho=None, C=None):
    """The whole bound as one conic program: the least upper bound."""
    n_rows, n_features = X.shape
    w, b, worst = cp.Variable(n_features), cp.Variable(), cp.Variable(nonneg=True)
    within = [worst >= worst_loss(s, rows, w, b) for s, rows in sets]
    hinge = cp.pos(1 - cp.multiply(signs, X @ w + b))
    objective = cp.sum(hinge) / n_rows + epsilon * worst
    if rho is not None:
        within.append(cp.norm(cp.hstack([w, b])) <= rho)
    else:
        objective += (cp.sum_squares(w) + cp.square(b)) / (2 * C * n_rows)
    problem = cp.Problem(cp.Minimize(objective), within)
    return solve_cone(problem)


def conic_penalised_loss(X, signs, *, n_clean, C):
    """The least objective of a penalised hinge-loss classifier, per clean row."""
    w, b = cp.Variable(X.shape[1]), cp.Variable()
    hinge = cp.sum(cp.pos(1 - cp.multiply(signs, X @ w + b))) / n_clean
    penalty = (cp.sum_squares(w) + cp.square(b)) / (2 * C * n_clean)
    return solve_cone(cp.Problem(cp.Minimize(hinge + penalty)))


def of_shortfall(name, t):
    """A loss of the shortfall ``t = 1 - margin`` as a cvxpy expression."""
    return {
        "hinge": lambda: cp.pos(t),
        "squared_hinge": lambda: cp.square(cp.pos(t)),
        "log_loss": lambda: cp.logistic(t - 1),
        "modified_huber": lambda: cp.huber(cp.pos(t), 2),
        "squared": lambda: cp.square(t) / 2,
    }[name]()


def conic_bound_of_loss(
    X, signs, sets, epsilon, *, loss, penalty, intercept, weights=None, most=(1.0, 1.0)
):
    """The bound for any loss as one conic program.

    The penalty is ``penalty / 2 * (||w||^2 + (b / intercept)^2)``; an infinite
    `intercept` leaves it free, 0 holds it at 0. Losses of clean rows have `weights`,
    and poison of each class weighs the `most`.
    """
    w, b, poison = cp.Variable(X.shape[1]), cp.Variable(), cp.Variable(nonneg=True)
    clean = of_shortfall(loss, 1 - cp.multiply(signs, X @ w + b))
    weights, within = np.ones(len(X)) if weights is None else weights, []
    # Classes of one weight share a variable: more of them make the solver inaccurate.
    worst = {weight: cp.Variable() for weight in most}
    for (s, rows), weight in zip(sets, most, strict=True):
        within.append(worst[weight] >= worst_loss(s, rows, w, b))
        if loss == "squared":  # rows far on the right side lose too
            within.append(worst[weight] >= worst_loss(-s, rows, w, b) - 2)
    for weight, variable in worst.items():
        within.append(poison >= weight * of_shortfall(loss, variable))
    objective = weights @ clean / len(X) + epsilon * poison
    objective += penalty / 2 * cp.sum_squares(w)
    if intercept == 0.0:
        within.append(b == 0)
    elif np.isfinite(intercept):
        objective += penalty / 2 * cp.square(b / intercept)
    return solve_cone(cp.Problem(cp.Minimize(objective), within))


def of_error(name, r, epsilon):
    """A loss of regression of the error as a cvxpy expression."""
    beyond = cp.pos(cp.abs(r) - epsilon)
    return {
        "squared_error": lambda: cp.square(r) / 2,
        "epsilon_insensitive": lambda: beyond,
        "squared_epsilon_insensitive": lambda: cp.square(beyond),
        "huber": lambda: cp.huber(r, epsilon) / 2,
    }[name]()


def scaled_huber(r, epsilon, scale):
    """``HuberRegressor``'s loss, as the least over how errors are split in two."""
    inside, beyond = cp.Variable(r.shape), cp.Variable(r.shape)
    squares, within = cp.Variable(r.shape), []
    entries = range(r.size)
    for i in entries:
        one = (squares, inside) if r.ndim == 0 else (squares[i], inside[i])
        within.append(one[0] >= cp.quad_over_lin(one[1], scale))
    within.append(inside + beyond == r)
    return scale + squares + 2 * epsilon * cp.abs(beyond), within


def conic_regression(X, y, rows, targets, epsilon, *, loss, width, penalty, intercept):
    """The bound of a regressor as one conic program.

    Rows of the attacker are those of one set, their targets between two. The penalty is
    as in :func:`conic_bound_of_loss`; `width` is the loss's own epsilon. The loss
    "scaled_huber" learns its scale.
    """
    w, b, worst = cp.Variable(X.shape[1]), cp.Variable(), cp.Variable()
    below = worst_loss(1.0, rows, w, b) - 1 + targets[1]
    above = worst_loss(-1.0, rows, w, b) - 1 - targets[0]
    within = [worst >= below, worst >= above]
    errors = y - X @ w - b
    if loss == "scaled_huber":
        scale = cp.Variable(nonneg=True)
        clean, some = scaled_huber(errors, width, scale)
        poison, more = scaled_huber(worst, width, scale)
        within += [*some, *more]
    else:
        clean, poison = (of_error(loss, r, width) for r in (errors, worst))
    objective = cp.sum(clean) / len(X) + epsilon * poison
    objective += penalty / 2 * cp.sum_squares(w)
    if intercept == 0.0:
        within.append(b == 0)
    elif np.isfinite(intercept):
        objective += penalty / 2 * cp.square(b / intercept)
    return solve_cone(cp.Problem(cp.Minimize(objective), within))


def rows_with_targets(seed, kind="gaussian", n_rows=40, n_features=4, noise=0.5):
    """Small data for regression: linear with noise, whole, repeated or degenerate."""
    rng = np.random.default_rng(seed)
    X, y = labelled_rows(seed, kind, gap=0.3, n_rows=n_rows, n_features=n_features)
    y = X @ rng.normal(size=n_features) + noise * rng.normal(size=n_rows) + 2.0
    if kind == "duplicates":
        y[n_rows // 2 :] = y[: n_rows - n_rows // 2]
    return X, np.round(y) if kind == "whole numbers" else y


def solve_cone(problem):
    """Solve by the interior-point solver as exactly as it can."""
    for tol in (1e-10, 1e-8, 1e-7):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "may be inaccurate"
            try:
                value = problem.solve(
                    solver=cp.CLARABEL, tol_gap_abs=tol, tol_gap_rel=tol, tol_feas=tol
                )
            except cp.error.SolverError:
                continue
        if problem.status == cp.OPTIMAL:
            return value
    raise AssertionError(f"The conic solver ended with status {problem.status}.")


def conic_svc(X, signs, weights, *, rho):
    """The norm-constrained classifier as a conic program: the least loss."""
    w, b = cp.Variable(X.shape[1]), cp.Variable()
    hinge = cp.pos(1 - cp.multiply(signs, X @ w + b))
    problem = cp.Problem(
        cp.Minimize((weights / weights.sum()) @ hinge),
        [cp.norm(cp.hstack([w, b])) <= rho],
    )
    return solve_cone(problem)


def labelled_rows(seed, kind="gaussian", scale=1.0, gap=1.0, n_rows=40, n_features=5):
    """Small two-class data: more or less separable, whole, repeated or degenerate."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n_rows)
    y[:2] = [0, 1]
    towards = rng.normal(size=n_features)
    X = rng.normal(size=(n_rows, n_features)) + gap * np.outer(2 * y - 1, towards)
    if kind == "whole numbers":
        X = np.round(2 * X)
    if kind == "duplicates":
        X[n_rows // 2 :] = X[: n_rows - n_rows // 2]
        y[n_rows // 2 :] = y[: n_rows - n_rows // 2]
    if kind == "constant feature":
        X[:, 0] = 1.0
    if kind == "two points":  # separable, and both radii are zero
        X = np.outer(2.0 * y - 1.0, np.ones(n_features))
    return scale * X, y


def training_loss(X, signs, w, b, *, n_clean, C=None):
    """The learner's own objective, counted per clean row."""
    loss = np.maximum(0.0, 1.0 - signs * (X @ w + b)).sum() / n_clean
    if C is not None:
        loss += (w @ w + b * b) / (2 * C * n_clean)
    return loss
