"""The picture of EPIC shows what happened in training."""

import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from sklearn.exceptions import NotFittedError

matplotlib.use("Agg")
import matplotlib.pyplot as plt

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from skpoison.exceptions import FilterWarning  # noqa: E402
from skpoison.inspection import EPICDisplay  # noqa: E402
from skpoison.inspection._style import YELLOW  # noqa: E402
from skpoison.neural import EPICCallback, FilteredNetClassifier  # noqa: E402


def data(n_rows=300, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n_rows)
    X = rng.normal(size=(n_rows, 4)) + 1.5 * np.eye(3, 4)[y]
    return X.astype("float32"), y


def trained(max_epochs=6, every=2, callbacks=None):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    guard = {"max_drop_fraction": 1.0, "min_class_rows": 1}
    epic = EPICCallback(0.4, every=every, warmup=1, **guard)
    net = FilteredNetClassifier(
        torch.nn.Linear(4, 3),
        lr=0.3,
        max_epochs=max_epochs,
        callbacks=[epic] if callbacks is None else callbacks,
        iterator_train__shuffle=True,
        verbose=0,
    )
    X, y = data()
    return net.fit(X, y), X, y


def some_poison(n_rows=300):
    return np.random.default_rng(1).random(n_rows) < 0.2


def offsets(display, name):
    return display.rows_[name].get_offsets().data


def test_lines_are_the_shares_that_each_epoch_trained_on():
    net, _, _ = trained()
    poison = some_poison()
    display = EPICDisplay.from_estimator(net, poison_mask=poison)
    epochs, share = display.lines_["kept"].get_data()
    n_kept = np.array(net.history[:, "n_kept"])
    np.testing.assert_array_equal(epochs, np.arange(1, 7))
    np.testing.assert_allclose(share, n_kept / 240)
    n_poison = poison[net.pool_.train_rows].sum()
    shares = display.lines_["poison kept"].get_ydata()
    assert shares[0] == 1.0
    assert shares[-1] == poison[net.kept_indices_].sum() / n_poison < 1
    assert display.rows_ == {} and len(display.axes_) == 1
    labels = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert labels[0] == f"{n_kept[-1]} of 240 training rows"


def test_poison_is_counted_epoch_by_epoch():
    net, _, _ = trained(every=1)
    everything = EPICDisplay.from_estimator(net, poison_mask=np.ones(300, dtype=bool))
    kept, poison = (line.get_ydata() for line in everything.lines_.values())
    np.testing.assert_allclose(kept, poison)
    assert len(set(kept)) > 2


def test_gradients_are_those_of_the_class_and_distances_are_not_stretched():
    net, X, y = trained()
    display = EPICDisplay.from_estimator(net, X, y, label=1)
    rows = np.flatnonzero(y == 1)
    rows = rows[np.isin(rows, net.pool_.train_rows)]
    assert display.coordinates.shape == (len(rows), 2)
    assert sum(len(offsets(display, name)) for name in display.rows_) == len(rows)
    # Proxies of three classes add up to zero: the plane shows them as they are.
    proxies = net.gradient_proxies(X, y)[rows]
    for one in (0, 5):
        true = np.linalg.norm(proxies - proxies[one], axis=1)
        drawn = np.linalg.norm(display.coordinates - display.coordinates[one], axis=1)
        np.testing.assert_allclose(drawn, true, atol=1e-5)


def test_isolated_medoids_are_what_the_next_round_drops():
    net, X, y = trained(max_epochs=5)
    displays = [EPICDisplay.from_estimator(net, X, y, label=k) for k in range(3)]
    expected = []
    for label, display in enumerate(displays):
        rows = np.intersect1d(np.flatnonzero(y == label), net.pool_.train_rows)
        expected += rows[display.groups == "isolated medoid"].tolist()
        gone = net.dropped_at_[rows] > 0
        np.testing.assert_array_equal(display.groups == "dropped", gone)
        n_kept = (~gone).sum()
        n_medoids = sum("medoid" in group for group in display.groups)
        assert n_medoids == np.floor(0.4 * n_kept + 0.5)
    net.partial_fit(X, y)
    dropped = np.flatnonzero(net.dropped_at_ == 6)
    assert sorted(expected) == dropped.tolist() != []


