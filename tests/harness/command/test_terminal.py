"""Campaigns that are typed into a terminal: they run as through a pipe, fit the window, and end with Ctrl-C."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pseudo_terminal
import pytest
from arena import COMMAND, Arena, await_that, by_id, processes_of

from harness.terminal.text import cell_length

pytestmark = pytest.mark.slow

SLOW = ("run", "slow", "--tune-trials", "50")  # more than there is time for


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    return Arena(tmp_path_factory.mktemp("terminal"))


def typed(arena, *arguments, columns=80, **environment):
    return pseudo_terminal.start([str(COMMAND), *arguments], arena.folder, arena.environment | environment, columns)


@pytest.mark.parametrize("columns", [80, 140])
def test_a_campaign_on_ray_runs_in_a_terminal(arena, columns):
    terminal = typed(arena, "run", "well", "--results", f"well-{columns}", columns=columns)
    assert terminal.finish() == 0, terminal.text
    assert "Traceback" not in terminal.text
    assert "trials done" in terminal.text, "the live view was shown"
    tables = terminal.text[terminal.text.index(" is better") : terminal.text.index("Report:")].splitlines()
    assert [line for line in tables if cell_length(line) > columns] == []
    assert {row["status"] for row in by_id(arena.folder / f"well-{columns}").values()} <= {"completed", "skipped"}


def test_ctrl_c_in_a_terminal_keeps_what_is_finished_and_says_how_to_go_on(arena):
    terminal = typed(arena, *SLOW, "--results", "slow")
    terminal.await_text(r"\b[1-9]\d* of \d+ trials done")
    terminal.press(b"\x03")
    assert terminal.finish() == 130, terminal.text
    assert "Traceback" not in terminal.text
    assert "resumes" in terminal.text
    assert by_id(arena.folder / "slow")


@pytest.mark.parametrize("how", [["--serial"], []], ids=["serial", "Ray"])
def test_a_terminal_that_is_closed_ends_the_run_and_nothing_is_left(arena, how):
    results, temporary = f"closed-{'-'.join(how)}", Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))  # short
    terminal = typed(arena, *SLOW, *how, "--results", results, TMPDIR=str(temporary))
    terminal.await_text(r"\b[1-9]\d* of \d+ trials done")
    terminal.close()
    terminal.process.wait(timeout=pseudo_terminal.PATIENCE_SECONDS)
    await_that(lambda: not processes_of(arena), "all processes end")
    await_that(lambda: not list(temporary.iterdir()), "the temporary folder is emptied")
    temporary.rmdir()
    assert by_id(arena.folder / results)
    assert arena.regarena("verify", results).returncode == 0
