"""The same work over a Dask cluster (optional extra `cluster`). All machines see the same files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import joblib

from abaw_submit.errors import UserError

T = TypeVar("T")
R = TypeVar("R")
CONNECT_TIMEOUT_S = 30


def on_cluster(function: Callable[[T], R], items: Sequence[T], scheduler: str | None) -> Iterator[R]:
    """Results as they come, in any order.

    Args:
        function: importable on the workers.
        items: its arguments.
        scheduler: address such as tcp://host:8786.

    Raises:
        UserError: Dask is not installed, no address was given, or no scheduler answers there.
    """
    if not scheduler:
        raise UserError("--backend dask needs --scheduler ADDRESS, such as tcp://host:8786.")
    try:
        from distributed import Client
    except ImportError:
        raise UserError(
            'Dask is not installed. Install it with pip install "abaw-submit[cluster]".'
        ) from None
    try:
        client: Any = Client(scheduler, timeout=CONNECT_TIMEOUT_S)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise UserError(f"No Dask scheduler answers at {scheduler}: {error}.") from None
    with client, joblib.parallel_config(backend="dask", client=client, wait_for_workers_timeout=30):
        parallel = joblib.Parallel(n_jobs=-1, return_as="generator_unordered")
        yield from parallel(joblib.delayed(function)(item) for item in items)
