# SPDX-License-Identifier: MIT
"""
A dask cluster as an executor
-----------------------------
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from simulator.errors import InputError
from simulator.experiment.code import code_key

__all__ = ("cluster_executor",)

_TIMEOUT_S = 10


@contextmanager
def cluster_executor(address: str) -> Iterator[tuple[Executor, int]]:
    """
    Yield an executor that sends work to the workers of a dask scheduler, and how many CPUs it has.

    InputError where dask.distributed is not installed, the scheduler cannot be reached,
    has no worker, or a worker runs another tlbsim.
    """
    try:
        from distributed import Client
    except ImportError:
        raise InputError("cluster: needs dask; pip install 'tlbsim[cluster]'") from None
    try:
        client = Client(address, timeout=_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError, TypeError):
        raise InputError(
            f"cluster: there is no scheduler at {address!r}, such as tcp://host:8786"
        ) from None
    try:
        threads = client.nthreads()
        if not threads:
            raise InputError(
                f"cluster: {address} has no workers; start one with: dask worker {address}"
            )
        _check_code(client.run(code_key, on_error="return"))
        yield client.get_executor(pure=False), sum(threads.values())
    finally:
        client.close()


def _check_code(found: dict[str, object]) -> None:
    for worker, key in found.items():
        if key != code_key():
            what = f"cannot run tlbsim ({key})" if isinstance(key, Exception) else "runs other code"
            raise InputError(f"cluster: worker {worker} {what}; install the same tlbsim there")
