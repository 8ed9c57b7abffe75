"""Certificate files of moving centroids: what proves them, and changes of them."""

import numpy as np
import pytest
from certificates import (
    BOUNDS,
    at_the_end_of_the_range,
    changed,
    content_of,
    failed,
    write,
)
from scipy import sparse
from sklearn.datasets import make_blobs

from skpoison import CertifiedBound, SlabFilter, SphereFilter
from skpoison.feasible import Domain
from skpoison.verify import CertificateError, _file, _moving, _proof, _rows, check
from skpoison.verify._losses import loss_of

BOTH = SphereFilter(percentile=70) & SlabFilter(percentile=70)


def rows(n_features=3):
    centers = np.zeros((2, n_features))
    centers[:, 0] = -1.0, 1.0
    return make_blobs(80, centers=centers, random_state=0)


def fitted(X, y, filter=BOTH, epsilon=0.1, **options):
    options = {"tol": 0.05, "defense": "moving_centroids", **options}
    return CertifiedBound(filter, epsilon, **options).fit(X, y)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    X, y = rows()
    path = tmp_path_factory.mktemp("certificate") / "moving.npz"
    fitted(X, y, rho=1.0).to_certificate(path, feature_names=["a", "b", "c"])
    return path, X, y


CASES = {
    "sphere": {"filter": SphereFilter(percentile=80), "rho": 1.0},
    "penalty": {"C": 0.1},
    "bounded": {"rho": 1.0, "domain": Domain(lower=-6.0, upper=6.0)},
    "no poison": {"rho": 1.0, "epsilon": 0.0},
    "one feature": {"rho": 1.0, "X": rows(1)[0]},
    "two features": {"rho": 1.0, "X": rows(2)[0]},
    "sparse": {"rho": 1.0, "X": sparse.csr_array(np.maximum(rows()[0], 0.0))},
    "single precision": {"rho": 1.0, "X": rows()[0].astype(np.float32)},
}


@pytest.mark.parametrize("case", CASES)
def test_bounds_on_moving_centroids_are_verified(case, tmp_path):
    X, y = rows()
    options = dict(CASES[case])
    X = options.pop("X", X)
    bound = fitted(X, y, **options)
    bound.to_certificate(tmp_path / "m.npz")
    report = check(tmp_path / "m.npz", X[::-1], y[::-1])
    assert report.verified, report.claims
    for claim in report.claims:
        if claim.name in BOUNDS:
            fit = getattr(bound, f"{claim.name}_")
            assert claim.claimed == pytest.approx(fit, rel=1e-6, abs=1e-9)
    text = " ".join(report.assumed)
    assert "from all rows that it gets" in text
    radii = _file.read(tmp_path / "m.npz")[1]["radii"]
    assert f"has the radii {radii[0]:g}, {radii[2]:g} and" in text
    assert f"lie within {radii[1]:g}, {radii[3]:g} of those" in text


