"""Campaigns that use the trials of a published folder: only what is missing runs, and nothing there is changed."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from arena import Arena, rows
from test_plan import outcome

import analysis
from harness.campaign import plan_campaign, store_of
from harness.command.plan_table import plan_table
from harness.errors import BadInput
from harness.execution import Execution
from harness.plan import Budget
from harness.records import TrialRecord, TrialSpec, utc_now
from harness.records.reading import DamagedResultsError
from harness.request import Request
from harness.results.differences import differences_from_sources
from harness.results.store import Store
from harness.schedule import Schedule
from tasks.suites import Group, Suite

SUITE = Suite(groups=(Group(tasks=("digits-mlp",), regularizers=("none", "dropout")),), scale="smoke", tune_trials=3)
BUDGET = Budget(scale="smoke", tune_trials=3, seeds=2, timing_repeats=0, tune_width=2)
PUBLISHED_TRIALS = 2 * (2 + 3 + 2)


def request_of(results: Path, *sources: Path, only: tuple[str, ...] = (), budget: Budget = BUDGET) -> Request:
    return Request(
        suite_name="suite",
        suite=SUITE,
        results=str(results),
        sources=tuple(map(str, sources)),
        budget=budget,
        only=only,
        serial=True,
    )


def record_of(spec: TrialSpec, **values: object) -> TrialRecord:
    """A made-up record; its value is that of `test_plan.outcome`, where that is a success."""
    value = outcome(spec).validation_value or 0.5
    seen = {"validation_value": value} | ({"test_value": value} if spec.sees_test else {})
    seen |= {"dataset": "digits", "metric": "accuracy", "higher_is_better": True, "epochs_planned": 15}
    now = {"started_at": utc_now(), "finished_at": utc_now(), "dataset_fingerprint": "equal"}
    return TrialRecord(spec=spec, status="completed", values={**seen, **now, **values})


def run_missing(request: Request, **values: object) -> list[TrialSpec]:
    """Write a made-up record for each trial that `request` still needs, and its campaign.json."""
    from harness.campaign import _note_request

    store = store_of(request)
    plan = plan_campaign(request, store)
    store.prepare()
    schedule, run = Schedule(plan, store.finished(), proposals=store.proposals), []
    while (pack := schedule.next()) is not None:
        record = record_of(pack[0], **values)
        store.write(record)
        schedule.record(pack[0], dataclasses.replace(outcome(pack[0]), **_summary(record)))
        run.append(pack[0])
    _note_request(store, plan, request)
    store.compact()
    return run


def _summary(record: TrialRecord) -> dict[str, object]:
    return {"status": record.status, "validation_value": record.values["validation_value"]}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    run = run_missing(request_of(tmp_path / "gallery"))
    assert len(run) == PUBLISHED_TRIALS
    return tmp_path / "gallery"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_only_the_new_contestant_is_trained_and_the_published_folder_stays_as_it_was(
    published: Path, tmp_path: Path
) -> None:
    before = contents(published)
    run = run_missing(request_of(tmp_path / "mine", published, only=("none", "max_norm")))
    assert {spec.regularizer for spec in run} == {"max_norm"}
    assert len(run) == PUBLISHED_TRIALS / 2
    assert contents(published) == before


def test_the_new_contestant_is_ranked_among_the_published_ones(published: Path, tmp_path: Path) -> None:
    run_missing(request_of(tmp_path / "mine", published, only=("none", "max_norm")))
    table = analysis.ranking_table(analysis.load_trials(tmp_path / "mine"))
    ranked = table[(table["task"] == "digits-mlp") & table["rank"].notna()]
    assert set(ranked["regularizer"]) == {"none", "dropout", "max_norm"}
    assert ranked.set_index("regularizer")["outcome"].drop("none").isin(["tie", "win", "loss"]).all()


def test_a_campaign_may_hold_no_trial_of_its_own(published: Path, tmp_path: Path) -> None:
    assert run_missing(request_of(tmp_path / "mine", published)) == []
    mine, theirs = analysis.load_trials(tmp_path / "mine"), analysis.load_trials(published)
    assert set(mine["trial_id"]) == set(theirs["trial_id"])


@pytest.mark.parametrize(("column", "words"), [("dataset_fingerprint", "other data")])
def test_a_contestant_on_other_data_is_named_and_not_ranked(
    published: Path, tmp_path: Path, column: str, words: str
) -> None:
    run_missing(request_of(tmp_path / "mine", published, only=("none", "max_norm")), **{column: "another"})
    table = analysis.ranking_table(analysis.load_trials(tmp_path / "mine"))
    mine = table[(table["task"] == "digits-mlp") & (table["regularizer"] == "max_norm")].iloc[0]
    assert mine["status"] == "not comparable"
    assert words in mine["reason"]


def test_a_contestant_with_another_budget_is_ranked_apart_and_the_run_says_so_before(
    published: Path, tmp_path: Path
) -> None:
    smaller = dataclasses.replace(BUDGET, tune_trials=2)
    request = request_of(tmp_path / "mine", published, only=("none", "max_norm"), budget=smaller)
    store = store_of(request)
    (sentence,) = [
        each for each in differences_from_sources(plan_campaign(request, store), store, Execution()) if "tune" in each
    ]
    assert "was run with 3 tune trials, this run has 2 tune trials" in sentence
    run_missing(request)
    table = analysis.ranking_table(analysis.load_trials(tmp_path / "mine")).set_index(["task", "regularizer"])
    assert not table.loc[("digits-mlp", "max_norm"), "is_main_budget"]
    assert table.loc[("digits-mlp", "none"), "is_main_budget"]


def test_a_run_says_before_which_tasks_have_other_data_or_none_there(published: Path, tmp_path: Path) -> None:
    request = request_of(tmp_path / "mine", published, only=("digits-mlp", "digits-convnet", "none"))
    store = store_of(request)
    said = differences_from_sources(plan_campaign(request, store), store, Execution())
    assert [each.split(": ")[0].removeprefix(f"{published} has ") for each in said] == [
        "other data for digits-mlp",  # the made-up rows have a made-up fingerprint
        "no trials for digits-convnet",
    ]


def test_a_later_run_uses_the_same_folder_without_being_told(published: Path, tmp_path: Path) -> None:
    run_missing(request_of(tmp_path / "mine", published, only=("none", "max_norm")))
    wider = dataclasses.replace(BUDGET, seeds=3)
    run = run_missing(request_of(tmp_path / "mine", only=("none", "max_norm"), budget=wider))
    assert sorted((spec.regularizer, spec.role) for spec in run) == [
        (name, role) for name in ("max_norm", "none") for role in ("confirm", "default")
    ]


def test_both_folders_may_be_moved_together_and_no_absolute_path_is_stored(published: Path, tmp_path: Path) -> None:
    run_missing(request_of(tmp_path / "mine", published, only=("none", "max_norm")))
    (moved := tmp_path / "elsewhere").mkdir()
    for folder in (published, tmp_path / "mine"):
        shutil.move(folder, moved / folder.name)
    assert str(tmp_path) not in (moved / "mine" / "campaign.json").read_text()
    assert set(analysis.load_trials(moved / "mine")["regularizer"]) == {"none", "dropout", "max_norm"}


def test_a_folder_that_is_gone_is_named(published: Path, tmp_path: Path) -> None:
    run_missing(request_of(tmp_path / "mine", published, only=("none", "max_norm")))
    shutil.rmtree(published)
    with pytest.raises(BadInput, match=r"uses rows of .*gallery, where there are none"):
        analysis.load_trials(tmp_path / "mine")
    with pytest.raises(BadInput, match=r"uses rows of .*gallery, where there are none"):
        store_of(request_of(tmp_path / "mine"))


def test_no_server_is_asked_because_a_file_says_so(published: Path, tmp_path: Path) -> None:
    run_missing(request_of(tmp_path / "mine", published, only=("none", "max_norm")))
    campaign = json.loads((tmp_path / "mine" / "campaign.json").read_text())
    campaign["requests"][-1]["from"] = ["s3://somewhere/else"]
    (tmp_path / "mine" / "campaign.json").write_text(json.dumps(campaign))
    with pytest.raises(BadInput, match="s3://somewhere/else, which is opened only if you name it"):
        analysis.load_trials(tmp_path / "mine")


@pytest.mark.parametrize(
    ("source", "message"),
    [("mine", "--from takes another folder than that of the results"), ("empty", "--from must be a results folder")],
)
def test_a_folder_that_cannot_be_used_is_refused(source: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        store_of(request_of(tmp_path / "mine", tmp_path / source))


def test_a_damaged_file_there_is_named_and_not_renamed(published: Path, tmp_path: Path) -> None:
    (file,) = (published / "trials").iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    before = contents(published)
    with pytest.raises(DamagedResultsError, match="Get a whole copy of that folder"):
        store_of(request_of(tmp_path / "mine", published)).finished()
    assert contents(published) == before


def test_failed_trials_there_are_final(published: Path, tmp_path: Path) -> None:
    """Else the failed trial and its second try would be two ends of one trial."""
    store = Store(published)
    spec = next(spec for spec in run_missing(request_of(tmp_path / "other")) if spec.regularizer == "none")
    store.retry([spec.trial_id])
    store.write(TrialRecord(spec=spec, status="crashed", values={"finished_at": utc_now()}))
    borrowing = store_of(request_of(tmp_path / "mine", published))
    assert borrowing.finished()[spec.trial_id].is_failure
    assert spec.trial_id in borrowing.borrowed


def test_a_plan_counts_them_as_done(published: Path, tmp_path: Path) -> None:
    frame, _ = plan_table(request_of(tmp_path / "mine", published, only=("none", "max_norm")))
    counts = frame.set_index("regularizer")[["trials", "done", "missing"]]
    assert counts.loc["none"].tolist() == [7, 7, 0]
    assert counts.loc["max_norm"].tolist() == [7, 0, 7]


def test_the_searches_have_the_width_of_the_published_ones(published: Path, tmp_path: Path) -> None:
    request = request_of(tmp_path / "mine", published, budget=dataclasses.replace(BUDGET, tune_width=5))
    assert plan_campaign(request, store_of(request)).budget.tune_width == BUDGET.tune_width


STRANGER = """
from dataclasses import dataclass
from typing import ClassVar

