"""Fixtures that several test files share."""

import os
import sys
from pathlib import Path

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
