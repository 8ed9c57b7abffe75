"""The example scripts make their pictures."""

import runpy
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("Agg")
import matplotlib.image as image

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize(
    "name", ["plot_bound", "plot_certified_predictions", "plot_filter", "plot_trace"]
)
def test_examples_write_a_picture(name, tmp_path):
    path = tmp_path / "picture.png"
    runpy.run_path(EXAMPLES / f"{name}.py")["main"](path)
    pixels = image.imread(path)
    assert min(pixels.shape[:2]) > 300
    assert pixels[..., :3].std() > 0.05  # not blank
