"""What goes wrong in a timing trial on Ray is told as what it is.

Ray itself is replaced by the calls that are used, since it raises these errors only when disks are full or nodes die.
"""

import sys
from types import SimpleNamespace

import pytest
from some_records import record

from harness import tuner
from harness.errors import ResultsError
from harness.execution import Execution
from harness.results.store import Store


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause):
        super().__init__("the traceback on the node")
        self.cause = cause


@pytest.fixture
def store(tmp_path):
    prepared = Store(tmp_path / "results")
    prepared.prepare()
    return prepared


def first_ended(store, monkeypatch, raised):
    """What the driver makes of a timing task that raised this."""

    def get(token):
        raise raised

    ray = SimpleNamespace(
        wait=lambda tokens: (tokens[:1], tokens[1:]),
        get=get,
        exceptions=SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError),
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    return tuner._RayNodes(store, Execution()).first_ended(["token"])


def test_an_error_of_the_task_is_not_taken_for_one_of_writing(store, monkeypatch):
    with pytest.raises(ValueError, match="a fault of the program") as caught:
        first_ended(store, monkeypatch, RayTaskError(ValueError("a fault of the program")))
    assert isinstance(caught.value.__cause__, RayTaskError), "its traceback on the node is kept"


def test_a_row_that_cannot_be_written_says_so(store, monkeypatch):
    monkeypatch.setattr(tuner, "run_isolated", lambda spec, execution: record(0))

    def full(self, record):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "write", full)
    with pytest.raises(ResultsError, match=r"A row could not be written to .*results: .*No space left") as caught:
        tuner._time_one(record(0).spec, store.address, Execution())
    with pytest.raises(ResultsError, match=r"^A row could not be written to .*No space left"):
        first_ended(store, monkeypatch, RayTaskError(caught.value))


def test_a_lost_worker_is_a_loss(store, monkeypatch):
    assert first_ended(store, monkeypatch, RayError("the worker died")) == ("token", None)
