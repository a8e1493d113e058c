"""What a node of a cluster must have: the results folder and the data, as the driver has them.

Nodes on one machine see the same files, so a node that lacks some is this process after they have been changed.
"""

from dataclasses import replace

import pytest

from harness.execution import Execution
from harness.results.store import Store
from harness.workers import node_check
from harness.workers.node_check import NODES_FILE, DataOfTask, NodeCheck, data_of, problem_of_this_node
from tasks import lookup
from tasks.errors import DataError
from tasks.experiments import TASKS


class Files:
    """A task whose data are one file."""

    needs_data = True

    def check_data(self, folder, download=False):
        if not (folder / "file").exists():
            raise DataError(f"{folder} has no file.")

    def dataset_fingerprint(self, folder):
        return (folder / "file").read_text()


@pytest.fixture
def check(tmp_path, monkeypatch):
    """The check of a driver that sees a results folder and a data folder."""
    monkeypatch.setattr(lookup, "task_of", lambda name, definition="": Files())
    store = Store(tmp_path / "results")
    store.prepare()
    store.write_json(NODES_FILE, {"campaign": "abc"})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("one")
    data = data_of(
        {"files": (Files(), ""), "digits-mlp": (TASKS["digits-mlp"], "")}, Execution(data_dir=str(tmp_path / "data"))
    )
    assert data == (DataOfTask(task="files", definition="", folder=str(tmp_path / "data"), fingerprint="one"),)
    return NodeCheck(location=store.address, written="abc", data=data)


def test_a_node_that_has_everything_has_no_problem(check):
    assert problem_of_this_node(check) == ""


def test_a_node_that_sees_another_folder_or_none_is_told(check, tmp_path):
    for other in (replace(check, written="def"), replace(check, location=str(tmp_path / "elsewhere"))):
        assert problem_of_this_node(other).startswith(
            f"does not see the results folder {other.location}; give --results"
        )


def test_a_node_without_the_data_is_told_before_a_trial_fails(check, tmp_path):
    (tmp_path / "data" / "file").unlink()
    assert problem_of_this_node(check) == (
        f"lacks the data of files: {tmp_path / 'data'} has no file; every node needs the folder of --data"
    )


def test_a_node_with_other_data_is_told_with_both_fingerprints(check, tmp_path):
    (tmp_path / "data" / "file").write_text("two")
    assert "has other data for files" in problem_of_this_node(check)
    assert "(fingerprint two, here one)" in problem_of_this_node(check)
    assert problem_of_this_node(check, reads_data=False) == ""


def test_of_the_nodes_only_those_that_joined_later_are_looked_at_by_their_workers(check, tmp_path):
    (tmp_path / "data" / "file").unlink()
    node_check.problem_of_late_node.cache_clear()
    known = replace(check, passed=frozenset({"early"}))
    assert node_check.problem_of_late_node(known, "early") == ""
    assert node_check.problem_of_late_node(known, "late").startswith("lacks the data of files")
    node_check.problem_of_late_node.cache_clear()


def test_a_late_node_on_which_the_check_itself_fails_is_told_why(check, monkeypatch):
    """An exception in a worker would count as its loss, three times for each trial, and the cause would be lost."""

    def lacks_a_package(name, definition=""):
        raise ModuleNotFoundError("No module named 'torch'")

    monkeypatch.setattr(lookup, "task_of", lacks_a_package)
    node_check.problem_of_late_node.cache_clear()
    told = node_check.problem_of_late_node(check, "late")
    node_check.problem_of_late_node.cache_clear()
    assert told.startswith(
        "cannot run trials (ModuleNotFoundError: No module named 'torch' (in test_node_check.py, line"
    )
    assert told.endswith("every node needs the same versions of Python, ray, torch and regarena")


def test_the_cause_of_an_error_of_ray_is_named_without_its_traceback():
    class TaskError(Exception):
        cause = ValueError("numpy is too old")

    told = node_check.cannot_run(TaskError("ray::seen_here()\n  File ...\n" * 99))
    assert told.startswith("cannot run trials (ValueError: numpy is too old); every node needs")
    assert node_check.cannot_run(TimeoutError("no answer")).startswith("cannot run trials (TimeoutError: no answer);")


def test_a_node_that_cannot_read_the_results_folder_is_told_why(check, tmp_path):
    (tmp_path / "results" / NODES_FILE).unlink()
    (tmp_path / "results" / NODES_FILE).mkdir()
    told = problem_of_this_node(check)
    assert told.startswith(f"cannot read the results folder: The results location {check.location} cannot be read (")
    assert not told.endswith(".")
    unopened = problem_of_this_node(replace(check, location="nowhere://bucket/folder"))
    assert unopened.startswith("cannot read the results folder: The results location 'nowhere://bucket/folder'")
    assert "credentials" in unopened