import torch

from search_spaces.space import Real
from tasks.regularizers.base import Batch, Regularizer, Step


@dataclass(frozen=True, kw_only=True)
class Jitter(Regularizer):
    \"\"\"Adds normal noise to the inputs.\"\"\"

    size: float = 0.1  # >= 0, standard deviation

    off: ClassVar = {"size": 0.0}
    source: ClassVar[str] = "a stranger"

    def transform_batch(self, batch: Batch, step: Step) -> Batch:
        if self.size == 0:
            return batch
        noise = torch.from_numpy(step.rng.normal(0, self.size, tuple(batch.inputs.shape))).to(batch.inputs)
        return batch._replace(inputs=batch.inputs + noise)


SPACE = {"size": Real(low=0.01, high=1.0, log=True, source="a guess")}
"""


@pytest.mark.slow
def test_a_strangers_regularizer_joins_a_published_campaign_by_one_command(
    install: Callable[..., Path], tmp_path: Path
) -> None:
    assert len([line for line in STRANGER.splitlines() if line]) <= 25
    arena = Arena(tmp_path)
    run = ("run", "slow", "--serial", "--tune-trials", "1", "--seeds", "2")
    assert arena.regarena(*run, "--results", "gallery").returncode == 0
    before, trained = contents(tmp_path / "gallery"), len(arena.executions)
    groups = {"regularizers": {"jitter": "Jitter"}, "search_spaces": {"jitter": "SPACE"}}
    site = install("jitter_pkg", groups, STRANGER, header="")
    path = {"PYTHONPATH": f"{site}:{arena.environment['PYTHONPATH']}"}
    ended = arena.regarena(*run, "--from", "gallery", "--only", "take_time,jitter", "--results", "mine", **path)
    assert ended.returncode == 0, ended.stderr
    assert {row["regularizer"] for row in rows(tmp_path / "mine")} == {"jitter"}
    assert contents(tmp_path / "gallery") == before
    assert len(arena.executions) == trained + len(rows(tmp_path / "mine"))
    ranking = arena.regarena("rank", "mine", "--json", **path)
    assert {"jitter", "take_time"} <= {row["regularizer"] for row in json.loads(ranking.stdout)}
