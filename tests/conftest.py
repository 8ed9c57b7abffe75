"""Fixtures that several test files share."""

import importlib.util
import os
import sys
from pathlib import Path

# Processes share the cores; more threads in each would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

# Puts our net in the place of skorch's, for runs of its own.
collect_ignore = ["skorch_on_our_net.py"]


def close_figures():
    # Without pyplot, which most tests need not import, there are none.
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(autouse=True)
def closed_figures():
    """Start without figures, which doctests before may have left, and leave none."""
    close_figures()
    yield
    close_figures()


@pytest.fixture(scope="session")
def data_folder():
    """Folder of the real data sets; tests that need it skip without it."""
    folder = os.environ.get("SKPOISON_DATA")
    if not folder:
        pytest.skip("the environment variable SKPOISON_DATA names no folder")
    if not Path(folder).is_dir():
        pytest.fail(f"SKPOISON_DATA={folder!r} is not a folder")
    return Path(folder)


@pytest.fixture(scope="module")
def few_trees():
    """Ten trees in the panel of models: contracts do not depend on how many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skpoison.filters._panel.N_TREES", 10)
        yield


@pytest.fixture(scope="session")
def audit_files(tmp_path_factory):
    """What ``skpoison audit`` writes for other programs, of rows with wrong labels."""
    typer_testing = pytest.importorskip("typer.testing")
    from skpoison._cli.app import app

    folder = tmp_path_factory.mktemp("audit")
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = np.round(rng.normal(size=(40, 2)) + 4 * y[:, None], 3)
    X[17], y[:6] = 90, 1 - y[:6]
    labels = np.where(y, "spam", "ham")
    lines = [f"{a},{b},{label}" for (a, b), label in zip(X, labels, strict=True)]
    (folder / "rows.csv").write_text("\n".join(["a,b,label", *lines]) + "\n")
    arguments = ["audit", folder / "rows.csv", "--percentiles", "80", "-e", "0.1"]
    arguments += ["--moving-seconds", "0", "--folds", "2", "--filter", "sever", "-q"]
    arguments += ["--top", "2", "--sarif", folder / "a.sarif"]
    arguments += ["--json", folder / "a.json", "--html", folder / "a.html"]
    arguments += ["--fail-on", "suspicious>0", "--fail-on", "planted>99%"]
    if importlib.util.find_spec("cyclonedx"):
        arguments += ["--cyclonedx", folder / "a.cdx.json"]
    runner = typer_testing.CliRunner()
    result = runner.invoke(app, [*map(str, arguments)])
    assert result.exit_code == 3, result.output
    return folder


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A file whose claims are not trivial, with the rows that it is about."""
    from certificates import blobs

    from skpoison import CertifiedBound

    X, y = blobs()
    path = tmp_path_factory.mktemp("certificate") / "bound.npz"
    bound = CertifiedBound(epsilon=0.1, rho=1.0).fit(X, y)
    bound.to_certificate(path, feature_names=["a", "b", "c"])
    assert bound.poison_loss_ > 0.1
    return path, X, y
