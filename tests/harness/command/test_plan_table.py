"""What the plan says of time, from the command: nothing known, calibrated, and after trials have run."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from arena import rows
from typer.testing import CliRunner

from harness.campaign import plan_campaign, run_campaign
from harness.cli import app
from harness.command.plan_table import UNUSED, plan_table
from harness.errors import BadInput
from harness.execution import Execution
from harness.plan import Budget
from harness.records import TrialRecord
from harness.request import Cluster, Request
from harness.results.store import Store
from harness.schedule import Schedule
from harness.times import forecast as forecast
from harness.times.cost import Estimate
from harness.times.gpu_input_warning import gpu_input_warning
from tasks.experiments import SUITES
from tasks.experiments.demos.suites import ZOO
from tasks.regularizers.dropout import Dropout
from tasks.suites import Group, Suite

SUITE = Suite(
    groups=(Group(tasks=("digits-mlp",), regularizers=("none", "dropout", "dropblock")),),
    scale="smoke",
    tune_trials=2,
    timing_tasks=("digits-mlp",),
)


def request(results, **more):
    budget = Budget(scale="smoke", tune_trials=2, seeds=3, timing_repeats=2)
    return Request(**{"suite_name": "suite", "suite": SUITE, "results": str(results), "budget": budget, **more})


ASKED = ("plan", "zoo", "--only", "digits-mlp,none", "--tune-trials", "1")


def small_campaign(results, tune_trials=1):
    budget = Budget(scale="smoke", tune_trials=tune_trials, seeds=2, timing_repeats=0)
    only = ("digits-mlp", "none")
    return Request(suite_name="zoo", suite=ZOO, results=str(results), budget=budget, only=only, serial=True)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder of a small campaign that has run: 2 default, 1 tune and 2 confirm trials of one cell."""
    results = str(tmp_path_factory.mktemp("plan_table") / "results")
    assert not run_campaign(small_campaign(results), announce=lambda _: None).failures
    return results


def test_where_nothing_is_known_it_says_so_and_creates_nothing(tmp_path):
    frame, notes = plan_table(request(tmp_path / "results"))
    running = frame[frame["trials"] > 0]
    assert running["hours"].isna().all()
    assert set(running["estimated_from"]) == {"nothing is known"}
    assert any("The time of 2 cell(s) is unknown: none on digits-mlp, dropout on digits-mlp" in n for n in notes)
    assert list(tmp_path.iterdir()) == []


def test_with_several_splits_all_trials_of_a_new_campaign_are_missing(tmp_path):
    """Confirm trials run on every split: 3 seeds on 2 splits, beside 6 default, 2 tune and 2 timing trials."""
    budget = Budget(scale="smoke", tune_trials=2, seeds=3, timing_repeats=2, splits=2)
    frame, _ = plan_table(request(tmp_path / "results", budget=budget))
    running = frame[frame["trials"] > 0]
    assert set(running["trials"]) == {6 + 2 + 6 + 2}
    assert running["missing"].tolist() == running["trials"].tolist()


def test_a_calibration_gives_every_running_cell_its_hours_and_creates_nothing(tmp_path):
    frame, notes = plan_table(request(tmp_path / "results", cluster=Cluster(max_workers=3)), calibrate=True)
    running = frame[frame["trials"] > 0]
    assert (running["hours"] > 0).all()
    assert running["estimated_from"].str.startswith("calibrated").all()
    assert (running["seconds_per_trial"] * running["missing"] / 3600).tolist() == pytest.approx(
        running["hours"].tolist()
    )
    assert any(note.startswith("About") and "with 3 at once" in note for note in notes)
    assert list(tmp_path.iterdir()) == []


