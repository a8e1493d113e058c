"""What torch's compiler makes lies in a folder of our own, and is gone at the end."""

import os
import shlex
import subprocess
import tempfile

import pytest
from arena import COMMAND, rows

from harness.execution import Execution
from harness.workers import compiled_code, isolation
from harness.workers.temporary_folders import folder_of_this_process

SMALL = "--serial --scale smoke --tune-trials 0 --seeds 1 --only none,digits-mlp"
COMMANDS = {
    "plan": "plan quickstart --only none,digits-mlp",
    "show": "show digits-mlp",
    "run": f"run quickstart {SMALL} --results results",
    "run, stderr closed": f"run quickstart {SMALL} --results results 2>&-",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * ("run" in name)) for name in COMMANDS])
def test_the_command_leaves_nothing_in_the_temporary_folder(name, tmp_path):
    """Networks without numbers are built by all of them, which imports torch's compiler."""
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:  # short enough for the paths of sockets
        environment = {key: value for key, value in os.environ.items() if key != compiled_code.VARIABLE}
        ended = subprocess.run(
            ["sh", "-c", f"{shlex.quote(str(COMMAND))} {COMMANDS[name]}"],
            cwd=tmp_path, env=environment | {"TMPDIR": temporary}, capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert os.listdir(temporary) == []
    if "run" in name:
        assert [row["status"] for row in rows(tmp_path / "results")] == ["completed"]


@pytest.fixture
def default(monkeypatch):
    """The folder that torch takes by itself, which it writes into the environment when its compiler is imported."""
    folder = f"{tempfile.gettempdir()}/torchinductor_somebody"
    monkeypatch.setenv(compiled_code.VARIABLE, folder)
    return folder


def test_it_lies_in_a_folder_that_nobody_else_may_write(default):
    compiled_code.keep_compiled_code_apart()
    place = os.environ[compiled_code.VARIABLE]
    assert os.path.dirname(place) == folder_of_this_process()
    assert os.stat(folder_of_this_process()).st_mode & 0o077 == 0
    compiled_code.keep_compiled_code_apart()
    assert os.environ[compiled_code.VARIABLE] == place


def test_so_it_does_where_trials_run_in_another_process(default):
    assert isolation._variables(Execution())[compiled_code.VARIABLE].startswith(folder_of_this_process())


def test_a_folder_that_the_user_has_chosen_stays(monkeypatch, tmp_path):
    monkeypatch.setenv(compiled_code.VARIABLE, str(tmp_path))
    compiled_code.keep_compiled_code_apart()
    assert os.environ[compiled_code.VARIABLE] == compiled_code.place_of_compiled_code() == str(tmp_path)
