"""What a person is told while a campaign runs."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import product

import pytest
from slow_params import slow_but

from harness.cells import Cell
from harness.plan import Budget, Plan, make_plan
from harness.progress import PLAIN_INTERVAL_SECONDS, Progress
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


def test_a_line_shows_full_workers_and_not_the_moment_in_which_one_changes_its_trial(monkeypatch, campaign):
    packs = campaign[1]
    stream = io.StringIO()
    now = 0.0
    monkeypatch.setattr("harness.progress.time.monotonic", lambda: now)
    progress = Progress(campaign[0].plan, num_workers=2, stream=stream)
    for pack in packs[:2]:
        progress.given_out(pack)
    now = PLAIN_INTERVAL_SECONDS + 1
    end(progress, packs[0])
    assert not stream.getvalue()
    progress.given_out(packs[2])
    assert "1 of 6 trials done, 2 running" in stream.getvalue()
    now += 2 * PLAIN_INTERVAL_SECONDS + 1  # towards the end nothing is left to give out
    end(progress, packs[1])
    assert "2 of 6 trials done, 1 running" in stream.getvalue()


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


def test_a_retry_of_failed_trials_that_were_not_counted_changes_no_count(campaign):
    progress, packs = campaign
    progress.given_out(packs[0])
    failed = TrialSummary(packs[0][0].trial_id, "failed", None, task=packs[0][0].task, regularizer="none")
    assert packs[0][0].cell == (failed.task, failed.regularizer)
    progress.ended(packs[0], [failed])
    progress.forgotten([replace(failed, trial_id="of older code")])
    assert counts(progress) == "1 of 6 trials done, 0 running, 1 failed"
    progress.forgotten([failed])
    assert counts(progress) == "0 of 6 trials done, 0 running, 0 failed"


def trials_of_a_search(status: str, tune_trials: int = 3) -> list[tuple[int, int]]:
    """(done, total) after each trial of a search in which all tune trials end with this status."""
    budget = Budget(scale="smoke", tune_trials=tune_trials, seeds=2, timing_repeats=0)
    plan = make_plan("one", SUITE, budget, "campaign", only=("digits-mlp", "dropout"))
    schedule, told = Schedule(plan, {}), []
    progress = Progress(plan, num_workers=1, stream=Terminal())
    progress.replanned(schedule)
    while (pack := schedule.next()) is not None:
        (spec,) = pack
        value = 0.5 if status == "completed" or spec.role != "tune" else None
        ended = TrialSummary(spec.trial_id, status if spec.role == "tune" else "completed", value, role=spec.role)
        progress.given_out(pack)
        schedule.record(spec, ended)
        progress.replanned(schedule, spec.cell)
        progress.ended(pack, [ended])
        done, _, _, total = progress._totals()
        told.append((done, total))
    again = Progress(plan, num_workers=1, stream=Terminal())
    again.replanned(schedule)
    assert again._totals()[-1] == told[-1][1], "as a resumed run tells it"
    return told


def test_a_cell_whose_tune_trials_all_fail_waits_for_no_confirm_trials():
    told = trials_of_a_search("failed")
    assert told[0] == (1, 7)
    assert told[-1] == (5, 5), "two default trials and three tune trials"
    assert trials_of_a_search("completed")[-1] == (7, 7), "with two confirm trials"


def test_trials_that_halving_stops_early_do_not_shorten_what_is_left_of_whole_trainings():
    suite = replace(SUITE, tune_trials=9, halving=True)
    budget = Budget(scale="smoke", tune_trials=9, seeds=3, timing_repeats=0, tune_width=9, halving=True)
    plan = make_plan("two", suite, budget, "campaign")
    num_epochs = plan.running_cells[0].task.epochs("smoke")
    progress, schedule = Progress(plan, num_workers=2, stream=Terminal()), Schedule(plan, {})
    total = sum(plan.num_trials(cell) for cell in plan.running_cells)
    pack = schedule.next()
    (spec,) = pack
    progress.given_out(pack)
    # It trained for some of the epochs, in 10 s each.
    stopped = TrialSummary(
        spec.trial_id, "pruned", 0.5, rung=0, epochs_run=spec.until_epoch, seconds=10.0 * spec.until_epoch
    )
    progress.ended(pack, [stopped])
    num_others = total - 2 * 9
    seconds = 10 * (num_others * num_epochs + (2 * 9 - 1) * spec.until_epoch)
    assert progress.standing()["seconds_left"] == pytest.approx(seconds / 2)
