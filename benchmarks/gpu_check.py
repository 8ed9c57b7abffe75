"""Everything that needs a GPU to be tested, in under six minutes.

    python benchmarks/gpu_check.py
    python benchmarks/gpu_check.py --device cpu --tiny

Runs the tests marked ``gpu``, the overhead table of EPIC with the selection in torch
beside that in compiled code on the CPU (which tells whether ``backend="auto"`` chooses
well), one table of gradient matching, two of nets that forget, with the cost of
gradients from a pass and from training, and the two large selections. Each part is a
process of its own, so that a device that one part has left in disorder does not stop
the others, and is stopped where the time is up. ``--tiny`` runs the same parts at sizes
that take seconds, to try this script where there is no GPU.

Ends with 0 if all parts have passed, with 1 if one has failed or was stopped, with 2 if
arguments are wrong, and with 3 if there is no CUDA device.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import torch
from bench_neural_overhead import SIZES

HERE = Path(__file__).parent
NO_DEVICE = 3
USUAL, *LARGE = SIZES
PARTS = ("tests", "overhead", "matching", "forgetting", "large")


def parts_of(options):
    """Return the command of each part, by name."""
    python, device = sys.executable, ["--device", options.device]
    overhead = [python, str(HERE / "bench_neural_overhead.py"), *device]
    matching = [python, str(HERE / "bench_neural_scratch.py"), *device]
    matching += ["--attack", "gradient", "--defenses", "epic"]
    matching += ["--data", str(options.data)]
    tests = sorted(HERE.parent.glob("tests/test_neural_*.py"))
    if options.tiny:
        size = ["--sizes", "300 rows, 3 classes", "--repeats", "1"]
        overhead += [*size, "--batches", "1", "--batch-size", "2", "--backends", "auto"]
        matching += ["--size", "60", "--trials", "1", "--epochs", "4", "--steps", "2"]
        tests = tests[:1]
        large = [*overhead, "--", "selection"]
    else:
        large = [*overhead, "--repeats", "1", "--sizes", *LARGE, "--", "selection"]
        overhead += ["--backends", "auto", "numba", "--sizes", USUAL]
        matching += ["--net", "resnet18", "--width", "16", "--trials", "2"]
    pytest = [python, "-m", "pytest", "-q", "-n", "0", "-rs", "-m", "gpu"]
    forgetting = [python, str(HERE / "bench_epic_forgetting.py"), "cost"]
    forgetting += [] if options.tiny else ["cnn", "resnet", "--targets", "5"]
    forgetting += [] if options.tiny else ["--size", "20000"]
    forgetting += [*device, "--data", str(options.data)]
    forgetting += ["--tiny", "--repeats", "1"] if options.tiny else []
    return {
        "tests": pytest + [str(path) for path in tests],
        "overhead": overhead,
        "matching": matching,
        "forgetting": forgetting,
        "large": large,
    }


def run_part(name, command, seconds_left):
    """Run a part; return whether it has passed."""
    print(f"== {name}", flush=True)
    begin = time.monotonic()
    try:
        code = subprocess.run(
            command, cwd=HERE.parent, timeout=seconds_left, check=False
        ).returncode
        # Where no test is marked, pytest ends with 5.
        outcome = "passed" if code == 0 else f"failed with {code}"
    except subprocess.TimeoutExpired:
        outcome = "stopped, for the time was up"
    print(f"== {name}: {outcome}, {time.monotonic() - begin:.0f} s", flush=True)
    return outcome == "passed"


def options_of(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="seconds, not minutes")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seconds", type=float, default=350.0, help="for all parts")
    folder = os.environ.get("SKPOISON_DATA", HERE.parent / "../shared/data")
    parser.add_argument("--data", default=folder, help="folder with mnist.npz")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run all parts; return what the process ends with."""
    options = options_of(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "no CUDA device: nothing was checked. To try this script without one, "
            "there is --device cpu --tiny.",
            file=sys.stderr,
        )
        return NO_DEVICE
    if options.device == "cuda":
        print(torch.cuda.get_device_name(), "torch", torch.__version__, flush=True)
    end = time.monotonic() + options.seconds
    passed = {}
    for name, command in parts_of(options).items():
        if name in options.parts:
            passed[name] = run_part(name, command, max(1.0, end - time.monotonic()))
    print("passed: " + ", ".join(name for name, is_so in passed.items() if is_so))
    print("failed: " + ", ".join(name for name, is_so in passed.items() if not is_so))
    return 0 if all(passed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
