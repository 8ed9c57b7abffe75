"""The bound for attackers restricted to a domain.

First the set of rows is replaced by the convex set of its Lagrangian dual, over which
Newton's method works as it does for real rows. If the set is not convex, the dual's
points are then decomposed into rows of the domain, which makes the lower bound valid
for these. Where a gap remains, cutting planes and branch and bound close it.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from skpoison._whole_rows import apportion_upwards, n_poison_rows
from skpoison.bounds._candidate_attack import retrain, rows_that_pass
from skpoison.bounds._hull_relaxation import HullPoison, solve_relaxed
from skpoison.bounds._listed import are_listed, are_sliced, solve_listed, solve_slices
from skpoison.bounds._projected import inside
from skpoison.feasible import RestrictedSet
from skpoison.feasible.discrete import Spread, can_mix
from skpoison.solvers._adversary import (
    NO_POISON,
    PointPoison,
    PoisonPoints,
    PoisonTerm,
)
from skpoison.solvers._proximal_bundle import solve_cuts
from skpoison.solvers._proximal_newton import Iterate
from skpoison.solvers._train import PoisonCopies
from skpoison.solvers._working_set import Solution, dual_value, solve, upper_value

# The hull is solved to this share of the tolerance where rows must be found as well.
HULL_SHARE = 0.3
# Rows that stand for a dual point: at first, and at most.
FIRST_ROWS, MOST_ROWS = 128, 2048
# So few where cutting planes do the rest.
FEW_ROWS = 16
# More rows help as long as each time they leave less than this share of the misfit.
SHRINKING = 0.9
# How precisely, relative to the tolerance, the clean rows answer them.
REFIT_SHARE, REFIT_STEPS = 0.2, 200
# They do where not many more rows than these would be enough.
NEAR = 3
# Rounds of cutting planes, which are only for problems with few features.
MAX_ROUNDS, FEW_FEATURES = 200, 2000
# With fewer features, and no whole numbers, nothing else is needed.
FEWEST_FEATURES = 100
# They start near the optimum: after so many rounds in vain no better row is left.
FEW_ROUNDS = 10
MOST_MERGED, MAX_NODES = 150, 100
# Branching brings the poison's part this near, relative to the gap that is wanted.
ORACLE_SHARE = 0.25
# What float32 can move a row by, in units of the rows' size.
ROUNDING = 1e-6


class OraclePoison(PoisonTerm):
    """Poison from sets that are known through their oracle.

    Parameters
    ----------
    epsilon : float
        Total weight of the poison, relative to the clean rows.
    signs : sequence of float
        Sign of each set's label.
    sets : sequence of RestrictedSet
        The feasible sets, in the order of `signs`.

    Attributes
    ----------
    loss_tol : float
        The oracle branches until the largest loss is known to this precision.
    """

    loss_tol = np.inf

    def _worst_row(self, i, a):
        options = {"gap_tol": 0.0, "abs_tol": self.loss_tol, "max_nodes": MAX_NODES}
        value, point = self.sets[i].solve(a, **options)[:2]
        return self._least(i, a, value), point

    def _least(self, i, a, value):
        """A search that ended early must not fall behind the rows of any numbers."""
        base = self.sets[i].base
        return min(value, base.support(a)[0]) if base.is_bounded else value

    def _largest(self, i, a):
        if self.sets[i].can_search:
            return self._worst_row(i, a)[0]
        return self._least(i, a, self.sets[i].bound(a)[0])

    def without_domain(self):
        """Return the term of rows of any numbers; None where they are unbounded."""
        bases = {
            id(rows.base): (sign, rows.base)
            for sign, rows in zip(self.signs, self.sets, strict=True)
        }
        signs, sets = zip(*bases.values(), strict=True)
        if not all(base.is_bounded for base in sets):
            return None
        return PoisonTerm(self.epsilon, signs, sets)


def poison_term(epsilon, signs, sets):
    """Return the poison term of one set for each class, restricted or not."""
    if not any(isinstance(rows, RestrictedSet) for rows in sets):
        return PoisonTerm(epsilon, signs, sets)
    pieces = [
        (sign, subproblem)
        for sign, rows in zip(signs, sets, strict=True)
        for subproblem in rows.pieces
    ]
    return OraclePoison(epsilon, *zip(*pieces, strict=True))


@dataclass
class RestrictedSolution(Solution):
    """A solution, and what was found for the hulls.

    Parameters
    ----------
    hull : PoisonPoints or None
        The dual's poison in the hulls, where rows were spread around it.
    relaxed : Iterate or None
        The last iterate for the hulls, to start from again.
    unrestricted : Solution or None
        The solution for rows of any numbers.
    """

    hull: PoisonPoints | None = None
    relaxed: Iterate | None = None
    unrestricted: Solution | None = None


def solve_restricted(problem, *, tol, max_iter, rng, start=None, monitor=None):
    """Minimize the bound over the learner's parameters, for restricted rows."""
    options = {"tol": tol, "monitor": monitor}
    if problem.poison.epsilon == 0.0:
        return _unpoisoned(problem, max_iter, rng, options)
    # First, so that the rows drawn are those of the bound without a domain.
    real = _without_domain(problem, tol, max_iter, rng, start)
    if are_listed(problem.poison.sets):
        found = solve_listed(problem, max_iter=max_iter, rng=rng, start=real, **options)
    elif real is not None and are_sliced(problem.poison.sets):
        found = solve_slices(problem, max_iter=max_iter, rng=rng, start=real, **options)
    else:
        found = _solve_rows(problem, max_iter, rng, start, options)
    return found if real is None else _least(problem, found, real, tol, monitor)


