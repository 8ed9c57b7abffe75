"""Which processes work on the files of a folder or glob."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from skpoison._io.places import is_url

from .checks import in_range
from .options import OUTPUT, option


@dataclass
class Workers:
    """The processes that work on many files: this one, others here, or a cluster."""

    workers: Annotated[
        int | None,
        option(
            OUTPUT,
            "NUMBER",
            "Folders and globs: number of processes that work on the files. Default: "
            "only this one.",
            callback=in_range(1),
        ),
    ] = None
    scheduler: Annotated[
        str | None,
        option(
            OUTPUT,
            "ADDRESS",
            "Folders and globs: a running Dask cluster to use, such as "
            "tcp://10.0.0.1:8786, whose workers see the same files.",
        ),
    ] = None
    memory_limit: Annotated[
        str | None,
        option(
            OUTPUT,
            "SIZE",
            "Memory of each process of --workers, such as 2GB. One that needs more "
            "is started again.",
        ),
    ] = None

    def __post_init__(self):
        if self.scheduler is not None and self.workers is not None:
            raise typer.BadParameter(
                "give one of the two: --workers starts processes here, --scheduler "
                "uses those of a cluster.",
                param_hint="'--workers' / '--scheduler'",
            )
        if self.memory_limit is not None and self.workers is None:
            raise typer.BadParameter(
                "needs --workers, whose processes it is for.",
                param_hint="'--memory-limit'",
            )

    @property
    def given(self):
        """The first of these options that is given, or None."""
        names = {name.replace("_", "-"): value for name, value in vars(self).items()}
        return next((name for name, value in names.items() if value is not None), None)

    def names(self, *names):
        """Return names of files and folders as all workers understand them."""
        if self.scheduler is None:
            return names
        return [
            name if name is None or is_url(name) else os.path.abspath(name)
            for name in names
        ]

    def refuse(self):
        """Raise an error if one is given, as there is one file only."""
        if self.given is not None:
            raise typer.BadParameter(
                "goes with a folder or a glob of files only.",
                param_hint=f"'--{self.given}'",
            )

    @contextmanager
    def engine(self) -> Iterator:
        """Start or connect to what does the work."""
        if self.given is None:
            yield Here()
            return
        from skpoison._dask._cluster import connected

        with connected(self.workers, self.scheduler, self.memory_limit) as cluster:
            yield cluster

    def check(self):
        """Raise an error if the memory is no size."""
        if self.memory_limit is None:
            return
        from dask.utils import parse_bytes

        try:
            parse_bytes(self.memory_limit)
        except ValueError as error:
            raise typer.BadParameter(
                f"{self.memory_limit!r} is no size, such as 2GB or 500MB.",
                param_hint="'--memory-limit'",
            ) from error


class Here:
    """The process itself, which works on one file after the other."""

    def each(self, function, shared, items):
        """Yield places of items with what a function returns."""
        for i, item in items:
            yield i, function(shared, i, item)
