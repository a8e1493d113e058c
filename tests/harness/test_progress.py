"""What a person is told while a campaign runs."""

from __future__ import annotations

import io
from itertools import product

import pytest
from slow_params import slow_but

from harness.cells import Cell
from harness.plan import Budget, Plan, make_plan
from harness.progress import Progress
from harness.records import TrialSpec
from harness.results.trial_summary import TrialSummary
from harness.schedule import Schedule
from tasks.experiments import SUITES
from tasks.suites import Group, Suite

SUITE = Suite(groups=(Group(tasks=("digits-mlp",), regularizers=("none", "dropout")),), scale="smoke", tune_trials=0)


class Terminal(io.StringIO):
    """A stream that is a terminal, so that there is a table and no line every half minute."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def campaign() -> tuple[Progress, list[tuple[TrialSpec, ...]]]:
    """Six packs of one trial to give out, and the progress of two workers."""
    plan = make_plan("two", SUITE, Budget(scale="smoke", tune_trials=0, seeds=3, timing_repeats=0), "campaign")
    packs = list(iter(Schedule(plan, {}).next, None))
    assert [len(pack) for pack in packs] == [1] * 6
    return Progress(plan, num_workers=2, stream=Terminal()), packs


def end(progress: Progress, pack: tuple[TrialSpec, ...], status: str = "completed") -> None:
    progress.ended(pack, [TrialSummary(spec.trial_id, status, 0.5, seconds=72.0) for spec in pack])


def counts(progress: Progress) -> str:
    return ", ".join(progress._headline()[:3]).removeprefix("two: ")


def test_what_waits_for_a_worker_does_not_run_yet(campaign):
    progress, packs = campaign
    told = []
    for pack in packs[:4]:
        progress.given_out(pack)
        told.append(counts(progress))
    end(progress, packs[1])
    told.append(counts(progress))
    end(progress, packs[0], "diverged")
    told.append(counts(progress))
    end(progress, packs[2])
    told.append(counts(progress))
    assert told == [
        "0 of 6 trials done, 1 running, 0 failed",
        "0 of 6 trials done, 2 running, 0 failed",
        "0 of 6 trials done, 2 running, 0 failed",
        "0 of 6 trials done, 2 running, 0 failed",
        "1 of 6 trials done, 2 running, 0 failed",
        "2 of 6 trials done, 2 running, 1 failed",
        "3 of 6 trials done, 1 running, 1 failed",
    ]


def test_a_proposal_that_diverges_is_no_failure_and_a_setting_that_counts_is_one(campaign):
    progress, packs = campaign
    for pack, role in zip(packs, ("tune", "confirm", "tune"), strict=False):
        status = "diverged" if pack is not packs[2] else "failed"
        progress.given_out(pack)
        progress.ended(pack, [TrialSummary(pack[0].trial_id, status, None, role=role)])
    assert (progress.num_rejected, dict(progress.failures)) == (1, {"diverged": 1, "failed": 1})
    assert counts(progress) == "3 of 6 trials done, 0 running, 2 failed"


def test_what_lost_workers_had_is_given_out_anew(campaign):
    progress, packs = campaign
    progress.given_out(packs[0])
    progress.given_out(packs[1])
    progress.all_lost()
    assert counts(progress) == "0 of 6 trials done, 0 running, 0 failed"
    progress.given_out(packs[0])
    end(progress, packs[0])
    assert counts(progress) == "1 of 6 trials done, 0 running, 0 failed"


def test_the_time_left_is_that_of_the_trials_shared_among_the_workers(campaign):
    progress, packs = campaign
    assert len(progress._headline()) == 3, "nothing is known of the time before a trial has ended"
    progress.given_out(packs[0])
    end(progress, packs[0])
    assert progress._headline()[-1] == "about 3 min left"  # five trials of 72 s, two at a time


@pytest.mark.parametrize(
    ("columns", "lines"),
    slow_but(product([40, 80, 100, 140, 200], [10, 24, 40]), quick=[(40, 10), (80, 24), (140, 40)]),
)
def test_the_live_view_of_840_cells_fits_the_window(monkeypatch, columns, lines):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(lines))
    monkeypatch.setenv("TERM", "xterm")
    suite = Suite(groups=SUITES["leaderboard"].groups, scale="smoke", tune_trials=2)
    plan = unchecked_plan(suite)
    assert len(plan.cells) >= 840
    progress = Progress(plan, num_workers=100, stream=Terminal())
    for place, cell in enumerate(plan.cells[:600]):
        pack = (trial_of(cell),)
        progress.given_out(pack)
        if place >= 100:
            status = "diverged" if place % 7 == 0 else "completed"
            progress.ended(pack, [TrialSummary("id", status, 0.5 + place / 2000, role="confirm", seconds=3e5)])
    shown = progress._view().plain.splitlines()
    assert len(shown) < lines
    assert max(map(len, shown)) <= columns
    text = " ".join(shown)
    for words in (
        f"500 of {6 * len(plan.cells):,} trials done",
        "100 running",
        "71 failed",
        "days left",
        "running on",
        "more",
    ):
        assert words in text
    if columns >= 80 and lines >= 24:
        for words in ("failed on", "best so far on", "1 diverged"):
            assert words in text


def unchecked_plan(suite: Suite) -> Plan:
    """Every cell of a suite; which make sense on their task is not asked, which would build 840 networks."""
    cells = tuple(Cell(task_name=task, regularizer=name, scale="smoke") for task, name in suite.cells())
    budget = Budget(scale="smoke", tune_trials=2, seeds=2, timing_repeats=0)
    return Plan(suite="leaderboard", campaign_id="campaign", budget=budget, cells=cells)


def trial_of(cell: Cell) -> TrialSpec:
    return TrialSpec(
        task=cell.task_name, regularizer=cell.regularizer, hyperparameters={}, seed=0, role="confirm", scale="smoke",
        code_hash="",
    )  # fmt: skip