def solve_by_support(problem, *, tol, max_iter, rng, start=None, monitor=None):
    """Minimize the bound where only the support of the attacker's regions is known.

    Parameters and result are those of :func:`solve_restricted`.
    """
    options = {"tol": tol, "monitor": monitor}
    if problem.poison.epsilon == 0.0:
        return _unpoisoned(problem, max_iter, rng, options)
    return solve_cuts(problem, start=start, max_iter=max_iter, **options)


def _without_domain(problem, tol, max_iter, rng, start):
    """Solve for rows of any numbers, whose bound is valid for the domain's too."""
    poison = problem.poison.without_domain()
    if poison is None:
        return None
    previous = getattr(start, "unrestricted", None)
    return solve(
        problem._replace(poison=poison),
        tol=tol,
        max_iter=max_iter,
        rng=rng,
        start=None if previous is None else previous.iterate,
    )


def _least(problem, found, real, tol, monitor):
    """Take the parameters of the bound without a domain where they do better."""
    n_iter = found.n_iter + real.n_iter
    fields = vars(found) | {"n_iter": n_iter, "unrestricted": real}
    found, best = RestrictedSolution(**fields), real.best_primal
    upper = float(upper_value(problem, best.theta, best.margins))
    if upper >= found.upper:
        return found
    bounds = {"upper_bound": upper, "lower_bound": found.lower}
    entry = {**found.history[-1], **bounds, "n_iter": n_iter}
    if monitor is not None:
        monitor(entry)
    history = [*found.history, entry]
    return found.improved(problem, tol, primal=(best, upper), history=history)


def _solve_rows(problem, max_iter, rng, start, options):
    """Minimize the bound for the rows of the domain, step by step."""
    tol, monitor = options["tol"], options["monitor"]
    if not all(can_mix(rows._parts) for rows in problem.poison.sets):
        return solve_cuts(problem, start=start, max_iter=max_iter, **options)
    is_convex = all(rows.is_convex for rows in problem.poison.sets)
    is_easy = not is_convex and _has_near_oracle(problem)
    if is_easy:
        few = options | {"max_iter": max_iter, "patience": FEW_ROUNDS}
        found = solve_cuts(problem, start=start, **few)
        if found.gap <= NEAR * problem.target(found.upper, tol):
            return found
    hulls = [rows.hull() for rows in problem.poison.sets]
    poison = HullPoison(problem.poison.epsilon, problem.poison.signs, hulls)
    found = solve_relaxed(
        problem._replace(poison=poison),
        tol=tol if is_convex else HULL_SHARE * tol,
        max_iter=max_iter,
        rng=rng,
        start=None if start is None else start.relaxed,
        monitor=monitor,
    )
    if is_convex:
        return _inside(problem, found, tol)
    n_rows = (FEW_ROWS, FEW_ROWS) if is_easy else (FIRST_ROWS, MOST_ROWS)
    found = _spread(problem, found, tol, rng, monitor, *n_rows)
    if not found.converged and problem.rows.dim <= FEW_FEATURES:
        found = _cut_further(problem, found, min(max_iter, MAX_ROUNDS), options)
    return found if found.converged else _branched(problem, found, tol)


def _has_near_oracle(problem):
    """Whether few cutting planes do: few features, and no whole numbers among them."""
    has_whole = any(rows.has_whole for rows in problem.poison.sets)
    return problem.rows.dim <= FEWEST_FEATURES and not has_whole


