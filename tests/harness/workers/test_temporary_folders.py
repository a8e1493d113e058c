"""Scratch is gone at the end, or at the next beginning where the end did not come."""

import errno
import fcntl
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.workers.temporary_folders import temporary_folder

OWNER = """
import sys
from harness.workers.temporary_folders import temporary_folder
with temporary_folder(sys.argv[1]) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds a scratch folder, and that folder."""
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        folder = Path(process.stdout.readline().strip())
        (folder / "session").mkdir()
        yield process, folder
        process.kill()


def test_it_is_removed_at_the_end_with_all_that_is_in_it(tmp_path):
    with temporary_folder(str(tmp_path)) as folder:
        Path(folder, "session").mkdir()
        Path(folder, "session", "log").write_text("text")
    assert list(tmp_path.iterdir()) == []


def test_it_is_removed_when_the_work_raises(tmp_path):
    with pytest.raises(ZeroDivisionError), temporary_folder(str(tmp_path)):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_when_the_next_begins(tmp_path, other):
    process, left = other
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert left.is_dir()
    with temporary_folder(str(tmp_path)) as mine:
        assert [str(path) for path in tmp_path.iterdir()] == [mine]


def test_what_a_living_process_holds_stays(tmp_path, other):
    _, held = other
    with temporary_folder(str(tmp_path)) as mine:
        assert {str(path) for path in tmp_path.iterdir()} == {mine, str(held)}
    assert (held / "session").is_dir()


def test_what_cannot_be_removed_at_once_is_removed_by_a_later_run(tmp_path, other, monkeypatch):
    """Processes that a killed owner started may write for a while."""
    process, left = other
    process.kill()
    process.wait()
    with monkeypatch.context() as busy:
        busy.setattr(shutil, "rmtree", lambda *_, **__: None)
        with temporary_folder(str(tmp_path)):
            assert (left / "session").is_dir()
    with temporary_folder(str(tmp_path)) as mine:
        assert [str(path) for path in tmp_path.iterdir()] == [mine]


def test_without_locks_there_is_a_folder_all_the_same(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with temporary_folder(str(tmp_path)) as folder:
        assert Path(folder).is_dir()
    assert list(tmp_path.iterdir()) == []


def test_folders_of_somebody_else_stay(tmp_path):
    foreign = tmp_path / "ra-foreign"
    foreign.mkdir()
    with temporary_folder(str(tmp_path)):
        pass
    assert list(tmp_path.iterdir()) == [foreign]
