"""Parts of the audit on inputs made by hand: ranks, recommendations, pictures."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from sklearn.svm import LinearSVC

from skpoison import SphereFilter, audit, filters
from skpoison._audit import training
from skpoison._audit.assumptions import (
    _balance,
    _contradictions,
    _copies,
    _direction,
    _judged,
)
from skpoison._audit.figures import _bounds, _ticks
from skpoison._audit.folds import enough, folds_of
from skpoison._audit.profile import _extremes, _kinds
from skpoison._audit.summary import _left_out, _suspicious
from skpoison._audit.suspects import (
    MEASURES,
    _class_means,
    _features,
    combined,
    judge_part,
    relative,
)
from skpoison._audit.svg import APART, BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, draw

# ---------------------------------------------------------------------------
# Columns


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_columns_are_of_the_kind_that_their_values_are(make):
    columns = {
        "constant": [[3.0, 3, 3, 3], [0, 0, 0, 0], [-1.5] * 4],
        "binary": [[0, 1, 1, 0]],
        "count": [[0, 1, 2, 1], [0, 2, 0, 2], [1, 2, 1, 2]],
        "nonnegative": [[0, 0.5, 1, 1], [0.1, 1, 1, 1]],
        "real": [[-1, 0, 1, 1], [-0.5, 0, 0, 0]],
    }
    X = make(np.array([one for ones in columns.values() for one in ones]).T)
    low, high = _extremes(X)
    wanted = [kind for kind, ones in columns.items() for _ in ones]
    assert _kinds(X, low, high).tolist() == wanted


# ---------------------------------------------------------------------------
# Suspicious rows


def test_distances_are_in_units_of_their_class():
    codes = np.array([0, 1, 0, 1, 0])
    distances = np.array([1.0, 30.0, 2.0, 10.0, 3.0])
    np.testing.assert_allclose(relative(distances, codes), [0.5, 1.5, 1, 0.5, 1.5])
    # Excesses over a limit have signs, of which the magnitudes are averaged.
    np.testing.assert_allclose(
        relative(np.array([-1.0, 4.0, 3.0, 4.0]), np.array([0, 1, 0, 1])),
        [-0.5, 1, 1.5, 1],
    )
    # A class all of whose rows lie at its mean has no unit.
    np.testing.assert_array_equal(relative(np.zeros(3), np.array([0, 0, 1])), 0.0)


def test_a_class_that_spreads_farther_is_not_the_more_suspicious_one():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    X = rng.normal(size=(120, 2))
    X -= np.array([X[y == k].mean(axis=0) for k in (0, 1)])[y]
    settings = {
        "percentiles": [90],
        "epsilons": [0.1],
        "moving_seconds": 0,
        "transformer": None,
        "filters": {"ball": SphereFilter(90)},
        "top": 120,
    }
    places = []
    for scale in (1.0, 50.0):
        # About their own means, so that these stay where they are.
        spread = X * np.where(y == 1, scale, 1.0)[:, None]
        spread[:, 0] += np.where(y == 1, 3.0, 0.0)
        rows = audit(spread, y, **settings).suspicious["rows"]
        ranks = {}
        for row in rows:
            for reason in row["reasons"]:
                if reason["filter"] == "ball":
                    ranks[row["position"]] = reason["rank"]
        places.append([ranks[i] for i in range(120)])
    np.testing.assert_allclose(places[0], places[1])
    # Nor do rows of either class crowd at the front.
    first = np.argsort(places[1])[:40]
    assert 8 <= y[first].sum() <= 32


def test_scores_are_larger_for_ranks_nearer_to_the_front():
    ranks = [np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.5, 2.0, 3.5])]
    scores = combined(ranks)
    assert scores[0] == pytest.approx(np.log(4))
    assert np.all(np.diff(scores[[0, 2, 3]]) < 0)
    assert scores[3] == pytest.approx(-np.log(3.5 / 4) / 2)


# ---------------------------------------------------------------------------
# Pictures


def lines(x, *ys, ticks=None, log=False, mark=None):
    """A figure of lines over the same places."""
    return {
        "name": "bounds",
        "kind": "lines",
        "title": "A title",
        "caption": "A caption.",
        "x": {"label": "x", "ticks": x if ticks is None else ticks, "log": log},
        "y": {"label": "y", "ticks": [0.0, 0.5, 1.0], "log": False},
        "series": [
            {"name": f"line {i}", "role": "other", "x": x, "y": y}
            for i, y in enumerate(ys)
        ],
        "mark": mark,
    }


def places(svg, kind):
    """Where the texts or circles of a kind stand."""
    pattern = rf'<(?:text|circle) class="{kind}[^"]*" c?x="([\d.-]+)" c?y="([\d.-]+)"'
    return [tuple(map(float, found)) for found in re.findall(pattern, svg)]


def test_shares_of_poison_that_differ_by_factors_are_on_a_log_axis():
    def axis(epsilons):
        content = {
            "recommendation": {"certified_percentile": 70},
            "bounds": {"curves": [], "no_attack_loss": 0.1},
            "settings": {"epsilons": epsilons},
        }
        return _bounds(content)["x"]["log"]

    assert axis([0.01, 0.1]) and axis([0.01, 0.03, 0.3])
    assert not axis([0.01, 0.05, 0.099])
    assert not axis([0.0, 0.1]) and not axis([0.1])


def test_equal_factors_are_equally_far_apart_on_a_log_axis():
    x = [0.01, 0.1, 1.0]
    svg = draw(lines(x, [0.0, 0.5, 1.0], log=True))
    across, down = np.transpose(places(svg, "dot"))
    np.testing.assert_allclose(np.diff(across, 2), 0, atol=0.11)
    np.testing.assert_allclose(across[[0, -1]], [LEFT + 6, WIDTH - RIGHT])
    np.testing.assert_allclose(down[[0, -1]], [HEIGHT - BOTTOM, TOP])
    svg = draw(lines(x, [0.0, 0.5, 1.0]))
    across, _ = np.transpose(places(svg, "dot"))
    share = (across - across[0]) / (across[-1] - across[0])
    np.testing.assert_allclose(share, [0, 0.09 / 0.99, 1], atol=1e-3)


@pytest.mark.parametrize(
    "ends",
    [
        [0.5, 0.5, 0.5],
        [0.0, 0.0, 0.0, 0.0],
        [1.0, 1.0, 0.98],
        [0.0, 0.01, 0.5, 0.52, 1.0, 1.0],
        list(np.linspace(0, 0.3, 12)),
    ],
)
def test_names_of_lines_keep_apart_and_in_the_picture(ends):
    svg = draw(lines([0, 1], *[[0.2, end] for end in ends]))
    found = dict(
        re.findall(r'<text class="name other" x="[\d.]+" y="([\d.]+)">(line \d+)', svg)
    )
    heights = {name: float(at) for at, name in found.items()}
    assert len(heights) == len(ends)
    down = np.sort(list(heights.values()))
    assert np.all(np.diff(down) >= APART - 1e-9)
    assert down[0] >= TOP and down[-1] <= HEIGHT - BOTTOM + 8
    # The higher line has the higher name.
    names = sorted(range(len(ends)), key=lambda i: -heights[f"line {i}"])
    assert np.all(np.diff([ends[i] for i in names]) >= 0)


def test_a_name_with_room_stands_at_the_end_of_its_line():
    svg = draw(lines([0, 1], [0.2, 0.2], [0.2, 0.8]))
    dots, names = places(svg, "dot"), places(svg, "name")
    ends = sorted([dots[1], dots[3]])
    for (across, down), (x, y) in zip(ends, sorted(names), strict=True):
        assert x - across == pytest.approx(7) and abs(y - down) <= 8


def test_labels_of_ticks_keep_apart():
    ticks = [0.01, 0.011, 0.03, 0.031, 0.1, 1.0]
    svg = draw(lines(ticks, [0.5] * 6, log=True))
    found = re.findall(r'<text class="axis mid" x="([\d.]+)" y="[\d.]+"><tspan', svg)
    across = np.array(list(map(float, found)))
    assert 3 <= len(across) < len(ticks)
    assert np.all(np.diff(across) >= 24)
    # Each tick has its stroke all the same.
    assert svg.count('class="tick"') == len(ticks)


def test_a_mark_stands_where_its_number_lies():
    svg = draw(lines([50, 70, 100], [0.1, 0.2, 0.3], mark=70))
    (at,) = re.findall(r'class="mark" x1="([\d.]+)"', svg)
    assert float(at) == places(svg, "dot")[1][0]


@pytest.mark.parametrize(
    ("top", "ticks"),
    [
        (0.0, [0, 1]),
        (1.0, [0, 0.5, 1]),
        (0.3, [0, 0.1, 0.2, 0.3]),
        (0.81, [0, 0.5, 1]),
        (0.79, [0, 0.2, 0.4, 0.6, 0.8]),
        (37.0, [0, 10, 20, 30, 40]),
        (4e-3, [0, 1e-3, 2e-3, 3e-3, 4e-3]),
        # 1e-5 over 5e-6 is a little above 2.
        (1e-5, [0, 5e-6, 1e-5]),
    ],
)
def test_ticks_are_round_and_reach_the_largest_value(top, ticks):
    assert _ticks([{"y": [top / 2, top]}]) == ticks


# ---------------------------------------------------------------------------
# Assumptions and what is said of them


@pytest.mark.parametrize(
    ("part", "status"),
    [
        (0.0, "holds"),
        (0.5, "holds"),
        (0.51, "watch"),
        (2.0, "watch"),
        (2.1, "violated"),
    ],
)
def test_doubts_are_judged_in_units_of_what_the_bound_allows(part, status):
    assert _judged(part, 2.0) == status


@pytest.mark.parametrize(
    ("smallest", "status"),
    [(10, "violated"), (11, "watch"), (20, "watch"), (21, "holds")],
)
def test_a_class_is_small_if_poison_is_half_of_it(smallest, status):
    classes = [
        {"label": "rare", "n_rows": smallest},
        {"label": "other", "n_rows": 100 - smallest},
    ]
    data = {"classes": classes, "n_rows": 100}
    found = _balance(SimpleNamespace(reference=0.1), data)
    assert (found["status"], found["numbers"]["n_poison"]) == (status, 10)


@pytest.mark.parametrize(
    ("n_copies", "n_rows", "status"),
    [(5, 100, "holds"), (6, 100, "watch"), (10, 1000, "holds"), (11, 1000, "watch")],
)
def test_many_copies_are_more_than_five_and_a_hundredth_of_the_rows(
    n_copies, n_rows, status
):
    most = {"n_copies": n_copies, "row": 3, "label": "a"}
    data = {"most_repeated": most, "n_repeated": n_copies - 1, "n_rows": n_rows}
    assert _copies(data)["status"] == status


@pytest.mark.parametrize(
    ("count", "status"), [(0, "holds"), (2, "holds"), (3, "watch")]
)
def test_contradictions_are_many_above_a_hundredth_of_the_rows(count, status):
    found = _contradictions({"n_contradicting": count, "n_rows": 200})
    assert found["status"] == status


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_means_are_apart_by_four_standard_errors_of_their_distance(make):
    rng = np.random.default_rng(0)
    codes = np.arange(60) % 3 // 2
    X = rng.normal(size=(60, 3))
    X -= np.array([X[codes == k].mean(axis=0) for k in (0, 1)])[codes]
    variances = [X[codes == k].var(axis=0).sum() / np.sum(codes == k) for k in (0, 1)]
    error = np.sqrt(sum(variances))
    for times, status in [(3.99, "watch"), (4.01, "holds")]:
        moved = X + np.outer(codes, [times * error, 0, 0])
        inputs = SimpleNamespace(X=make(moved), codes=codes)
        found = _direction(inputs, SimpleNamespace(positive=1))
        assert found["status"] == status
        assert found["numbers"]["distance"] == pytest.approx(times * error)
        assert found["numbers"]["standard_error"] == pytest.approx(error)


def test_rows_beyond_more_than_half_of_the_filters_are_counted():
    rows = [{"row": i + 1, "n_beyond": n} for i, n in enumerate([4, 3, 2, 1])]
    found = {"rows": rows, "filters": [{}] * 4, "n_rejected": None}
    said = _suspicious({"suspicious": found})
    assert said.startswith("2 of the 4 most suspicious rows") and "1, 2, 3" in said
    shares = [
        {"label": "ham", "share": 0.0, "rejected_by": {}},
        {"label": "spam", "share": 0.125, "rejected_by": {"label": 3}},
    ]
    found |= {"n_rejected": 3, "classes": shares}
    said = _suspicious({"suspicious": found})
    assert said.startswith("AutoFilter rejects 3 rows (12.5 % of spam). 2 of the 4")
    assert "Review rows 1, 2, 3 first" in said
    said = _suspicious({"suspicious": found | {"n_rejected": 1}})
    assert said.startswith("AutoFilter rejects 1 row (12.5 % of spam).")
    shares[1]["rejected_by"]["digits"] = 2
    said = _suspicious({"suspicious": found})
    assert said.startswith("AutoFilter and the verdict reject 3 rows (12.5 % of spam)")


def test_rows_that_are_not_rejected_are_listed_for_a_reason():
    rows = [{"row": i + 1, "n_beyond": n} for i, n in enumerate([4, 2, 2, 1])]
    found = {"rows": rows, "filters": [{}] * 4, "n_rejected": 0}
    said = _suspicious({"suspicious": found})
    assert said.startswith("AutoFilter finds no row that contradicts the others. 1 of")
    assert "most suspicious rows is beyond" in said
    assert "begin with rows 1, 2, 3 (counted from one): they lie farthest out" in said
    assert "Review" not in said
    said = _suspicious({"suspicious": found | {"rows": rows[:1], "filters": [{}]}})
    assert "1 most suspicious row is" in said and "1 other filter." in said
    assert "begin with row 1 (" in said


def test_each_thing_that_was_left_out_has_a_sentence():
    moving = {"defense": "moving_centroids", "reason": "2 of 6 were not started"}
    content = {
        "left_out": [{"what": "attacks in 2 of 3 folds", "reason": "No time."}],
        "bounds": {"defenses": [{"defense": "fixed", "reason": None}, moving]},
    }
    assert list(_left_out(content)) == [
        "Left out: attacks in 2 of 3 folds: No time.",
        "Left out: bounds with moving centroids: 2 of 6 were not started.",
    ]


def test_it_is_said_what_each_filter_measures():
    kinds = {
        name for name in filters.__all__ if "scores_" in getattr(filters, name).__doc__
    }
    kinds -= {"FilterIntersection", "FilterUnion"}  # their members are listed
    assert kinds <= set(MEASURES)


def test_rows_on_the_limit_are_not_beyond_it():
    X = np.array([[0.0, 0], [4, 0], [1, 0], [10, 0], [14, 0]])
    y = np.array([0, 0, 0, 1, 1])
    part = judge_part("", SphereFilter(100, centroids=[[2, 0], [12, 0]]), X, y)
    (member,) = part["members"]
    np.testing.assert_allclose(member["distances"], [2, 2, 1, 2, 2])
    np.testing.assert_allclose(member["thresholds"], 2)
    assert not member["beyond"].any()


def test_features_are_named_by_their_share_of_the_squared_distance():
    X = np.array([[0.0, 0, 0, 0, 5], [6, 3, 0, 2, 5], [1, 1, 1, 1, 1]])
    codes = np.array([0, 0, 1])
    inputs = SimpleNamespace(
        X=X, given=10 * X, codes=codes, classes=np.array([0, 1]), names=list("abcde")
    )
    found = _features(inputs, 1, _class_means(inputs))
    assert [one["feature"] for one in found] == ["a", "b", "d"]
    shares = np.array([9, 2.25, 1]) / 12.25
    np.testing.assert_allclose([one["share"] for one in found], shares)
    assert (found[0]["value"], found[0]["class_mean"]) == (60, 30)


# ---------------------------------------------------------------------------
# Folds


def test_a_class_with_a_row_for_each_fold_is_enough():
    codes = np.repeat([0, 1], [9, 3])
    inputs = SimpleNamespace(
        X=np.zeros((12, 1)), y=codes, codes=codes, classes=[0, 1], labels=["0", "1"]
    )
    folds, left_out = folds_of(inputs, 3, 0, None)
    assert left_out == []
    assert [codes[test].sum() for _, test in folds] == [1, 1, 1]
    with pytest.raises(ValueError, match="'1' has 3 rows, fewer than the 4 folds"):
        folds_of(inputs, 4, 0, None)


@pytest.mark.parametrize("n_rows", [3, 7, 10, 30, 49, 67, 100, 1234])
def test_the_share_that_is_asked_for_is_enough(n_rows):
    folds = [(np.arange(n_rows), np.arange(2))]
    with pytest.raises(ValueError, match="at least") as caught:
        enough(folds, 0.5 / n_rows)
    share = float(str(caught.value).split()[-3])
    assert enough(folds, share) is folds
    # Not much more than what is needed.
    assert share <= 1.1 / n_rows


# Rows that are sent in many copies


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_copies_of_sparse_rows_are_trained_on_as_rows_with_weights(
    n_classes, class_weight, monkeypatch
):
    rng = np.random.default_rng(0)
    rows = np.where(rng.random((120, 40)) < 0.2, rng.random((120, 40)), 0.0)
    codes = rng.integers(0, n_classes, 120)
    rows[:, 0] += codes
    sent = np.repeat(rng.random((2, 40)), 30, axis=0)
    X, y = np.vstack([rows, sent]), np.append(codes, np.repeat([0, 1], 30))
    model = LinearSVC(loss="hinge", tol=1e-8, max_iter=10**6, random_state=0)
    model.set_params(class_weight=class_weight)
    sizes, real = [], training.fit_clone

    def fit(estimator, X, y, **params):
        sizes.append(len(y))
        return real(estimator, X, y, **params)

    monkeypatch.setattr(training, "fit_clone", fit)
    X = sparse.csr_array(X)
    found, wanted = training.fitted(model, X, y), real(model, X, y)
    assert sizes == [122]
    np.testing.assert_allclose(found.coef_, wanted.coef_, atol=1e-5)
    np.testing.assert_allclose(found.intercept_, wanted.intercept_, atol=1e-5)
    np.testing.assert_array_equal(found.classes_, wanted.classes_)
