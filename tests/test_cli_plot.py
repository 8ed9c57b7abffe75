"""``--plot``: what is in the pictures of the commands, and how they are written."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_blobs
from typer.testing import CliRunner

from skpoison import CertifiedBound, SlabFilter, SphereFilter
from skpoison._cli.app import app

matplotlib = pytest.importorskip("matplotlib")
FILTER = ("filter", "--filter", "both")
MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml", "pdf": b"%PDF-"}


def invoke(*arguments, code=0, **settings):
    result = CliRunner().invoke(app, list(map(str, arguments)), **settings)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def blobs(n_rows=120):
    return make_blobs(n_rows, centers=[[-1, 0, 1], [1, 0, 0]], random_state=0)


def write_csv(path, X, labels):
    lines = [
        ",".join([*map(repr, row), str(label)])
        for row, label in zip(X.tolist(), labels, strict=True)
    ]
    path.write_text("\n".join(["a,b,c,y", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def csv(tmp_path):
    X, y = blobs()
    return write_csv(tmp_path / "rows.csv", X, np.array(["ham", "spam"])[y])


@pytest.fixture
def figures(monkeypatch):
    """The figures that are written."""
    from matplotlib.figure import Figure

    written, save = [], Figure.savefig

    def keep(figure, *args, **kwargs):
        written.append(figure)
        return save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    return written


def lines_of(figure):
    (ax,) = figure.axes
    named = {line.get_label(): line for line in ax.get_lines()}
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    return ax, named, texts


def points_of(figure):
    (ax,) = figure.axes
    return {
        artist.get_label(): np.asarray(artist.get_offsets())
        for artist in ax.collections
        if len(artist.get_offsets())
    }


def own_options(command, folder):
    own = {"attack": ["-o", folder / "p.csv"], "filter": ["--filter", "both"]}
    return own.get(command, [])


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
@pytest.mark.parametrize("command", ["certify", "filter", "attack"])
def test_each_command_draws_each_format(csv, tmp_path, command, suffix):
    out = tmp_path / f"picture.{suffix}"
    more = own_options(command, tmp_path)
    result = invoke(command, csv, "--plot", out, *more)
    assert out.read_bytes().startswith(MAGIC[suffix])
    assert "Plot written to" in result.stdout


@pytest.mark.parametrize("suffix", ["PNG", "svg", "pdf"])
def test_same_rows_give_the_same_file(csv, tmp_path, suffix):
    first, second = (tmp_path / f"{name}.{suffix}" for name in "ab")
    invoke(*FILTER, csv, "--plot", first)
    invoke(*FILTER, csv, "--plot", second)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(MAGIC[suffix.lower()])


def ys(line):
    return dict(zip(*line.get_data(), strict=True))


def test_bounds_in_the_picture_are_those_of_the_json(csv, tmp_path, figures):
    out = tmp_path / "p.png"
    result = invoke("certify", csv, "-e", "0.2,0.05", "--plot", out, "--json", "-")
    numbers = json.loads(result.stdout)
    (figure,) = figures
    ax, _, texts = lines_of(figure)
    drawn = dict(zip(texts, ax.get_legend().legend_handles, strict=True))
    assert {"upper bound", "attack, training", "attack, test"} <= set(drawn)
    found = [ys(line) for line in ax.get_lines()]
    for key in ("upper_bound", "attack_loss", "attack_test_loss", "clean_loss"):
        wanted = {row["epsilon"]: pytest.approx(row[key]) for row in numbers["bounds"]}
        assert any(wanted.items() <= line.items() for line in found), key
    clean = numbers["no_attack"]["all_rows"]
    assert any(line.get(0.0) == pytest.approx(clean["test_loss"]) for line in found)


def test_cost_of_the_filter_in_the_picture(csv, tmp_path, figures):
    invoke("certify", csv, "--test-share", 0, "--rho", 1, "--plot", tmp_path / "p.png")
    X, y = blobs()
    signs = 2 * y - 1
    both = (SphereFilter(70.0) & SlabFilter(70.0)).fit(X, y)
    kept = both.inlier_mask_
    found = [ys(line) for line in lines_of(figures[0])[0].get_lines()]
    for rows in (kept, np.ones(len(y), bool)):
        learner = CertifiedBound(epsilon=0.0, rho=1.0).fit(X[rows], y[rows])
        loss = np.maximum(1 - signs * learner.decision_function(X), 0).mean()
        (line,) = [
            line
            for line in found
            if len(set(line.values())) == 1
            and next(iter(line.values())) == pytest.approx(loss, rel=2e-3)
        ]
        assert line


def test_rows_in_the_picture_are_those_that_the_filter_keeps(csv, tmp_path, figures):
    invoke(*FILTER, csv, "--plot", tmp_path / "p.png")
    X, y = blobs()
    kept = (SphereFilter(70.0) & SlabFilter(70.0)).fit(X, y).inlier_mask_
    found = {name: len(points) for name, points in points_of(figures[0]).items()}
    names = np.array(["ham", "spam"])
    assert found == {
        f"{names[k]}, {group}": int(np.sum(mask & (y == k)))
        for k in (0, 1)
        for group, mask in (("kept", kept), ("rejected", ~kept))
    }


def sent_rows(path, label):
    lines = [line.split(",") for line in path.read_text().splitlines()[1:]]
    return np.array([line[:3] for line in lines if line[3] == label], dtype=float)


def along(rows, positive):
    """Return how far rows lie from the middle on the way to the positive center."""
    X, y = blobs()
    centers = [X[y == k].mean(axis=0) for k in (0, 1)]
    first, second = centers if positive == "spam" else centers[::-1]
    way = second - first
    return (rows - (first + second) / 2) @ way / np.linalg.norm(way)


@pytest.mark.parametrize("positive", ["ham", "spam"])
def test_poison_in_the_picture_is_the_attack(csv, tmp_path, figures, positive):
    out = ["-o", tmp_path / "p.csv", "--plot", tmp_path / "p.png", "--json", "-"]
    result = invoke("attack", csv, "--positive", positive, "-e", 0.2, *out)
    sent = {row["label"] for row in json.loads(result.stdout)["rows"]}
    found = points_of(figures[0])
    poison = {name: points for name, points in found.items() if "poison" in name}
    # Copies of a row are one point, and all of them pass.
    assert {name: len(points) for name, points in poison.items()} == {
        f"{label}, poison kept": 1 for label in sent
    }
    for name, points in poison.items():
        rows = sent_rows(tmp_path / "p.csv", name.split(",")[0])
        np.testing.assert_allclose(points[0, 0], along(rows, positive)[0], atol=1e-6)
    clean = sum(len(points) for name, points in found.items() if name not in poison)
    assert clean == len(blobs()[1])
    for name, points in found.items():
        label = name.split(",")[0]
        if "kept" in name and name not in poison:
            side = points[:, 0].mean() > 0
            assert side == (label == positive)


def test_attack_without_rows_is_drawn(csv, tmp_path, figures):
    invoke(
        "attack", csv, "-e", 0, "-o", tmp_path / "p.csv", "--plot", tmp_path / "p.pdf"
    )
    assert not [name for name in points_of(figures[0]) if "poison" in name]


def watch(monkeypatch, name, seen):
    """Note the arguments of a function that is called."""
    from importlib import import_module

    module, _, function = name.rpartition(".")
    original = getattr(import_module(module), function)

    def noting(*args, **kwargs):
        seen.extend(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(name, noting)


@pytest.mark.parametrize("command", ["certify", "filter", "attack"])
def test_sparse_rows_are_drawn_without_filling_them(
    tmp_path, monkeypatch, figures, command
):
    rng = np.random.default_rng(0)
    words = np.array([[f"w{i}" for i in range(40)], [f"v{i}" for i in range(40)]])
    y = np.arange(60) % 2
    texts = [" ".join([*rng.choice(words[k], 6), *rng.choice(words[0], 2)]) for k in y]
    path = tmp_path / "rows.csv"
    lines = [f"{text},{k}" for text, k in zip(texts, y, strict=True)]
    path.write_text("\n".join(["t,y", *lines]))

    seen = []
    for name in ("rows_of", "check_test_rows"):
        module = "_filter" if name == "rows_of" else "_bound"
        watch(monkeypatch, f"skpoison.inspection.{module}.{name}", seen)
    more = own_options(command, tmp_path)
    options = ["--text-column", "t", "--plot", tmp_path / "p.png", *more]
    invoke(command, path, *options)
    assert any(map(sparse.issparse, seen))
    assert not any(isinstance(X, np.ndarray) and X.ndim == 2 for X in seen)
    if command == "filter":
        assert sum(map(len, points_of(figures[0]).values())) == len(y)


def test_of_many_labels_the_two_largest_are_drawn(tmp_path, figures):
    X, _ = blobs()
    labels = np.repeat(["a", "b", "c"], [50, 20, 50])
    path = write_csv(tmp_path / "rows.csv", X, labels)
    result = invoke(*FILTER, path, "--plot", tmp_path / "p.png")
    assert "the two most frequent of 3 labels: a and c" in result.stdout
    assert {name[0] for name in points_of(figures[0])} == {"a", "c"}
    one = write_csv(tmp_path / "one.csv", X, ["a"] * len(X))
    result = invoke(
        "filter", "--filter", "both", one, "--plot", tmp_path / "q.png", code=1
    )
    assert "two labels" in result.stderr
    assert not (tmp_path / "q.png").exists()


def test_labels_from_a_file_are_no_formulas_and_no_secrets(tmp_path, figures):
    X, y = blobs()
    labels = np.array([r"$\frac$", "\x1b[2J" + 60 * "long"])[y]
    path = write_csv(tmp_path / "rows_$x_^.csv", X, labels)
    result = invoke(*FILTER, path, "--plot", tmp_path / "p.svg")
    assert result.stderr == ""
    texts = [t.get_text() for t in figures[0].axes[0].get_legend().get_texts()]
    assert r"$\frac$, kept" in texts
    assert all(len(text) < 60 and text.isprintable() for text in texts)
    assert b"\x1b" not in (tmp_path / "p.svg").read_bytes()


def test_legend_and_axis_labels_lie_within_the_picture(csv, tmp_path):
    out = tmp_path / "p.png"
    invoke("attack", csv, "-e", 0.2, "-o", tmp_path / "p.csv", "--plot", out)
    from matplotlib.image import imread

    pixels = imread(out)[..., :3]
    assert pixels.shape[0] > 500
    edges = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    assert all(np.all(edge == 1.0) for edge in edges)


@pytest.mark.parametrize("name", ["p.gif", "p", "-", "p.png.gz"])
@pytest.mark.parametrize("command", ["certify", "filter", "attack"])
def test_other_suffixes_are_usage_errors(csv, tmp_path, command, name):
    more = own_options(command, tmp_path)
    wide = {"COLUMNS": "200"}
    result = invoke(command, csv, "--plot", name, *more, code=2, env=wide)
    assert ".png, .svg or .pdf" in result.stderr


@pytest.mark.parametrize("command", ["certify", "filter", "attack"])
def test_outputs_are_checked_before_anything_is_read(tmp_path, command):
    out, rows = tmp_path / "p.png", tmp_path / "empty.csv"
    out.write_text("precious")
    rows.touch()  # an error of its own, once it is read
    more = own_options(command, tmp_path)
    for options, message in (
        (["--plot", out], "--force"),
        (["--plot", tmp_path / "no" / "p.png"], "no folder"),
        (["--plot", tmp_path / "q.png", "--json", tmp_path / "q.png"], "same place"),
    ):
        result = invoke(command, rows, *options, *more, code=1)
        assert message in result.stderr
    assert out.read_text() == "precious"


def test_existing_pictures_are_replaced_by_force_only(csv, tmp_path):
    out = tmp_path / "p.png"
    out.write_text("precious")
    invoke("certify", csv, "-e", 0.1, "--plot", out, "--force")
    assert out.read_bytes().startswith(MAGIC["png"])


@pytest.mark.parametrize("fault", [KeyboardInterrupt, MemoryError])
def test_half_a_picture_is_never_left(csv, tmp_path, monkeypatch, fault):
    from matplotlib.figure import Figure

    def break_off(figure, file, **kwargs):
        file.write(MAGIC["png"])
        raise fault

    monkeypatch.setattr(Figure, "savefig", break_off)
    code = 130 if fault is KeyboardInterrupt else 1
    invoke(*FILTER, csv, "--plot", tmp_path / "p.png", code=code)
    assert sorted(os.listdir(tmp_path)) == ["rows.csv"]


def test_missing_matplotlib_is_said_at_once(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    rows = tmp_path / "empty.csv"
    rows.touch()
    result = invoke("certify", rows, "--plot", "p.png", code=1)
    assert result.stderr == "Error: this needs matplotlib: pip install matplotlib\n"


def test_no_screen_is_needed_and_matplotlib_only_for_pictures(csv, tmp_path):
    code = (
        "import sys\n"
        "from skpoison.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit as stop:\n"
        "    assert stop.code == 0, stop.code\n"
        "print('matplotlib' in sys.modules)\n"
    )
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "MPLBACKEND")}
    for options, loaded in (([], "False"), (["--plot", tmp_path / "p.png"], "True")):
        options = ["--filter", "both", *options]
        done = subprocess.run(
            [sys.executable, "-c", code, "filter", csv, "-q", *options],
            capture_output=True,
            text=True,
            env=env | {"MPLBACKEND": "tkagg"},
        )
        assert (done.stdout, done.stderr) == (loaded + "\n", "")
