"""Medoids against the reference: the same picks, faster, in less memory."""

import statistics
import subprocess
import sys
import time

import numpy as np
from epic_data import duplicated, of_one_class, residual_sets

from skpoison.coreset import facility_location, isolated_medoids


def reference(X, n_medoids):
    """submodlib, as the released code of EPIC calls it; picks in their order."""
    from submodlib import FacilityLocationFunction

    objective = FacilityLocationFunction(
        n=len(X), data=X, metric="euclidean", mode="dense"
    )
    picks = objective.maximize(
        budget=n_medoids,
        optimizer="LazyGreedy",
        stopIfZeroGain=False,
        stopIfNegativeGain=False,
        verbose=False,
        show_progress=False,
    )
    return np.array([row for row, _ in picks])


def similarities(X, rows):
    """exp(-distance / n_features) in float64, to some of the rows."""
    X = X.astype(np.float64)
    out = np.empty((len(X), len(rows)))
    for start in range(0, len(X), 100):
        part = X[start : start + 100, None] - X[rows]
        distances = np.sqrt(np.einsum("ijk,ijk->ij", part, part))
        out[start : start + 100] = np.exp(-distances / X.shape[1])
    return out


def judge(X, picks):
    """What is left of the objective in float64, and the rows that stand alone.

    Who is nearest is told in float32, as by the released code.
    """
    similarity = similarities(X, picks)
    nearest = similarity.astype(np.float32).argmax(axis=1)
    sizes = np.bincount(nearest, minlength=len(picks))
    return np.sum(1 - similarity.max(axis=1)), set(picks[sizes == 1])


def jaccard(one, other):
    return len(one & other) / max(len(one | other), 1)


def cases(sets):
    for n_rows, share in ((1000, 0.2), (3000, 0.1), (3000, 0.2), (1500, 0.4)):
        for name, (proxies, labels) in sets.items():
            yield name, n_rows, share, of_one_class(proxies, labels, n_rows)
    for n_rows, share in ((1000, 0.1), (3000, 0.2)):
        part = of_one_class(*sets["trained"], n_rows)
        yield "85 % duplicates", n_rows, share, duplicated(part)
    yield "trained", 6000, 0.2, of_one_class(*sets["trained"], 6000)


def bench_picks():
    print("Picks against submodlib-py (dense, LazyGreedy)")
    print(f"{'data':16} {'rows':>5} {'share':>5} | order='lazy': same order, same set")
    print(f"{'':28} | canonical: sum(1 - similarity), reference's, dropped: Jaccard")
    for name, n_rows, share, X in cases(residual_sets()):
        budget = round(share * n_rows)
        theirs = reference(X, budget)
        lazy = facility_location(X, budget, order="lazy").indices
        left, dropped = judge(X, theirs)
        ours, ours_dropped = judge(X, facility_location(X, budget).indices)
        print(
            f"{name:16} {n_rows:5} {share:5.2f} | {np.array_equal(lazy, theirs)!s:5} "
            f"{set(lazy) == set(theirs)!s:5} | {ours:11.6f} {left:11.6f} "
            f"{jaccard(dropped, ours_dropped):.4f} ({len(dropped)} dropped)",
            flush=True,
        )


def seconds(function, *args, **options):
    """Processor time: the cores may be shared, and everything here is one thread."""
    start = time.process_time()
    function(*args, **options)
    return time.process_time() - start


def bench_speed(sizes=(1000, 6000, 12000), repeats=3):
    print(
        "Speed, 20 % medoids of one class, C = 10, medians of alternating runs, "
        "processor time"
    )
    sets = residual_sets()
    for name in ("early", "trained"):
        for n_rows in sizes:
            X = of_one_class(*sets[name], n_rows)
            budget = n_rows // 5
            facility_location(X[:300], 30, backend="numba")  # load the compiled code
            times = {"reference": [], "numpy": [], "numba": [], "numba lazy": []}
            for _ in range(1 if n_rows > 8000 else repeats):
                times["numpy"].append(
                    seconds(facility_location, X, budget, backend="numpy")
                )
                for key, order in (("numba", "canonical"), ("numba lazy", "lazy")):
                    times[key].append(
                        seconds(
                            facility_location, X, budget, backend="numba", order=order
                        )
                    )
                times["reference"].append(seconds(reference, X, budget))
            medians = {key: statistics.median(taken) for key, taken in times.items()}
            ratios = "  ".join(
                f"{key} {median:.3f} s ({medians['reference'] / median:.1f} x)"
                for key, median in medians.items()
            )
            print(f"{name:8} n = {n_rows:6}: {ratios}", flush=True)


