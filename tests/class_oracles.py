"""Independent solutions of the bound for several classes, and problems to try."""

import cvxpy as cp
import numpy as np
from oracles import of_shortfall, solve_cone
from scipy.special import logsumexp

N_STARTS = 15


def class_rows(seed, kind="gaussian", *, gap=1.0, n_rows=36, n_features=4, n_classes=3):
    """Small data of several classes, more or less separable, whole or repeated."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n_rows)
    y[:n_classes] = np.arange(n_classes)
    X = rng.normal(size=(n_rows, n_features))
    X += gap * rng.normal(size=(n_classes, n_features))[y]
    if kind == "whole numbers":
        X = np.round(2 * X)
    if kind == "duplicates":
        half = n_rows // 2
        X[half:], y[half:] = X[: n_rows - half], y[: n_rows - half]
    if kind == "constant feature":
        X[:, 0] = 1.0
    return X, y


def class_loss(name, S, y):
    """The loss of scores (n_rows, n_classes), written down from its definition."""
    own = S[np.arange(len(y)), y][:, np.newaxis]
    others = np.arange(S.shape[1]) != y[:, np.newaxis]
    if name == "multinomial":
        return logsumexp(S - own, axis=1)
    if name == "crammer_singer":
        return (S - own + others).max(axis=1)
    m = np.where(others, -S, S)
    t = np.maximum(1.0 - m, 0.0)
    one = {
        "hinge": lambda: t,
        "squared_hinge": lambda: t**2,
        "log_loss": lambda: np.logaddexp(0.0, -m),
        "modified_huber": lambda: np.where(m < -1.0, -4.0 * m, t**2),
        "squared": lambda: (1.0 - m) ** 2 / 2,
    }[name]
    return one().sum(axis=1)


def loss_expression(name, S, y):
    """The sum of the losses of rows, each a cvxpy expression of its own."""
    n_rows, n_classes = S.shape
    own = np.eye(n_classes)[y]
    if name in ("multinomial", "crammer_singer"):
        differences = S - cp.reshape(
            cp.sum(cp.multiply(own, S), axis=1), (n_rows, 1), order="C"
        ) @ np.ones((1, n_classes))
        if name == "multinomial":
            return cp.log_sum_exp(differences, axis=1)
        return cp.max(differences + 1.0 - own, axis=1)
    t = 1.0 - cp.multiply(2.0 * own - 1.0, S)
    return cp.sum(of_shortfall(name, t), axis=1)


class ConicGame:
    """The least bound of a learner, by conic programs and rows found by hand.

    The program takes poison rows that were found so far; rows that lose more at its
    solution join them, until there are none.
    """

    def __init__(self, X, y, sets, epsilon, *, loss, penalty, intercept):
        self.X, self.y, self.sets = X, y, sets
        self.epsilon, self.loss = epsilon, loss
        self.penalty, self.intercept = penalty, intercept
        self.n_classes = len(sets)

    def solve(self, first=(), tol=4e-6, max_rounds=30):
        """Return a lower and an upper bound of the least bound.

        Any feasible rows with their codes can come first, and spare rounds.
        """
        rng = np.random.default_rng(0)
        rows = [(region.center, code) for code, region in enumerate(self.sets)]
        rows += list(first)
        lower, upper = -np.inf, np.inf
        for _ in range(max_rounds):
            try:
                value, W, b = self._program(rows)
            except AssertionError:  # the conic solver gave up
                break
            lower = max(lower, value)
            base = value - self.epsilon * self._worst_of(rows, W, b)
            found = [self._worst_row(code, W, b, rng) for code in range(self.n_classes)]
            worst = max(loss for loss, _ in found)
            upper = min(upper, base + self.epsilon * worst)
            if upper - lower <= tol * max(1.0, lower):
                break
            least = self._worst_of(rows, W, b) - 1.0
            rows += [(x, c) for c, (loss, x) in enumerate(found) if loss >= least]
        return lower, upper

    def _program(self, rows):
        W, b = (
            cp.Variable((self.n_classes, self.X.shape[1])),
            cp.Variable(self.n_classes),
        )
        points, codes = np.array([x for x, _ in rows]), np.array([c for _, c in rows])
        ones = np.ones((len(self.X), 1)), np.ones((len(rows), 1))
        shift = cp.reshape(b, (1, self.n_classes), order="C")
        clean = loss_expression(self.loss, self.X @ W.T + ones[0] @ shift, self.y)
        sent = loss_expression(self.loss, points @ W.T + ones[1] @ shift, codes)
        value = cp.sum(clean) / len(self.X) + self.epsilon * cp.max(sent)
        value += self.penalty / 2 * cp.sum_squares(W)
        within = [b == 0] if self.intercept == 0.0 else [cp.sum(b) == 0]
        if 0.0 < self.intercept < np.inf:
            value += self.penalty / 2 * cp.sum_squares(b / self.intercept)
            within = []
        if np.isinf(self.intercept) and self.loss not in (
            "multinomial",
            "crammer_singer",
        ):
            within = []
        found = solve_cone(cp.Problem(cp.Minimize(value), within))
        return found, W.value, b.value

    def _worst_of(self, rows, W, b):
        points, codes = np.array([x for x, _ in rows]), np.array([c for _, c in rows])
        return class_loss(self.loss, points @ W.T + b, codes).max()

    def _worst_row(self, code, W, b, rng):
        """Climb from many rows by numerical gradients of the loss."""
        best = -np.inf, None
        units = np.eye(self.n_classes)
        for start in range(N_STARTS):
            towards = rng.normal(size=self.n_classes)
            if start < self.n_classes:
                towards = units[start] - units[code]
            x = self.sets[code].support(towards @ W)[1]
            value = self._loss_at(x, code, W, b)
            for _ in range(40):
                gradient = self._gradient(x, code, W, b)
                there = self.sets[code].support(gradient @ W)[1]
                higher = self._loss_at(there, code, W, b)
                if higher <= value + 1e-12:
                    break
                x, value = there, higher
            best = max(best, (value, tuple(x)))
        return best[0], np.array(best[1])

    def _loss_at(self, x, code, W, b):
        return float(
            class_loss(self.loss, (W @ x + b)[np.newaxis], np.array([code]))[0]
        )

    def _gradient(self, x, code, W, b):
        S, step = W @ x + b, 1e-6
        moved = S + step * np.eye(self.n_classes), S - step * np.eye(self.n_classes)
        codes = np.full(self.n_classes, code)
        ends = [class_loss(self.loss, there, codes) for there in moved]
        return (ends[0] - ends[1]) / (2 * step)


def class_objective(loss, W, b, X, y, n_clean, penalty, intercept):
    """The learner's own training objective, divided by the number of clean rows."""
    value = class_loss(loss, X @ W.T + b, y).sum() + penalty / 2 * np.sum(W * W)
    if 0.0 < intercept < np.inf:
        value += penalty / 2 * np.sum((b / intercept) ** 2)
    return value / n_clean


def least_class_objective(X, y, loss, penalty, intercept):
    """The least training objective, by a conic program."""
    n_classes = len(np.unique(y))
    W, b = cp.Variable((n_classes, X.shape[1])), cp.Variable(n_classes)
    shift = cp.reshape(b, (1, n_classes), order="C")
    losses = loss_expression(loss, X @ W.T + np.ones((len(X), 1)) @ shift, y)
    value = cp.sum(losses) + penalty / 2 * cp.sum_squares(W)
    if 0.0 < intercept < np.inf:
        value += penalty / 2 * cp.sum_squares(b / intercept)
    within = [b == 0] if intercept == 0.0 else []
    return solve_cone(cp.Problem(cp.Minimize(value / len(X)), within))