def _unpoisoned(problem, max_iter, rng, options):
    """Train on the clean rows alone."""
    clean = problem._replace(poison=NO_POISON)
    found = solve(clean, max_iter=max_iter, rng=rng, **options)
    points = sparse.csr_array((0, problem.rows.dim - 1))
    poison = PoisonPoints(np.zeros(0), points)
    assert found.best_dual is not None  # solve records one at each check
    best_dual = replace(found.best_dual, poison=poison)
    term = PointPoison(0.0, np.zeros(0), points)
    return RestrictedSolution(**(vars(found) | {"best_dual": best_dual, "term": term}))


def _inside(problem, found, tol):
    """Move the dual's points inwards until their sets contain them."""
    given = found.best_dual.poison
    both = zip(problem.poison.sets, given.points, strict=True)
    poison = given._replace(points=np.array([inside(*pair) for pair in both]))
    return _with_rows(problem, found, poison, None, tol)


def _branched(problem, found, tol):
    """Return the solution with the bound that branching gives."""
    target = problem.target(found.upper, tol)
    problem.poison.loss_tol = ORACLE_SHARE * target / problem.poison.epsilon
    best = found.best_primal
    upper = float(upper_value(problem, best.theta, best.margins))
    return found.improved(problem, tol, primal=(best, upper))


def _with_rows(problem, found, poison, term, tol):
    """Return the solution with poison that can be sent, and its dual value."""
    best_dual = replace(found.best_dual, poison=poison)
    z = best_dual.row_sum + (term or problem.poison).dual_sum(poison)
    lower = float(dual_value(problem, best_dual.duals, poison, z))
    bounds = {"upper_bound": found.upper, "lower_bound": lower}
    entry = {**found.history[-1], **bounds}
    # The dual point of the hull does not count: its rows cannot be sent.
    hull = {"best_dual": None, "lower": -np.inf, "relaxed": found.iterate}
    return RestrictedSolution(**vars(found) | hull).improved(
        problem,
        tol,
        dual=(best_dual, lower, term),
        history=[*found.history, entry],
    )


def _spread(problem, found, tol, rng, monitor, first, most):
    """Replace the dual's points by rows around them, as many as the gap asks for."""
    hull, previous = found.best_dual.poison, np.inf
    spreads = spreads_of(problem.poison, hull, found.best_primal.theta, rng)
    bundle: list[list] = [[] for _ in spreads]
    # Shares of words that only one clean row has are multiples of one poison row's:
    # with whole multiples of the rows that the attacker sends they come out even.
    sent = problem.poison.epsilon * len(problem.rows)
    times = max(1, int(np.ceil(first / sent)))
    while True:
        for parts, spread, share in zip(bundle, spreads, hull.beta, strict=True):
            have = sum(rows.shape[0] for rows in parts)
            parts.append(spread.take(int(np.rint(times * sent * share)) - have))
        poison, term = _bundled(problem.poison, bundle, hull.beta)
        trial = _with_rows(problem, found, poison, term, tol)
        misfit = found.lower - trial.lower
        longest = max(1, int(most / sent))
        wanted = _enough(problem, found, trial, times, tol)
        is_last = times >= longest or misfit > SHRINKING * previous
        if not trial.converged and (is_last or wanted <= NEAR * times):
            trial = _refit(problem, trial, tol, rng)
        if monitor is not None:
            monitor(trial.history[-1])
        if trial.converged or is_last:
            trial.hull = hull
            return trial
        times, previous = min(wanted, longest), misfit


def _enough(problem, found, trial, times, tol):
    """Return how many times the rows sent should do: more rows, less misfit."""
    allowed = problem.target(trial.upper, tol) - (trial.upper - found.lower)
    misfit = found.lower - trial.lower
    factor = 1.1 * misfit / allowed if allowed > 0 else np.inf
    return int(min(np.ceil(times * max(factor, 1.3)), 1e9))


def _refit(problem, found, tol, rng):
    """Answer the rows found with the best duals of the clean rows."""
    n_rows, poison = len(problem.rows), found.best_dual.poison
    copies = problem.poison.epsilon * n_rows * poison.beta
    attack = PoisonCopies(poison.points, found.term.signs, copies)
    options = {"tol": REFIT_SHARE * tol, "max_iter": REFIT_STEPS, "rng": rng}
    duals = retrain(problem, found, attack, **options).best_dual.duals
    clean, poisoned = duals[:n_rows], duals[n_rows:]
    best_dual = replace(
        found.best_dual,
        duals=clean,
        row_sum=problem.rows.combine(problem.weights * clean),
    )
    poison = poison._replace(beta=poison.beta * poisoned)
    better = _with_rows(
        problem, replace(found, best_dual=best_dual), poison, found.term, tol
    )
    return better if better.lower > found.lower else found


