"""EPIC and its core: medoids against the reference, and targeted poison end to end.

Needs submodlib-py for the parts ``picks`` and ``speed``, and MNIST in the folder that
the environment variable SKPOISON_DATA names. Run it with OMP_NUM_THREADS=1.

    python benchmarks/bench_epic.py [picks] [speed] [mnist] [scaling] [numpy-scaling]
                                    [parts] [million] [attack] [guarantee] [noise]
"""

import argparse

from epic_defense import bench_attack
from epic_guarantee import bench_guarantee
from epic_noise import bench_noise
from epic_selection import (
    bench_million,
    bench_mnist,
    bench_parts,
    bench_picks,
    bench_scaling,
    bench_speed,
)

PARTS = {
    "picks": bench_picks,
    "speed": bench_speed,
    "mnist": bench_mnist,
    "scaling": bench_scaling,
    "numpy-scaling": lambda: bench_scaling("numpy", (1000, 3000, 10000)),
    "parts": bench_parts,
    "million": bench_million,
    "attack": bench_attack,
    "guarantee": bench_guarantee,
    "noise": bench_noise,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"which of {', '.join(PARTS)}")
    for part in parser.parse_args().parts or PARTS:
        PARTS[part]()
        print(flush=True)


if __name__ == "__main__":
    main()