def test_poison_is_marked_and_hollow_where_dropped():
    net, X, y = trained()
    poison = some_poison()
    display = EPICDisplay.from_estimator(net, X, y, poison_mask=poison, label=0)
    inside = display.poison_mask
    np.testing.assert_array_equal(
        offsets(display, "poison"), display.coordinates[inside]
    )
    faces = [to_hex(color) for color in display.rows_["poison"].get_facecolor()]
    dropped = display.groups[inside] == "dropped"
    assert dropped.any() and not dropped.all()
    assert faces == [("#ffffff" if gone else YELLOW.lower()) for gone in dropped]


def test_the_class_that_lost_most_is_drawn_unless_told_otherwise():
    net, X, y = trained()
    rows = net.pool_.train_rows
    share = [np.mean(net.dropped_at_[rows[y[rows] == k]] > 0) for k in range(3)]
    assert EPICDisplay.from_estimator(net, X, y).label == np.argmax(share)


def test_axes_given_and_looks_passed_on():
    net, X, y = trained()
    _, axes = plt.subplots(1, 2)
    display = EPICDisplay.from_estimator(
        net, X, y, ax=axes, line_kwargs={"color": "k"}, row_kwargs={"s": 3}
    )
    assert display.axes_ == list(axes) and display.figure_ is axes[0].figure
    assert display.lines_["kept"].get_color() == "k"
    assert display.rows_["kept"].get_sizes() == [3]
    again = display.plot()
    assert again is display and again.axes_ != list(axes)
    with pytest.raises(ValueError, match="ax must be 2 Axes; it is 1"):
        display.plot(axes[0])
    with pytest.raises(ValueError, match="ax must be 1 Axes; it is 2"):
        EPICDisplay.from_estimator(net, ax=axes)


def test_wrong_input_is_refused():
    net, X, y = trained()
    with pytest.raises(ValueError, match="a boolean for each of the 300 rows"):
        EPICDisplay.from_estimator(net, poison_mask=np.zeros(300))
    with pytest.raises(ValueError, match="a boolean for each of the 300 rows"):
        EPICDisplay.from_estimator(net, poison_mask=np.zeros(3, dtype=bool))
    with pytest.raises(ValueError, match="must be the 300 rows"):
        EPICDisplay.from_estimator(net, X[:9], y[:9])
    with pytest.raises(ValueError, match="No training row has the label 7"):
        EPICDisplay.from_estimator(net, X, y, label=7)
    with pytest.raises(TypeError, match="without an EPICCallback"):
        EPICDisplay.from_estimator(trained(callbacks=[])[0])
    with pytest.raises(NotFittedError):
        EPICDisplay.from_estimator(FilteredNetClassifier(torch.nn.Linear(4, 3)))


def test_importing_it_loads_no_torch():
    program = "import sys, skpoison.inspection; print('torch' in sys.modules)"
    command = [sys.executable, "-c", program]
    assert subprocess.check_output(command, text=True).strip() == "False"


def test_example_of_forgetting_saves_a_target_that_epic_does_not(tmp_path, capsys):
    path = tmp_path / "picture.png"
    example = Path(__file__).parents[1] / "examples" / "plot_epic_forgetting.py"
    torch.set_num_threads(1)
    with pytest.warns(FilterWarning, match="max_drop_fraction=0.5"):
        runpy.run_path(example)["main"](path)
    assert plt.imread(path)[..., :3].std() > 0.05  # not blank
    printed = capsys.readouterr().out.splitlines()
    margins = [float(line.split("target ")[1].split(",")[0]) for line in printed]
    assert max(margins[:2]) < 0 < margins[2]


def test_example_writes_a_picture(tmp_path, capsys):
    path = tmp_path / "picture.png"
    example = Path(__file__).parents[1] / "examples" / "plot_neural_epic.py"
    torch.set_num_threads(1)
    with pytest.warns(FilterWarning, match="max_drop_fraction=0.3"):
        runpy.run_path(example)["main"](path)
    assert plt.imread(path)[..., :3].std() > 0.05  # not blank
    plain, epic = capsys.readouterr().out.splitlines()
    assert plain.startswith("plain: the target, a 4") and epic.startswith("EPIC: ")