def spreads_of(poison, hull, theta, rng):
    """Return the sequences of rows around the points of the hulls."""
    return [
        Spread(rows, point, -sign * theta[:-1], rng)
        for sign, rows, point in zip(
            poison.signs, poison.sets, hull.points, strict=True
        )
    ]


def _bundled(poison, bundle, shares):
    """Stack rows of the classes, which share their class's weight equally."""
    stacks = [sparse.csr_array(sparse.vstack(parts)) for parts in bundle]
    sizes = np.array([len(rows.indptr) - 1 for rows in stacks])
    beta = np.repeat(shares / np.maximum(sizes, 1), sizes)
    signs = np.repeat(poison.signs, sizes)
    points = sparse.csr_array(sparse.vstack(stacks))
    term = PointPoison(poison.epsilon, signs, points)
    return PoisonPoints(beta, points), term


def _cut_further(problem, found, max_iter, options):
    """Bring the bounds nearer by cutting planes, where rows fall short of the hull."""
    merged = _merged(found)
    options = options | {"max_iter": max_iter, "patience": FEW_ROUNDS}
    more = solve_cuts(problem, start=merged, **options)
    if more.gap >= found.gap:
        return found
    fields = vars(more) | {
        "n_iter": found.n_iter + more.n_iter,
        "history": [*found.history, *more.history],
        "relaxed": found.relaxed,
    }
    return RestrictedSolution(**fields)


def _merged(found):
    """Merge equal rows of the dual's poison; keep the heaviest, which weigh it all."""
    term, beta = found.term, found.best_dual.poison.beta
    labeled = np.column_stack([term.signs, term.points.toarray()])
    rows, place = np.unique(labeled, axis=0, return_inverse=True)
    weights = np.bincount(place.ravel(), beta, minlength=len(rows))
    kept = np.argsort(-weights, kind="stable")[:MOST_MERGED]
    points = sparse.csr_array(rows[kept, 1:])
    weights = weights[kept] * (beta.sum() / max(weights[kept].sum(), 1e-300))
    best_dual = replace(found.best_dual, poison=PoisonPoints(weights, points))
    term = PointPoison(term.epsilon, rows[kept, 0], points)
    return replace(found, best_dual=best_dual, term=term)


def spread_attack(problem, found, n_rows, keeps, dtype, rng):
    """Send rows around the dual's points of the hulls, one copy of each."""
    poison, hull = problem.poison, found.hull
    if dtype == np.float32:
        # Rows on the sphere would be rounded out of it.
        sets = [rows.tightened(ROUNDING) for rows in poison.sets]
        poison = OraclePoison(poison.epsilon, poison.signs, sets)
    total = n_poison_rows(poison.epsilon, n_rows)
    copies = apportion_upwards(poison.epsilon * hull.beta * n_rows, total)
    spreads = spreads_of(poison, hull, found.best_primal.theta, rng)
    parts = [spread.take(n) for spread, n in zip(spreads, copies, strict=True)]
    points = _like(problem, sparse.csr_array(sparse.vstack(parts)))
    signs = np.repeat(poison.signs, copies)
    kept = keeps(points, signs)
    return PoisonCopies(points[kept], signs[kept], np.ones(int(kept.sum()), dtype=int))


def without_rejected(problem, found, keeps, dtype, tol, rng):
    """Return the solution whose lower bound counts no rows that the filter rejects.

    Many rows of whole numbers lie on a filter's limits together, where its rounding
    decides: sets hold all that might pass.
    """
    if found.term is None or not len(found.term.signs):
        return found
    poison, signs = found.best_dual.poison, found.term.signs
    if keeps(_like(problem, poison.points), signs).all():
        return found
    points, kept = rows_that_pass(problem.poison, poison.points, signs, keeps, dtype)
    beta = np.where(kept, poison.beta, 0.0)
    points = sparse.csr_array(points)
    term = PointPoison(problem.poison.epsilon, signs, points)
    # Those that are kept can take the place of the others; it may not be worth it.
    instead = beta * (poison.beta.sum() / max(beta.sum(), np.finfo(float).tiny))
    fewer, as_many = (
        _with_rows(problem, found, PoisonPoints(weights, points), term, tol)
        for weights in (beta, instead)
    )
    if not as_many.converged:
        as_many = _refit(problem, as_many, tol, rng)
    best = max(fewer, as_many, key=lambda one: one.lower)
    return replace(best, relaxed=getattr(found, "relaxed", None))


def _like(problem, points):
    """Return CSR rows as sparse as the clean rows are."""
    return points if problem.rows.is_sparse else points.toarray()