def problem_of(n_features, seed, epsilon=0.3):
    """A problem of random rows and parameters, its sets not too narrow."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0.0, 1.0], [12, 8])
    X = rng.normal(size=(20, n_features)) + y[:, None]
    header = {"epsilon": epsilon, "n_poison": int(20 * epsilon)}
    arrays = {
        "theta": rng.normal(size=n_features + 1),
        "radii": rng.uniform(1.0, 3.0, 4),
        "widths": rng.uniform(0.3, 2.0, 4),
    }
    if seed % 2:
        arrays["widths"][[1, 3]] = -1.0
    given = header, arrays, _rows.rows_of(X), y, np.arange(20), loss_of("hinge", 0.0)
    return _proof.Problem(*given, _moving), X


def attack_of(problem, X, split, rng):
    """Random rows, moved inwards until they pass; and their mean loss."""
    arrays, y = problem.arrays, problem.labels
    means = np.array([X[y == label].mean(axis=0) for label in (0, 1)])
    sent = problem.header["epsilon"] * len(y) * split
    counts = np.array([np.sum(y == 0), np.sum(y == 1)])
    u = rng.normal(size=(4, X.shape[1]))
    u *= (arrays["radii"] / np.linalg.norm(u, axis=1))[:, None]
    for _ in range(200):
        # Displacements from the moved centroid make it linear.
        shifts = (sent[:, None] * u).reshape(2, 2, -1).sum(axis=1) / counts[:, None]
        moved = means + shifts
        difference = moved[1] - moved[0]
        along = np.abs(u @ difference) / np.linalg.norm(difference)
        widths = np.where(arrays["widths"] < 0.0, np.inf, arrays["widths"])
        if (along <= widths).all():
            points = moved[_moving.CLASSES] + u
            signs = 2.0 * _moving.CLASSES - 1.0
            losses = 1.0 - signs * (points @ arrays["theta"][:-1] + arrays["theta"][-1])
            return points, u, float(split[[0, 2]] @ losses[[0, 2]])
        u *= np.where(along <= widths, 1.0, 0.9)[:, None]
    return None


@pytest.mark.parametrize("n_features", [1, 2, 3, 8])
@pytest.mark.parametrize("seed", range(6))
def test_forms_are_not_negative_for_attacks_of_a_cell(seed, n_features):
    """Rows that pass, their shares in the cell: all that the proof says holds."""
    rng = np.random.default_rng(seed)
    problem, X = problem_of(n_features, seed)
    plane, missed = _moving.plane_of(problem)
    assert missed <= 1e-12
    scale = problem.arrays["radii"].max()
    means, _ = _moving.centroids(problem)
    w = problem.arrays["theta"][:-1]
    first = (means[1] - means[0]) / np.linalg.norm(means[1] - means[0])
    rest = w - (w @ first) * first
    second = rest / max(np.linalg.norm(rest), 1e-300)
    if n_features == 1:
        second = np.zeros(1)
    tried = 0
    for _ in range(25):
        split = rng.dirichlet(np.full(4, 0.7))
        width = rng.uniform(0.01, 0.9, 4)
        lower = np.maximum(split - width * rng.uniform(size=4), 0.0)
        upper = np.minimum(lower + width, 1.0)
        upper = np.maximum(upper, split)
        found = attack_of(problem, X, split, rng)
        if found is None:
            continue
        tried += 1
        points, u, mean_loss = found
        k = split[:, None] * u / scale
        weights = _moving.SIDES * plane.leverages
        difference = plane.gap * first + weights @ k
        forms, cones, gram, loss, limits = _moving._forms(problem, plane, lower, upper)
        # The unit of the square root is in the last form: the longest difference.
        reach = plane.gap + max_reach(plane, lower, upper)
        losses = -_moving.SIDES * (k @ w) * scale
        x = np.concatenate(
            [
                k @ first,
                k @ second,
                [k[i] @ k[j] for i, j in _moving.PAIRS],
                [np.linalg.norm(difference) / reach],
                split,
                split**2,
                split[[0, 2]] * split[[1, 3]],
                losses * split[[0, 0, 2, 2]],
            ]
        )
        assert (np.abs(x) <= limits * (1 + 1e-9) + 1e-12).all()
        x = np.append(x, 1.0)
        assert (forms @ x).min() >= -1e-9
        tops = cones @ x
        assert (tops[:, 0] - np.hypot(tops[:, 1], tops[:, 2])).min() >= -1e-9
        assert np.linalg.eigvalsh(gram @ x).min() >= -1e-9
        assert loss @ x == pytest.approx(mean_loss, abs=1e-9)
        dual = rng.normal(size=113)
        bound = _moving.bound_of_cell(problem, plane, lower, upper, dual)
        assert bound >= mean_loss
        assert _moving._passes(problem, points, split * (1 - 1e-13), means, 0.0) or (
            np.abs(np.linalg.norm(u, axis=1) - problem.arrays["radii"]).min() < 1e-9
        )
        outside = means[_moving.CLASSES] + 2.0 * (points - means[_moving.CLASSES])
        outside += 5.0 * scale
        assert not _moving._passes(problem, outside, split, means, 0.0)
    assert tried >= 5


def max_reach(plane, lower, upper):
    """The most that the difference moves, by a linear program."""
    from scipy.optimize import linprog

    worth = plane.leverages * plane.radii
    bounds = list(zip(lower, upper, strict=True))
    return -linprog(-worth, A_eq=np.ones((1, 4)), b_eq=[1.0], bounds=bounds).fun


def test_shares_of_any_attack_are_in_a_cell():
    """Halves cover all shares that sum to 1, wherever a cell is halved."""
    rng = np.random.default_rng(0)
    splits = rng.dirichlet(np.full(4, 0.5), 300)
    splits[:4] = np.eye(4)
    cells = [(np.zeros(4), np.ones(4))]
    for _ in range(60):
        lower, upper = cells.pop(rng.integers(len(cells)))
        group = int(rng.integers(4))
        limit = rng.uniform(lower[group], upper[group])
        cells += _moving.halves(lower, upper, group, limit)
    for split in splits:
        assert any((lo <= split).all() and (split <= up).all() for lo, up in cells)


@pytest.mark.parametrize("name", BOUNDS)
def test_stretched_claims_fail(certificate, tmp_path, name):
    def stretch(header, arrays):
        header[name] *= 1.0 + (1e-9 if name == "lower_bound" else -1e-9)

    assert failed(changed(certificate, tmp_path, stretch)) == [name]


HEADER_CHANGES = {
    "kind": "loss",
    "classes": [1, 0],
    "least_target": -1.0,
    "largest_target": 1.0,
    "epsilon": 0.11,
    "n_poison": 9,
    "loss": "logistic",
    "rho": 0.9,
    "penalty": 0.1,
    "domain": "count",
    "n_points": 4,
    "n_entries": 0,
    "n_nodes": 1,
}


@pytest.mark.parametrize("name", HEADER_CHANGES)
def test_a_change_of_the_header_is_noticed(certificate, tmp_path, name):
    def change(header, arrays):
        header[name] = HEADER_CHANGES[name]

    try:
        assert not changed(certificate, tmp_path, change).verified
    except CertificateError:
        assert name in ("kind", "n_points", "n_entries", "n_nodes")


def scaled(factor):
    return lambda array: array.__imul__(factor)


ARRAY_CHANGES = {
    "theta": [scaled(1.01)],
    "row_weights": [scaled(2.0)],
    "row_masses": [scaled(0.99), scaled(1.01)],
    "poison_weights": [scaled(0.5)],
    "poison_data": [scaled(1.01), scaled(0.99)],
    "poison_indices": [lambda array: array.fill(0), lambda array: array.fill(7)],
    "poison_indptr": [lambda array: array.__iadd__(1), scaled(-1)],
    "poison_labels": [lambda array: array.fill(0.0), scaled(-1.0)],
    "poison_masses": [scaled(1.01), scaled(0.99), lambda a: a.__iadd__(1e-3)],
    "poison_slopes": [scaled(0.5), scaled(2.0), scaled(-1.0)],
    "radii": [scaled(0.99), scaled(1.01), scaled(-1.0), scaled(0.0)],
    "widths": [scaled(0.99), scaled(1.01), scaled(-1.0)],
    "splits": [scaled(0.99), scaled(1.01), scaled(-1.0)],
    "cell_groups": [
        lambda array: array.fill(-1),
        lambda array: array.fill(4),
        scaled(-1),
    ],
    "cell_limits": [lambda array: array.__iadd__(0.01), lambda array: array.fill(7.0)],
    "cell_duals": [
        scaled(1.01),
        scaled(0.99),
        scaled(0.0),
        scaled(1e200),
        scaled(-1.0),
    ],
}


@pytest.mark.parametrize("name", ARRAY_CHANGES)
def test_a_change_of_an_array_is_noticed(certificate, tmp_path, name):
    assert ARRAY_CHANGES.keys() == _file.ARRAYS["moving"].keys()
    for change in ARRAY_CHANGES[name]:
        report = changed(certificate, tmp_path, lambda h, a: change(a[name]))  # noqa: B023
        assert set(failed(report)) & {*BOUNDS, "problem"}


@pytest.mark.parametrize("value", [1e308, -1e308, 1e-308, 1e154])
@pytest.mark.parametrize("name", ARRAY_CHANGES)
def test_numbers_at_the_ends_of_their_range_prove_nothing(
    certificate, tmp_path, name, value
):
    change = at_the_end_of_the_range(name, value)
    assert not changed(certificate, tmp_path, change).verified


@pytest.mark.parametrize("name", ["radii", "widths"])
def test_rows_whose_loss_does_not_count_have_as_much_room(certificate, tmp_path, name):
    """A filter keeps them as it keeps the others: less would be another attacker."""

    def narrow(header, arrays):
        arrays[name][[1, 3]] *= 0.5

    assert failed(changed(certificate, tmp_path, narrow)) == ["problem"]


def fewer_leaves(header, arrays):
    header["n_nodes"] -= 2
    arrays["cell_groups"] = arrays["cell_groups"][2:]
    arrays["cell_limits"] = arrays["cell_limits"][2:]
    arrays["cell_duals"] = arrays["cell_duals"][1:]


def more_leaves(header, arrays):
    header["n_nodes"] += 2
    for name in ("cell_groups", "cell_limits"):
        arrays[name] = np.append(arrays[name], arrays[name][-2:])
    arrays["cell_duals"] = np.vstack([arrays["cell_duals"], arrays["cell_duals"][:1]])


def no_leaves(header, arrays):
    header["n_nodes"] = 0
    arrays["cell_groups"] = arrays["cell_groups"][:0]
    arrays["cell_limits"] = arrays["cell_limits"][:0]
    arrays["cell_duals"] = arrays["cell_duals"][:0]


@pytest.mark.parametrize("change", [fewer_leaves, more_leaves, no_leaves])
def test_cells_that_are_no_tree_prove_nothing(certificate, tmp_path, change):
    assert content_of(certificate[0])[0]["n_nodes"] > 2
    report = changed(certificate, tmp_path, change)
    assert "upper_bound" in failed(report)


def test_other_multipliers_prove_a_worse_bound_only(certificate, tmp_path):
    path, X, y = certificate
    header, arrays = content_of(path)
    rng = np.random.default_rng(0)
    for _ in range(20):
        duals = arrays["cell_duals"] * rng.uniform(0.9, 1.1, arrays["cell_duals"].shape)
        write(tmp_path / "m.npz", header, arrays | {"cell_duals": duals})
        report = check(tmp_path / "m.npz", X, y, feature_names=["a", "b", "c"])
        [claim] = [one for one in report.claims if one.name == "poison_loss"]
        assert claim.proven >= header["poison_loss"] * (1.0 - 1e-3)


def test_a_bound_that_was_saved_has_its_proof(tmp_path):
    import pickle

    X, y = rows()
    bound = pickle.loads(pickle.dumps(fitted(X, y, rho=1.0)))
    bound.to_certificate(tmp_path / "m.npz", X, y)
    assert check(tmp_path / "m.npz", X, y).verified
    with pytest.raises(ValueError, match="do not give the bounds that were fitted"):
        bound.to_certificate(tmp_path / "m.npz", X + 0.1, y)