def test_a_cell_that_cannot_be_calibrated_leaves_a_lower_bound_and_a_reason(tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("no such luck")

    monkeypatch.setattr(Dropout, "attach", fail)
    frame, notes = plan_table(request(tmp_path / "results"), calibrate=True)
    (reason,) = frame.loc[frame["regularizer"] == "dropout", "estimated_from"]
    assert reason == "its calibration failed (ValueError: no such luck)"
    assert any(note.startswith("At least") for note in notes)
    assert any("1 cell(s) is unknown: dropout on digits-mlp" in note for note in notes)


def plan(*more):
    ended = CliRunner().invoke(app, [*ASKED, *more])
    assert ended.exit_code == 0, ended.output
    return ended.output


def planned(*more):
    """The only cell of the plan, as a script reads it."""
    (cell,) = json.loads(plan(*more, "--json"))
    return cell


def test_finished_trials_tell_the_hours_of_those_that_are_missing(ran):
    cell = planned("--seeds", "4", "--results", ran)
    assert cell["why"] == "2 default; 2 confirm"
    assert cell["missing"] == 4
    assert cell["estimated_from"] == "5 trials of this cell"
    names = ("train_seconds", "setup_seconds", "evaluation_seconds")
    seconds = [sum(row[name] for name in names) for row in rows(Path(ran)) if row["role"] != "tune"]
    assert min(seconds) / 2 < cell["seconds_per_trial"] < 2 * max(seconds)
    assert cell["hours"] == pytest.approx(4 * cell["seconds_per_trial"] / 3600)


def test_confirm_rows_of_an_earlier_winner_are_called_so(ran, tmp_path):
    """A better tune row, as a longer search finds one, makes the two confirm rows those of an earlier winner."""
    results = shutil.copytree(ran, tmp_path / "results")
    longer = small_campaign(results, tune_trials=2)
    store = Store(results)
    schedule = Schedule(plan_campaign(longer, store), store.finished())
    (better,) = next(pack for pack in iter(schedule.next, None) if pack[0].role == "tune")
    store.write(TrialRecord(spec=better, status="completed", values={"validation_value": 1.0}))
    frame, notes = plan_table(longer)
    assert frame[["done", "missing", "unused"]].to_numpy().tolist() == [[4, 2, 2]]
    assert frame["why"].tolist() == [f"2 confirm (2 {UNUSED})"]
    assert "or of an earlier winner" in UNUSED
    assert f"2 {UNUSED}: this plan does not use them." in notes


def test_a_finished_campaign_costs_nothing_more(ran):
    cell = planned("--seeds", "2", "--results", ran)
    assert (cell["done"], cell["missing"], cell["hours"], cell["why"]) == (5, 0, 0.0, "")


def test_the_rows_of_another_folder_tell_times_where_the_campaign_has_none(ran, tmp_path):
    new = ("--timings", ran, "--results", str(tmp_path / "new"))
    assert planned(*new)["estimated_from"] == "5 trials of this cell"
    short = planned(*new, "--scale", "short")
    assert short["estimated_from"] == "5 trials at scale smoke"
    assert short["hours"] > 0
    assert planned("--results", str(tmp_path / "new"))["hours"] is None
    assert list(tmp_path.iterdir()) == []


def test_trials_whose_steps_were_executed_otherwise_tell_nothing(ran, tmp_path):
    new = ("--timings", ran, "--results", str(tmp_path / "new"), "--channels-last")
    assert planned(*new)["estimated_from"] == "nothing is known"
    assert planned(*new, "--calibrate")["estimated_from"].startswith("calibrated")


def test_a_terminal_shows_totals_and_what_the_tests_can_reach(ran, tmp_path):
    new = ("--timings", ran, "--results", str(tmp_path / "new"), "--workers", "4")
    text = plan(*new)
    for words in ("trial(s) would run", "of one worker", "with 4 at once", "nothing is tested"):
        assert words in text


def test_a_folder_of_timings_without_rows_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"--timings must be a results folder with rows below trials/, got .*empty"):
        plan_table(request(tmp_path / "results"), timings=[str(tmp_path / "empty")])


def test_hours_of_a_gpu_are_those_of_its_share(monkeypatch):
    monkeypatch.setattr(forecast, "hardware_key", lambda *_: "a GPU | a processor x1")
    seconds = {"default": 3600.0, "tune": 3600.0, "confirm": 3600.0, "timing": 3600.0}
    one = forecast.Forecast(
        cell=None, missing={"default": 8, "timing": 1}, estimate=Estimate(seconds=seconds, source="made up")
    )
    execution = Execution(device="cuda", gpu_fraction=0.25)
    columns = forecast.cost_columns(one, execution)
    assert (columns["hours"], columns["gpu_hours"]) == (9.0, 8 * 0.25 + 1)
    notes = forecast.totals([one], execution, 4)
    assert any("9 h of one worker, or 3 h with 4 at once" in note for note in notes)
    assert any("3 h of a GPU: a trial takes 0.25 of one" in note for note in notes)


def test_rows_of_a_gpu_give_its_hours_on_a_machine_without_one():
    seconds = {"default": 3600.0, "tune": 3600.0, "confirm": 3600.0, "timing": 3600.0}
    on_gpu, on_cpu = (
        forecast.Forecast(
            cell=None, missing={"default": 8}, estimate=Estimate(seconds=seconds, source="rows", gpu_fraction=fraction)
        )
        for fraction in (0.25, 0.0)
    )
    here = Execution(device="cpu", gpu_fraction=0.0)
    assert forecast.cost_columns(on_gpu, here)["gpu_hours"] == 2.0
    assert "gpu_hours" not in forecast.cost_columns(on_cpu, Execution(device="cuda", gpu_fraction=0.5))
    notes = forecast.totals([on_gpu, on_cpu], here, 4)
    assert any(note == "At least 2 h of a GPU: a trial takes 0.25 of one." for note in notes)
    assert not any("of a GPU" in note for note in forecast.totals([on_cpu], here, 4))


@pytest.mark.parametrize(
    ("suite", "cluster", "is_told"),
    [
        ("distortion-table3", Cluster(gpus_per_trial=1.0), True),
        ("distortion-table3", Cluster(gpus_per_trial=0.0), False),
        ("distortion-table3", Cluster(address="ray://a-cluster:10001"), True),
        ("distortion-table2", Cluster(gpus_per_trial=1.0), False),
    ],
    ids=["a GPU asked for", "none wanted", "a cluster", "images in memory"],
)
def test_a_gpu_that_would_wait_for_images_is_told_of(tmp_path, suite, cluster, is_told):
    asked = request(tmp_path / "results", suite_name=suite, suite=SUITES[suite], cluster=cluster)
    plan_ = plan_campaign(asked, Store(asked.results))
    told = gpu_input_warning(plan_, asked)
    assert (told is not None) == is_told
    assert told is None or "--cpus-per-trial 8" in told
    more = dataclasses.replace(asked, execution=Execution(cpu_threads=8))
    assert gpu_input_warning(plan_, more) is None


@pytest.mark.slow
def test_one_worker_in_series_and_as_many_as_fit_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.workers.processors.usable_cpus", lambda: 8)

    def at_once(**more):
        _, notes = plan_table(request(tmp_path / "results", **more), calibrate=True)
        return next(note.split(" at once")[0].split()[-1] for note in notes if " at once" in note)

    assert at_once(serial=True) == "1"
    assert at_once() == "8"
    assert at_once(cluster=Cluster(cpus_per_trial=2.0)) == "4"
    assert at_once(cluster=Cluster(max_workers=3)) == "3"
