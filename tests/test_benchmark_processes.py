"""The processes that a benchmark measures in end with it, whatever ends it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from arena import await_that, processes

ROOT = Path(__file__).parent.parent
MARK = "REGARENA_TEST_MARK"
# Two processes at work, and more work than they can begin.
BENCHMARK = """
import time
from benchmarks.processes import processes

if __name__ == "__main__":
    with processes(2) as executor:
        calls = [executor.submit(time.sleep, 600) for _ in range(8)]
        while sum(call.running() for call in calls) < 2:
            time.sleep(0.01)
        print("busy", flush=True)
        calls[0].result()
"""


def marked(mark):
    return {pid for pid, _, environment in processes() if f"{MARK}={mark}\0" in environment}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda how: how.name)
def test_none_is_left_behind(tmp_path, how):
    script = tmp_path / "benchmark.py"
    script.write_text(BENCHMARK)
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": paths, MARK: str(tmp_path)}
    run = subprocess.Popen([sys.executable, script], env=environment, stdout=subprocess.PIPE, start_new_session=True)
    assert run.stdout is not None
    assert run.stdout.readline() == b"busy\n"
    assert len(marked(tmp_path)) >= 3
    run.send_signal(how)  # to it alone, not to its process group
    assert run.wait(60) != 0
    await_that(lambda: not marked(tmp_path), "all processes end")
