"""CPUs are those that the process may use: by its affinity and by its container's quota."""

import os
import subprocess
import sys

import pytest

from harness.workers import processors

PROGRAM = "from harness.workers.processors import usable_cpus; print(usable_cpus())"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity of processes")
def test_one_cpu_by_affinity_is_one_cpu():
    one = min(os.sched_getaffinity(0))
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        preexec_fn=lambda: os.sched_setaffinity(0, {one}),  # no thread runs in the child before
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == "1"


@pytest.mark.parametrize(
    ("quota", "usable"),
    [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("1600000 100000", 8), ("nonsense", 8), (None, 8)],
)
def test_the_quota_of_a_container_counts(monkeypatch, tmp_path, quota, usable):
    if quota is not None:
        (tmp_path / "cpu.max").write_text(f"{quota}\n")
    monkeypatch.setattr(processors, "_CGROUP_2", tmp_path / "cpu.max")
    monkeypatch.setattr(processors, "_CGROUP_1", (tmp_path / "no-quota", tmp_path / "no-period"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert processors.usable_cpus() == usable


@pytest.mark.parametrize(
    ("quota", "period", "usable"), [("-1", "100000", 8), ("300000", "100000", 3), ("100000", "0", 8)]
)
def test_so_does_the_quota_of_an_older_kernel(monkeypatch, tmp_path, quota, period, usable):
    (tmp_path / "quota").write_text(f"{quota}\n")
    (tmp_path / "period").write_text(f"{period}\n")
    monkeypatch.setattr(processors, "_CGROUP_2", tmp_path / "none")
    monkeypatch.setattr(processors, "_CGROUP_1", (tmp_path / "quota", tmp_path / "period"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert processors.usable_cpus() == usable


def test_trials_at_once_fill_the_cpus_up_to_the_limit(monkeypatch):
    monkeypatch.setattr(processors, "usable_cpus", lambda: 8)
    assert [processors.trials_at_once(cpus) for cpus in (1.0, 3.0, 8.0, 100.0)] == [8, 2, 1, 1]
    assert [processors.trials_at_once(1.0, most) for most in (1, 5, 20)] == [1, 5, 8]
