"""skorch's own tests, on our net in place of skorch's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")
pytest.importorskip("flaky")  # which skorch's tests import

HERE = Path(__file__).parent


@pytest.mark.slow
def test_our_net_passes_what_skorch_asks_of_its_own(tmp_path):
    tests = Path(skorch.__file__).parent / "tests"
    names = ["test_net.py", "test_classifier.py", "test_regressor.py"]
    names += ["test_helper.py"]
    names += [f"callbacks/{path.name}" for path in (tests / "callbacks").glob("test_*")]
    names = [name for name in names if not name.endswith("test_logging.py")]
    if not (tests / names[0]).exists():
        pytest.skip("this skorch does not ship its tests")
    options = ["-q", "-p", "skorch_on_our_net", "-p", "no:cacheprovider"]
    options += ["-c", os.devnull, f"--rootdir={tests}"]
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *(str(tests / n) for n in names)],
        env=os.environ | {"PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 600
