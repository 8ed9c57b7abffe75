"""The attacker's programs on moving centroids, against searches and other programs."""

import warnings

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import minimize

from skpoison.bounds.moving._adversary import DiscPoison, disc_of
from skpoison.bounds.moving._branch_and_bound import (
    cover_splits,
    halves,
    split_of,
    tightened,
)
from skpoison.bounds.moving._displacements import (
    Displacements,
    mean_loss,
    moved_difference,
    passes,
    repaired,
    worst_at_split,
)
from skpoison.bounds.moving._programs import (
    N_OVER_CELL,
    Cell,
    cell_program,
    split_program,
)
from skpoison.bounds.moving._reduction import (
    MovingDefense,
    longest_reach,
    reduce_to_plane,
)
from skpoison.solvers._conic import (
    SolverError,
    as_matrix,
    by_clarabel,
    by_scs,
    certified_value,
    solve_program,
)

EPSILON = 0.3
SIGNS = np.array([-1.0, -1.0, 1.0, 1.0])


def scene(seed, n_features=8, slab=True, gap=1.0):
    """Parameters and a defense of random data."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=n_features + 1)
    theta *= rng.uniform(0.2, 1.5) / np.linalg.norm(theta)
    centroids = 3.0 * rng.normal(size=n_features) + gap * rng.normal(
        size=(2, n_features)
    )
    share = rng.uniform(0.3, 0.7)
    radii = np.repeat(rng.uniform(0.5, 3.0, 2), 2)
    widths = np.repeat(rng.uniform(0.1, 0.8, 2), 2) * radii if slab else np.inf
    shares = np.array([share, 1.0 - share])
    return theta, MovingDefense(centroids, shares, radii, widths + np.zeros(4))


def base_loss(plane, split):
    """Return the mean margin loss of poison that lies at the clean centroids."""
    return float(plane.margins @ split[::2])


def random_split(rng):
    return rng.dirichlet([0.5] * 4)


def loss_of_points(points, split, theta, defense):
    """Mean margin loss of the counting rows, and the room that all rows have left."""
    mass = EPSILON * split[:, np.newaxis] * points
    shares = defense.shares[:, np.newaxis]
    weights = shares + EPSILON * split.reshape(2, 2).sum(axis=1)[:, np.newaxis]
    moved = (shares * defense.centroids + mass.reshape(2, 2, -1).sum(axis=1)) / weights
    away = points - np.repeat(moved, 2, axis=0)
    difference = moved[1] - moved[0]
    inside = defense.radii**2 - (away**2).sum(axis=1)
    room = (defense.widths**2) * (difference @ difference) - (away @ difference) ** 2
    losses = 1.0 - SIGNS * (points @ theta[:-1] + theta[-1])
    return (split * losses)[::2].sum(), np.append(inside, room)


def search(split, theta, defense, n_starts, rng):
    """The worst points by a non-convex search from many starts."""
    shape = (4, len(theta) - 1)
    best = -np.inf
    for _ in range(n_starts):
        away = rng.normal(size=shape) * defense.radii[:, np.newaxis]
        away -= 5.0 * SIGNS[:, np.newaxis] * theta[:-1]
        start = np.repeat(defense.centroids, 2, axis=0) + 0.5 * away
        found = minimize(
            lambda x: -loss_of_points(x.reshape(shape), split, theta, defense)[0],
            start.ravel(),
            constraints={
                "type": "ineq",
                "fun": lambda x: loss_of_points(
                    x.reshape(shape), split, theta, defense
                )[1],
            },
            method="SLSQP",
            options={"maxiter": 300, "ftol": 1e-10},
        )
        value, slack = loss_of_points(found.x.reshape(shape), split, theta, defense)
        if slack.min() >= -1e-6:
            best = max(best, value)
    return best


def whole_gram_program(split, theta, defense):
    """The program as published: the Gram matrix of four points, two centroids, w."""
    known = np.vstack([defense.centroids, theta[:-1]])
    G = cp.Variable((7, 7), PSD=True)
    masses = EPSILON * split.reshape(2, 2)
    weights = defense.shares + masses.sum(axis=1)
    moved = np.zeros((2, 7))
    moved[0, :2], moved[1, 2:4] = masses / weights[:, np.newaxis]
    moved[[0, 1], [4, 5]] = defense.shares / weights
    difference = moved[1] - moved[0]
    limits = [G[4:, 4:] == known @ known.T]
    for g in range(4):
        away = np.eye(7)[g] - moved[g // 2]
        limits.append(away @ G @ away <= defense.radii[g] ** 2)
        room = defense.widths[g] * cp.sqrt(difference @ G @ difference)
        limits.append(cp.abs(away @ G @ difference) <= room)
    losses = [1.0 - SIGNS[g] * (G[g, 6] + theta[-1]) for g in (0, 2)]
    objective = cp.Maximize(split[0] * losses[0] + split[2] * losses[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return cp.Problem(objective, limits).solve(solver=cp.CLARABEL)


@pytest.mark.parametrize("seed", range(6))
def test_value_at_a_split_is_that_of_the_published_program(seed):
    rng = np.random.default_rng(seed)
    theta, defense = scene(seed)
    plane, _ = reduce_to_plane(theta, defense, EPSILON)
    split = random_split(rng)
    value = solve_program(split_program(plane, split)).value + base_loss(plane, split)
    known = whole_gram_program(split, theta, defense)
    assert value == pytest.approx(known, abs=1e-5 * max(1.0, abs(known)))


@pytest.mark.parametrize("seed", [1, 3])
def test_value_at_a_split_is_that_of_a_search_with_many_starts(seed):
    rng = np.random.default_rng(seed)
    theta, defense = scene(seed)
    plane, _ = reduce_to_plane(theta, defense, EPSILON)
    split = random_split(rng)
    value = solve_program(split_program(plane, split)).value + base_loss(plane, split)
    found = search(split, theta, defense, 4, rng)
    assert found <= value + 1e-5
    assert found == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize("gap", [0.0, 1e-6, 0.3, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_cell_contains_every_attack_with_such_a_split(seed, gap):
    rng = np.random.default_rng(seed)
    theta, defense = scene(seed, gap=gap, slab=seed % 2 == 0)
    plane, _ = reduce_to_plane(theta, defense, EPSILON)
    for _ in range(5):
        lower, upper = np.sort([random_split(rng), random_split(rng)], axis=0)
        cell = tightened(lower, upper)
        value = solve_program(cell_program(plane, cell)).value
        inner = lower + (upper - lower) * rng.uniform(size=4)
        split = inner / inner.sum()
        if np.any(split < cell.lower) or np.any(split > cell.upper):
            split = np.clip(random_split(rng), lower, upper)
            split = lower + (upper - lower) * (1 - lower.sum()) / (upper - lower).sum()
        at_split = solve_program(split_program(plane, split)).value
        assert at_split + base_loss(plane, split) <= value + 1e-6
        for _ in range(20):
            rows = rng.normal(size=(4, 6)) * plane.radii[:, np.newaxis]
            attack = repaired(plane, split, rows)
            if attack is not None:
                signed = mean_loss_with_signs(plane, attack)
                assert signed <= value + 1e-9


def lifted(plane, cell, attack):
    """An attack as a point of the programs over cells."""
    rows = attack.split[:, np.newaxis] * attack.rows
    products = rows @ rows.T
    scores = rows[:, :2] @ np.array([plane.along, plane.across])
    length = np.linalg.norm(moved_difference(plane, attack))
    counting = np.repeat(attack.split[::2], 2)
    return np.concatenate(
        [
            rows[:, 0],
            rows[:, 1],
            [products[i, j] for j in range(4) for i in range(j + 1)],
            [length / (plane.gap + longest_reach(plane, cell))],
            attack.split,
            attack.split**2,
            attack.split[::2] * attack.split[1::2],
            -counting * SIGNS * scores,
        ]
    )


@pytest.mark.parametrize("gap", [0.0, 1e-3, 1.0, 10.0])
@pytest.mark.parametrize("seed", range(4))
def test_attacks_are_points_of_the_programs_of_their_cells(seed, gap):
    rng = np.random.default_rng(seed)
    theta, defense = scene(seed, gap=gap)
    plane, _ = reduce_to_plane(theta, defense, EPSILON)
    for _ in range(40):
        split = random_split(rng)
        rows = 2.0 * rng.normal(size=(4, 6)) * plane.radii[:, np.newaxis]
        attack = repaired(plane, split, rows)
        if attack is None:
            continue
        around = rng.uniform(0, rng.choice([0.01, 0.3]), size=(2, 4))
        cell = tightened(
            np.maximum(split - around[0], 0.0), np.minimum(split + around[1], 1.0)
        )
        program, point = cell_program(plane, cell), lifted(plane, cell, attack)
        loss = mean_loss_with_signs(plane, attack)
        assert program.c @ point == pytest.approx(loss, abs=1e-12)
        assert np.all(np.abs(point) <= program.limits + 1e-12)
        left = program.b - program.A @ point
        start = 1 + program.n_nonnegative
        assert abs(left[0]) <= 1e-12
        assert left[1:start].min() >= -1e-12
        cones = left[start:-21].reshape(-1, 3)
        assert np.all(np.linalg.norm(cones[:, 1:], axis=1) <= cones[:, 0] + 1e-9)
        assert np.linalg.eigvalsh(as_matrix(left[-21:])).min() >= -1e-12


def mean_loss_with_signs(plane, attack):
    """Mean margin loss of the counting rows, written with loops."""
    total = 0.0
    for side, counting in ((-1.0, 0), (1.0, 2)):
        shift = sum(
            plane.leverages[g] * attack.split[g] * attack.rows[g]
            for g in (counting, counting + 1)
        )
        place = shift + attack.rows[counting]
        score = plane.along * place[0] + plane.across * place[1]
        margin = plane.margins[counting // 2] - side * score
        total += attack.split[counting] * margin
    return total


def test_small_cells_are_nearly_exact():
    theta, defense = scene(3)
    plane, _ = reduce_to_plane(theta, defense, EPSILON)
    split = np.array([0.4, 0.1, 0.3, 0.2])
    exact = solve_program(split_program(plane, split)).value + base_loss(plane, split)
    errors = []
    for width in (1e-1, 1e-2, 1e-3):
        cell = tightened(split - 0.05 * width, split + 0.05 * width)
        errors.append(solve_program(cell_program(plane, cell)).value - exact)
    assert errors[0] > errors[1] > errors[2] > -1e-7
    assert errors[2] < 1e-3


def test_halves_cover_a_cell():
    rng = np.random.default_rng(0)
    theta, defense = scene(0)
    plane, _ = reduce_to_plane(theta, defense, EPSILON)
    cell = tightened(np.zeros(4), np.array([0.7, 0.6, 0.9, 0.3]))
    point = solve_program(cell_program(plane, cell)).point
    parts = halves(cell, *split_of(cell, point))
    for split in rng.dirichlet(np.ones(4), size=500):
        if np.all(split <= cell.upper):
            inside = [np.all((h.lower <= split) & (split <= h.upper)) for h in parts]
            assert any(inside)


@pytest.mark.parametrize("seed", range(5))
def test_any_multipliers_give_a_bound(seed):
    rng = np.random.default_rng(seed)
    theta, defense = scene(seed)
    plane, _ = reduce_to_plane(theta, defense, EPSILON)
    for program in (
        split_program(plane, random_split(rng)),
        cell_program(plane, Cell(np.zeros(4), np.ones(4))),
    ):
        point, dual, _ = by_clarabel(program)
        value = program.c @ point
        assert certified_value(program, dual) == pytest.approx(value, abs=1e-5)
        assert certified_value(program, dual) >= value - 1e-6
        for share in (0.0, 0.5, 2.0):
            assert certified_value(program, share * dual) >= value - 1e-6
        for noise in (1e-8, 1e-3, 1.0, 1e3):
            worse = dual + noise * rng.normal(size=len(dual))
            assert certified_value(program, worse) >= value - 1e-6


def test_another_solver_finds_the_same():
    theta, defense = scene(1)
    plane, _ = reduce_to_plane(theta, defense, EPSILON)
    program = cell_program(plane, Cell(np.zeros(4), np.ones(4)))
    first, second = (
        solve_program(program, [one]).value for one in (by_clarabel, by_scs)
    )
    assert first == pytest.approx(second, abs=1e-3)


def fails(program):
    raise ValueError("out of luck")


def lies(program):
    return np.full(len(program.c), np.nan), np.zeros(len(program.b)), None


def stops_early(program):
    return *by_clarabel(program)[:2], "stopped"


def stops_at_once(program):
    return np.zeros(len(program.c)), np.zeros(len(program.b)), "stopped"


def test_failures_are_retried_and_in_the_end_reported():
    theta, defense = scene(1)
    plane, _ = reduce_to_plane(theta, defense, EPSILON)
    program = split_program(plane, np.full(4, 0.25))
    known = solve_program(program).value
    for solver in (by_clarabel, stops_early):
        assert solve_program(program, [fails, lies, solver]).value == known
    with pytest.raises(SolverError, match=r"out of luck.*not finite.*stopped"):
        solve_program(program, [fails, lies, stops_at_once])


def test_a_cell_that_no_solver_solves_counts_as_the_one_around_it(monkeypatch):
    theta, defense = scene(1)
    plane, _ = reduce_to_plane(theta, defense, EPSILON)
    whole = Cell(np.zeros(4), np.ones(4))
    at_root = solve_program(cell_program(plane, whole)).value

    def only_the_root(program):
        if len(program.c) == N_OVER_CELL and not np.array_equal(
            program.b[5:9], [1] * 4
        ):
            raise SolverError("out of luck")
        return solve_program(program)

    monkeypatch.setattr(
        "skpoison.bounds.moving._branch_and_bound.solve_program", only_the_root
    )
    cover = cover_splits(plane, 8, goal=lambda lower: lower, max_programs=20)
    assert cover.upper == at_root
    monkeypatch.setattr("skpoison.bounds.moving._branch_and_bound.solve_program", fails)
    with pytest.raises(ValueError, match="out of luck"):
        cover_splits(plane, 8, goal=lambda lower: lower)


@pytest.mark.parametrize("seed", range(6))
def test_without_a_slab_the_worst_is_one_group_in_closed_form(seed):
    theta, defense = scene(seed, slab=False)
    plane, _ = reduce_to_plane(theta, defense, EPSILON)
    steep = np.linalg.norm(theta[:-1]) * defense.radii[::2]
    losses = 1.0 - SIGNS[::2] * (defense.centroids @ theta[:-1] + theta[-1])
    best = max(0.0, *(losses + steep * (1.0 + EPSILON / defense.shares)))
    cover = cover_splits(plane, 8, goal=lambda lower: 1.001 * lower + 1e-3)
    assert cover.lower == pytest.approx(best, rel=1e-6, abs=1e-6)
    assert best - 1e-9 <= cover.upper <= 1.001 * best + 1.1e-3


@pytest.mark.parametrize("n_features", [1, 2, 3, 8])
@pytest.mark.parametrize("seed", range(3))
def test_no_split_exceeds_the_cover(seed, n_features):
    rng = np.random.default_rng(seed)
    theta, defense = scene(seed, n_features)
    plane, _ = reduce_to_plane(theta, defense, EPSILON)
    cover = cover_splits(plane, n_features, goal=lambda lower: 1.02 * lower + 0.02)
    assert cover.upper <= 1.02 * cover.lower + 0.02 or n_features < 6
    for split in rng.dirichlet([0.4] * 4, size=20):
        attack = worst_at_split(plane, split, n_features)
        assert mean_loss(plane, attack) <= cover.upper + 1e-9
        assert attack.rows.shape[1] == min(n_features, 6)
    few = cover_splits(plane, n_features, goal=lambda lower: lower, max_programs=3)
    everything = Cell(np.zeros(4), np.ones(4))
    assert few.upper == max(solve_program(cell_program(plane, everything)).value, 0.0)


@pytest.mark.parametrize("seed", range(4))
def test_an_attack_costs_what_its_disc_says(seed):
    rng = np.random.default_rng(seed)
    theta, defense = scene(seed, gap=0.0 if seed == 3 else 1.0)
    plane, frame = reduce_to_plane(theta, defense, EPSILON)
    attack = worst_at_split(plane, random_split(rng), 8)
    term = DiscPoison(EPSILON).add(*disc_of(attack, plane, frame, defense))
    losses, points = term.worst_rows(theta)
    assert losses[0] == pytest.approx(mean_loss_with_signs(plane, attack), rel=1e-6)
    np.testing.assert_allclose(term.losses_at(theta, np.array(points)), losses)


def test_repaired_attacks_pass_and_hopeless_ones_are_none():
    theta, defense = scene(0)
    plane, _ = reduce_to_plane(theta, defense, EPSILON)
    split = np.full(4, 0.25)
    far = Displacements(split, 10.0 * np.ones((4, 6)))
    assert not passes(plane, far)
    attack = repaired(plane, split, far.rows)
    assert passes(plane, attack)
    difference = moved_difference(plane, attack)
    unit = difference / np.linalg.norm(difference)
    assert np.all(np.abs(attack.rows @ unit) <= plane.widths)
    # A slab without a direction passes nothing.
    nowhere = plane._replace(gap=0.0)
    assert repaired(nowhere, split, np.zeros((4, 6))) is None
