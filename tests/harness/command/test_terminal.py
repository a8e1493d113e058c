"""Campaigns that are typed into a terminal: they run as through a pipe, fit the window, and end with Ctrl-C."""

from __future__ import annotations

import pseudo_terminal
import pytest
from arena import COMMAND, Arena, by_id

from harness.terminal.text import cell_length


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    return Arena(tmp_path_factory.mktemp("terminal"))


def typed(arena, *arguments, columns=80):
    return pseudo_terminal.start([str(COMMAND), *arguments], arena.folder, arena.environment, columns)


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
    terminal = typed(arena, "run", "slow", "--results", "slow")
    terminal.await_text(r"\b1 of \d+ trials done")
    terminal.press(b"\x03")
    assert terminal.finish() == 130, terminal.text
    assert "Traceback" not in terminal.text
    assert "resumes" in terminal.text
    assert by_id(arena.folder / "slow")
