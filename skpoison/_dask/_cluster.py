"""Functions that the workers of a cluster run, one file of rows at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# Dask's own page has a fixed port by default, which a second cluster would miss.
ANY_PORT = {
    "dashboard_address": "127.0.0.1:0",
    "scheduler_kwargs": {"dashboard": False},
}

# Seconds within which a scheduler must answer.
PATIENCE = 5


class Cluster:
    """The workers of a cluster that is connected to."""

    def __init__(self, client: Any):
        self._client = client

    def each(
        self, function: Callable, shared: Any, items: Sequence[tuple]
    ) -> Iterator[tuple]:
        """Yield places of items with what a function returns, in the order of the end.

        Parameters
        ----------
        function : callable
            Called with `shared`, the place of an item, and the item. It is called again
            elsewhere if a worker dies, so that it must be able to.
        shared : object
            What all calls need.
        items : sequence of (int, object)
            Places and items, which have a name.
        """
        from distributed import as_completed

        # The scheduler has it then, unlike data that are sent to workers, which die.
        held = self._client.submit(_itself, shared, pure=False)
        futures = {
            self._client.submit(function, held, i, item, pure=False): (i, item)
            for i, item in items
        }
        try:
            for future in as_completed(list(futures), loop=self._client.loop):
                i, item = futures.pop(future)
                yield i, _result_of(future, item)
                future.release()
        finally:
            self._client.cancel(list(futures))


def _itself(shared):
    return shared


def _result_of(future, item):
    from distributed.scheduler import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise ValueError(
            f"{item.name}: workers that had it died again and again, as they do where "
            "memory is lacking. Fewer --workers leave each more of it; a file must "
            "fit into memory several times."
        ) from error


@contextmanager
def connected(
    n_workers: int | None, scheduler: str | None, memory_limit: str | None
) -> Iterator[Cluster]:
    """Connect to a scheduler, or start workers here; they end with the context."""
    import dask
    from distributed import Client, LocalCluster

    if scheduler is not None:
        with _client_of(scheduler) as client:
            yield Cluster(client)
        return
    memory = {} if memory_limit is None else {"memory_limit": memory_limit}
    quiet = {**ANY_PORT, "silence_logs": "CRITICAL"}
    # A worker that does not start again in time, as on a busy machine, is given up for
    # good: without any left, all would wait forever.
    settings = dask.config.set({"distributed.deploy.lost-worker-timeout": "1 day"})
    with (
        settings,
        LocalCluster(
            n_workers=n_workers or 1, threads_per_worker=1, **quiet, **memory
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield Cluster(client)


def _client_of(scheduler):
    """Connect to a scheduler, or say at once that nobody answers."""
    from distributed import Client

    try:
        return Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise ValueError(
            f"No Dask scheduler answers at {scheduler} within {PATIENCE} seconds."
        ) from error
