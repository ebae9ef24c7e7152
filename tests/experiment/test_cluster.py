# SPDX-License-Identifier: MIT
"""A real dask scheduler with two workers: the same bytes as in this process."""

from __future__ import annotations

import os
import signal

import pytest

from simulator.errors import InputError
from simulator.experiment import sweep
from tests.experiment.conftest import AXES, BASE

distributed = pytest.importorskip("distributed")


def content(folder):
    return {p.name: p.read_bytes() for p in folder.glob("cells/*/*")}


def cluster(processes):
    return distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=processes, dashboard_address=None,
        silence_logs=50,
    )  # fmt: skip


def test_a_scheduler_with_two_workers_gives_the_same_frame(swept):
    with cluster(processes=False) as local:
        found = sweep(BASE, AXES, replications=2, cluster=local.scheduler_address)
    assert found.frame.equals(swept.frame)


def test_a_cluster_that_cannot_work_is_named_in_one_line(monkeypatch):
    from simulator.experiment import cluster as module

    monkeypatch.setattr(module, "_TIMEOUT_S", 0.2)
    with pytest.raises(InputError, match="no scheduler at 'tcp:"):
        sweep(BASE, AXES, cluster="tcp://127.0.0.1:1")
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, dashboard_address=None, silence_logs=50
        ) as local,
        pytest.raises(InputError, match="has no workers; start one with: dask worker"),
    ):
        sweep(BASE, AXES, cluster=local.scheduler_address)


@pytest.mark.slow
def test_a_worker_killed_half_way_changes_nothing(tmp_path):
    axes = {"cpus": [2, 4, 8], "kernel": ["v6.6", "v6.7"], "pages": [64, 256]}
    sweep(BASE, axes, replications=4, store=tmp_path / "here")
    nr_cells = len(content(tmp_path / "here"))
    done = []
    with cluster(processes=True) as local, distributed.Client(local) as client:
        pids = list(client.run(os.getpid).values())

        def progress():
            done.append(1)
            if len(done) == nr_cells // 2:
                os.kill(pids[0], signal.SIGKILL)

        found = sweep(
            BASE, axes, replications=4, cluster=local.scheduler_address, progress=progress,
            store=tmp_path / "there",
        )  # fmt: skip
    assert len(done) == nr_cells == 48
    assert not len(found.failed)
    assert content(tmp_path / "there") == content(tmp_path / "here")