def bench_mnist(repeats=3):
    print("All of MNIST: 60,000 residuals, ten classes, 20 % medoids, processor time")
    sets = residual_sets()
    for name in ("early", "trained"):
        proxies, labels = sets[name]
        for backend in ("numba", "numpy"):
            taken = [
                seconds(facility_location, proxies, 0.2, labels=labels, backend=backend)
                for _ in range(repeats)
            ]
            print(
                f"{name:8} {backend}: median {statistics.median(taken):.2f} s, "
                f"least {min(taken):.2f} s",
                flush=True,
            )


def bench_parts(sizes=(20_000, 40_000), shares=(0.1, 0.3)):
    """What dividing a class does to the objective, and to who is isolated."""
    print(
        "One class in parts: loss beside the exact greedy's, isolated rows, processor"
    )
    for n_rows in sizes:
        X = generated_residuals(n_rows)
        for share in shares:
            start = time.process_time()
            exact = facility_location(X, share)
            taken = time.process_time() - start
            alone = set(isolated_medoids(exact))
            print(
                f"n = {n_rows}, {share:.0%}: exact {taken:.1f} s, {len(alone)} isolated"
            )
            for partitions in (4, 8, 20):
                start = time.process_time()
                found = facility_location(X, share, partitions=partitions)
                taken = time.process_time() - start
                loss = (n_rows - found.gains.sum()) / (n_rows - exact.gains.sum())
                others = set(isolated_medoids(found))
                print(
                    f"{partitions:4} parts: value x "
                    f"{found.gains.sum() / exact.gains.sum():.5f}, loss x {loss:.3f}, "
                    f"{len(others)} isolated, {len(alone & others)} in both, "
                    f"{taken:.1f} s",
                    flush=True,
                )


def bench_million(sizes=(100_000, 1_000_000)):
    """Time and memory of one class in parts; each size in a process of its own."""
    print("Scaling in parts, one class, 10 % medoids, generated residuals")
    for rows in sizes:
        code = _MEASURE.format(
            backend="auto", rows=rows, budget=rows // 10, partitions="'auto'"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


def generated_residuals(n_rows, n_classes=10, seed=0):
    """Gradients of one class of a model that has learned most of it."""
    rng = np.random.default_rng(seed)
    X = np.empty((n_rows, n_classes), dtype=np.float32)
    for part in np.array_split(X, 20):
        logits = 2 * rng.normal(size=part.shape)
        logits[:, 0] += 6
        part[:] = np.exp(logits - logits.max(axis=1, keepdims=True))
        part /= part.sum(axis=1, keepdims=True)
        part[:, 0] -= 1
    return X


def bench_scaling(backend="numba", sizes=(3000, 10000, 30000, 100000)):
    """Time and memory of one class; each size in a process of its own."""
    print(f"Scaling with {backend}, one class, 20 % medoids, residuals")
    for rows in sizes:
        code = _MEASURE.format(
            backend=backend, rows=rows, budget=rows // 5, partitions=None
        )
        subprocess.run([sys.executable, "-c", code], check=True)


_MEASURE = """
import sys, time
sys.path.insert(0, "benchmarks")
from epic_selection import generated_residuals, memory
from skpoison.coreset import facility_location
X = generated_residuals({rows})
options = dict(backend="{backend}", partitions={partitions})
facility_location(X[:300], 60, **options)
before = memory("VmRSS")
wall, cpu = time.perf_counter(), time.process_time()
facility_location(X, {budget}, **options)
cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
peak = memory("VmHWM")
print(f"n = {rows:7}: processor {{cpu:7.2f}} s, wall clock {{wall:7.2f}} s, "
      f"at most {{(peak - before) / 1e6:6.0f}} MB more", flush=True)
"""


def memory(field):
    """Bytes that this process holds now (VmRSS) or has held at most (VmHWM)."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(field))
    return 1024 * int(line.split()[1])
