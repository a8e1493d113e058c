"""Scratch is gone at the end, or at the next beginning where the end did not come."""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
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


def test_it_is_removed_although_ending_processes_still_write_into_it(tmp_path, monkeypatch):
    remove, writes = os.rmdir, iter(["one file", "another file"])

    def rmdir(path, **options):
        for name in [next(writes, None)] if path == folder else []:
            if name is not None:
                Path(path, name).touch()
        remove(path, **options)

    with temporary_folder(str(tmp_path)) as folder:
        monkeypatch.setattr(os, "rmdir", rmdir)
    assert list(tmp_path.iterdir()) == []
    assert next(writes, None) is None


def test_what_ending_processes_remove_does_not_keep_the_rest(tmp_path, monkeypatch):
    listed, gone = os.listdir, iter([["a socket"]])
    with temporary_folder(str(tmp_path)) as folder:
        Path(folder, "log").write_text("text")
        monkeypatch.setattr(os, "listdir", lambda path: [*next(gone, []), *listed(path)])
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_when_the_next_begins(tmp_path, other):
    process, left = other
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert left.is_dir()
    with temporary_folder(str(tmp_path)) as mine:
        assert [str(path) for path in tmp_path.iterdir()] == [mine]


def test_what_a_killed_process_left_goes_when_the_run_beside_it_ends(tmp_path, other):
    process, _ = other
    with temporary_folder(str(tmp_path)):
        process.kill()
        process.wait()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("age", [0, 60])
def test_what_a_process_of_a_killed_run_made_again_goes_once_it_cannot_be_a_new_folder(tmp_path, age):
    again = tmp_path / "ra-again"
    (again / "ray").mkdir(parents=True)
    made = again.stat().st_mtime - age
    os.utime(again, (made, made))
    with temporary_folder(str(tmp_path)):
        assert again.exists() == (age == 0)


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


def test_no_link_is_followed(tmp_path):
    shared, target = tmp_path / "shared", tmp_path / "target"
    (target / "folder").mkdir(parents=True)
    (target / "owner.lock").touch()
    shared.mkdir()
    (shared / "ra-link").symlink_to(target)
    inner = shared / "ra-folder"
    inner.mkdir()
    (inner / "owner.lock").symlink_to(target / "owner.lock")
    (inner / "link").symlink_to(target)
    with temporary_folder(str(shared)) as folder:
        Path(folder, "link").symlink_to(target)
    assert {path.name for path in target.iterdir()} == {"folder", "owner.lock"}
    assert {path.name for path in shared.iterdir()} == {"ra-link", "ra-folder"}


def test_a_named_pipe_in_place_of_the_lock_keeps_nobody_waiting(tmp_path):
    (tmp_path / "ra-pipe").mkdir()
    os.mkfifo(tmp_path / "ra-pipe" / "owner.lock")
    with temporary_folder(str(tmp_path)) as folder:
        assert Path(folder).is_dir()


NOBODY = 65534


def plant(shared, target):
    os.symlink(target, shared / "ra-link")
    os.mkdir(shared / "ra-folder")
    os.chmod(shared / "ra-folder", 0o777)
    (shared / "ra-folder" / "owner.lock").touch()
    os.chmod(shared / "ra-folder" / "owner.lock", 0o666)
    os.symlink(target, shared / "ra-folder" / "link")


def as_another_user(function, *arguments):
    """Call the function in a process with the rights of nobody."""
    if (child := os.fork()) == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            function(*arguments)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def shared():
    """A folder like /tmp, which every user can reach."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o1777)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as a second user")
def test_what_another_user_plants_is_neither_followed_nor_removed(shared, tmp_path):
    """The attack: a link `ra-x` in /tmp to a folder of the victim that holds a file `owner.lock` of anybody's."""
    target = tmp_path / "target"
    (target / "folder").mkdir(parents=True)
    (target / "owner.lock").touch()
    as_another_user(plant, shared, target)
    with temporary_folder(str(shared)) as folder:
        assert Path(folder).stat().st_mode & 0o077 == 0, "nobody else looks into the folder"
    assert {path.name for path in target.iterdir()} == {"folder", "owner.lock"}
    assert {path.name for path in shared.iterdir()} == {"ra-link", "ra-folder"}
    assert {path.name for path in (shared / "ra-folder").iterdir()} == {"owner.lock", "link"}
