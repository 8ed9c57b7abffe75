"""What ``import skpoison`` loads and offers."""

import gc
import subprocess
import sys

import pytest

import skpoison
from skpoison.cli import main

HEAVY = "torch skorch cvxpy clarabel scs matplotlib pandas imblearn numba".split()


def modules_after(statement):
    program = f"import sys; {statement}; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    return set(subprocess.check_output(command, text=True).split())


def test_importing_loads_no_heavy_package_and_not_even_scikit_learn():
    loaded = modules_after("import skpoison")
    assert loaded.isdisjoint(HEAVY)
    assert "sklearn" not in loaded


def test_filters_load_no_heavy_package():
    names = "FilterIntersection, FilteredClassifier, FilteredRegressor, DropOutliers"
    loaded = modules_after(f"from skpoison import {names}; FilteredClassifier()")
    # scikit-learn itself looks for pandas and the like where they are installed.
    plain = modules_after("import sklearn.linear_model, sklearn.pipeline")
    assert (loaded - plain).isdisjoint(HEAVY)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["certify", "--help"], 0),
        (["certify", "--epsilon", "many"], 2),
        (["certify", "--rho", "1", "--C", "1"], 2),
        (["certify", "no_such_file.csv"], 1),
        (["trace", __file__, "--case", "no_such_file.csv"], 1),
        (["filter", __file__, "--trusted", "no_such_file.csv"], 1),
        (["filter", __file__, "--verdicts", "no_such_file.csv"], 1),
        (["audit", "no_such_file.csv"], 1),
        (["certify", "--json", __file__], 1),
    ],
)
def test_help_and_errors_of_arguments_need_no_numpy(arguments, code):
    loaded = modules_after_command(arguments, code)
    assert "skpoison._cli.app" in loaded
    assert loaded.isdisjoint({"numpy", "scipy", "sklearn", "pandas", "pyarrow"})


def modules_after_command(arguments, code):
    program = (
        "import atexit, sys; from skpoison.cli import main;"
        "atexit.register(lambda: print('MODULES', *sys.modules));"
        f"main({arguments!r})"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == code, done.stderr
    return set(done.stdout.rpartition("MODULES")[2].split())


def test_certify_loads_only_what_it_computes_with():
    loaded = modules_after_command(["certify", "--quiet"], 0)
    assert "skpoison.bounds._certified" in loaded
    assert loaded.isdisjoint({"matplotlib", "torch", "numba", "skpoison.tracing"})
    assert "sklearn.cluster" not in loaded


def test_the_command_line_leaves_the_garbage_collector_as_it_was():
    before = gc.get_threshold()
    with pytest.raises(SystemExit):
        main(["--version"])
    assert gc.get_threshold() == before


def test_public_names_are_listed_and_resolve():
    assert set(skpoison.__all__) <= set(dir(skpoison))
    for name in skpoison.__all__:
        assert getattr(skpoison, name).__doc__


def test_subpackages_need_no_import_of_their_own():
    program = "skpoison.exceptions.FilterWarning; skpoison.filters.SphereFilter()"
    assert "sklearn" in modules_after(f"import skpoison; {program}")


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'rubbish'"):
        _ = skpoison.rubbish


def test_a_filter_loads_what_it_needs_and_no_other_filter():
    loaded = modules_after("from skpoison import SphereFilter, SlabFilter")
    assert "skpoison.filters._sphere" in loaded
    assert "skpoison.filters._clusters" not in loaded
    assert "sklearn.cluster" not in loaded


def test_names_of_filters_are_listed_and_resolve():
    assert set(skpoison.filters.__all__) <= set(dir(skpoison.filters))
    for name in skpoison.filters.__all__:
        assert getattr(skpoison.filters, name).__name__ == name
    with pytest.raises(AttributeError, match=r"skpoison.filters.*'rubbish'"):
        _ = skpoison.filters.rubbish
