"""Several seeds in one process: a row each as if alone, whatever goes wrong, on Ray as without it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from arena import Arena, by_id, curve_points, rows, what_is_reproducible
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import trial
from harness.execution import Execution
from harness.in_flight import InFlight
from harness.plan import Budget, Plan, make_plan
from harness.progress import Progress
from harness.records import TrialSpec
from harness.results.store import Store
from harness.results.trial_summary import TrialSummary
from harness.schedule import Schedule, next_pack
from tasks.suites import Group, Suite

RUN = ("run", "packs", "--results", "packs")
NUM_SEEDS = 7

SWEEP = Suite(
    groups=(
        Group(tasks=("thesis-fig2-3-width-20",), regularizers=("dropout",), grid={"drop_rate": (0.1, 0.5)}),
        Group(tasks=("thesis-fig3-2", "thesis-fig2-1", "digits-mlp"), regularizers=("dropout",)),
    ),
    scale="smoke",
    tune_trials=0,
    seeds=12,
)
"""Points of twelve seeds: of ten and two at once, of five, five and two, and of single ones."""


def plan_of(seeds: int = 12, only: tuple[str, ...] = ()) -> Plan:
    budget = Budget(scale="smoke", tune_trials=0, seeds=seeds, timing_repeats=0)
    return make_plan("sweep", SWEEP, budget, "campaign", only=only)


def completed(spec: TrialSpec) -> TrialSummary:
    return TrialSummary(spec.trial_id, "completed", 0.5)


def test_with_switches_every_trial_runs_by_itself() -> None:
    budget = Budget(scale="smoke", tune_trials=0, seeds=3, timing_repeats=0)
    schedule = Schedule(make_plan("sweep", SWEEP, budget, "campaign", switches={"precision": "bf16"}), {})
    assert {len(pack) for pack in iter(schedule.next, None)} == {1}


def test_packs_hold_seeds_of_one_setting_as_many_as_the_task_says() -> None:
    schedule, sizes = Schedule(plan_of(), {}), list[tuple[str, float, int]]()
    while (pack := schedule.next()) is not None:
        (task,) = {spec.task for spec in pack}
        (rate,) = {float(spec.hyperparameters["drop_rate"]) for spec in pack}
        assert len({spec.seed for spec in pack}) == len(pack)
        sizes.append((task, rate, len(pack)))
    assert Counter(sizes) == {
        ("thesis-fig2-3-width-20", 0.1, 10): 1,
        ("thesis-fig2-3-width-20", 0.1, 2): 1,
        ("thesis-fig2-3-width-20", 0.5, 10): 1,
        ("thesis-fig2-3-width-20", 0.5, 2): 1,
        ("thesis-fig3-2", 0.5, 5): 2,
        ("thesis-fig3-2", 0.5, 2): 1,
        ("thesis-fig2-1", 0.5, 1): 12,
        ("digits-mlp", 0.5, 1): 12,
    }


def test_what_cannot_be_prepared_runs_alone_so_that_each_trial_tells_of_it_in_a_row() -> None:
    plan = plan_of(only=("thesis-fig2-3-width-20", "dropout+gaussian_dropout"))  # no closed form knows two masks
    specs = plan.default_specs(plan.running_cells[0])
    assert len(specs) > 1
    assert next_pack(specs) == (specs[0],)


def test_more_seeds_run_only_the_new_ones() -> None:
    stored = {spec.trial_id: completed(spec) for cell in plan_of().cells for spec in plan_of().default_specs(cell)}
    schedule, new = Schedule(plan_of(seeds=14), stored), list[TrialSpec]()
    while (pack := schedule.next()) is not None:
        new += pack
    assert len(new) == 2 * 5
    assert not {spec.trial_id for spec in new} & set(stored)


@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_whatever_packs_fail_every_trial_ends_once_and_a_failed_pack_runs_alone(data: st.DataObject) -> None:
    plan = plan_of(seeds=6)
    schedule, out, ended, alone = Schedule(plan, {}), list[tuple[TrialSpec, ...]](), Counter[str](), set[str]()
    while True:
        pack = schedule.next() if len(out) < data.draw(st.integers(1, 4), label="workers") else None
        if pack is not None:
            assert len(pack) == 1 or not alone & {spec.trial_id for spec in pack}
            out.append(pack)
            continue
        if not out:
            break
        pack = out.pop(data.draw(st.integers(0, len(out) - 1), label="who ends"))
        if len(pack) > 1 and data.draw(st.booleans(), label="fails"):
            schedule.split(pack)
            alone |= {spec.trial_id for spec in pack}
            continue
        for spec in pack:
            schedule.record(spec, completed(spec))
            ended[spec.trial_id] += 1
    assert ended == {spec.trial_id: 1 for cell in plan.cells for spec in plan.default_specs(cell)}


@pytest.mark.parametrize("column", ["epochs_run", "train_seconds"])
def test_a_pack_whose_task_reports_what_cannot_be_stored_leaves_no_record(
    monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    pack = next_pack(Schedule(plan_of(seeds=2), {}).cells[0]._waiting)
    assert len(pack) == 2
    for value, number in ((1, 2), ("many", 0)):
        values = {"metric": "loss", column: value}
        monkeypatch.setattr(trial, "_trained", lambda *args, values=values: [("completed", values, {}, ())] * 2)
        assert len(trial.run_pack(pack, Execution())) == number


@contextmanager
def in_flight_over(folder: Path, seeds: int) -> Iterator[tuple[InFlight, Progress, Store]]:
    plan, store = plan_of(seeds=seeds, only=("thesis-fig3-2",)), Store(str(folder / "results"))
    store.prepare()
    with Progress(plan, num_workers=1, stream=(folder / "progress").open("w")) as progress:
        yield InFlight(Schedule(plan, {}), store, Execution(), progress), progress, store


@pytest.mark.parametrize("how", ["lost", "no rows"])
def test_a_pack_whose_worker_is_lost_or_that_leaves_no_rows_is_given_out_again_one_by_one(
    tmp_path: Path, how: str
) -> None:
    with in_flight_over(tmp_path, seeds=3) as (in_flight, progress, store):
        pack = in_flight.give("first")
        assert pack is not None
        assert len(pack) == 3
        in_flight.take("first", {"finished": "[]"} if how == "no rows" else {}, was_lost=how == "lost")
        assert progress.num_run == 0
        for place, spec in enumerate(pack):
            assert in_flight.give(f"again {place}") == (spec,)
            in_flight.take(f"again {place}", {"finished": json.dumps([vars(completed(spec))])}, was_lost=False)
        assert in_flight.give("last") is None
        assert in_flight.is_finished
        assert progress.num_run == len(pack)
        assert store.finished() == {}, "the pack left no row of its own"


def test_a_trial_is_buried_after_three_lost_workers_however_many_of_them_tune_mends(tmp_path: Path) -> None:
    """Two calls of a trial may break at one loss; Tune then gives it up at once, which is no verdict on the trial."""
    with in_flight_over(tmp_path, seeds=1) as (in_flight, progress, store):
        first = in_flight.give("first")
        assert first is not None
        in_flight.count_loss("first")
        in_flight.take("first", {}, was_lost=True)
        assert (progress.num_run, store.finished()) == (0, {})
        assert in_flight.give("second") == first
        assert not in_flight.is_finished
        in_flight.take("second", {}, was_lost=True)
        (finished,) = store.finished().values()
        assert (finished.trial_id, finished.status) == (first[0].trial_id, "crashed")
        assert in_flight.give("third") is None
        assert in_flight.is_finished


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    """The suite of packs without Ray, run with more seeds the second time."""
    arena = Arena(tmp_path_factory.mktemp("packs"))
    arena.ended = arena.regarena(*RUN, "--serial")
    arena.first = whole_rows(arena)
    arena.extended = arena.regarena(*RUN, "--serial", "--seeds", str(NUM_SEEDS + 2))
    return arena


def whole_rows(arena: Arena) -> dict[str, dict[str, object]]:
    """Rows without nulls: files that are compacted gain columns of other rows."""
    found = by_id(arena.folder / "packs")
    return {key: {name: value for name, value in row.items() if value is not None} for key, row in found.items()}


def of(arena: Arena, regularizer: str) -> list[dict[str, object]]:
    return [row for row in rows(arena.folder / "packs") if row["regularizer"] == regularizer]


@pytest.mark.slow
def test_every_seed_has_its_row_and_says_how_many_shared_its_process(packs: Arena) -> None:
    found = of(packs, "none")
    assert Counter(row["seeds_together"] for row in found) == {3: 6, 1: 1, 2: 2}
    assert {row["status"] for row in found} == {"completed"}
    for row in found:
        assert isinstance(row["setup_seconds"], float)
        assert row["setup_seconds"] > 0


@pytest.mark.slow
def test_a_seed_that_diverges_fails_alone(packs: Arena) -> None:
    found = of(packs, "odd_ones_out")
    odd = [row for row in found if row["seed"] % 2]
    assert 0 < len(odd) < len(found), "there are seeds of both kinds"
    assert {row["status"] for row in odd} == {"diverged"}
    assert {row["seeds_together"] for row in odd} == {1}
    assert {row["status"] for row in found if row not in odd} == {"completed"}
    assert all(str(row["error_message"]).startswith("The training loss of epoch 1 is nan") for row in odd)


@pytest.mark.slow
def test_a_process_that_crashes_costs_its_trials_a_repetition_one_by_one(packs: Arena) -> None:
    found = of(packs, "crash_once")
    assert {(row["status"], row["attempts"]) for row in found} == {("completed", 1)}
    assert Counter(row["seeds_together"] for row in found) == {1: 4, 3: 3, 2: 2}


@pytest.mark.slow
def test_failures_end_with_exit_code_1_and_are_counted(packs: Arena) -> None:
    num_odd = sum(row["status"] == "diverged" for row in by_id(packs.folder / "packs").values())
    assert packs.extended.returncode == 1
    assert f"{num_odd} trial(s) ended without a result" in packs.extended.stderr
    assert "Traceback" not in packs.extended.stderr


@pytest.mark.slow
def test_more_seeds_leave_the_rows_as_they_are(packs: Arena) -> None:
    now = whole_rows(packs)
    assert packs.first == {trial_id: now[trial_id] for trial_id in packs.first}
    assert len(packs.first) == 3 * NUM_SEEDS
    assert len(by_id(packs.folder / "packs")) == 3 * (NUM_SEEDS + 2)


@pytest.mark.slow
def test_on_ray_the_rows_are_the_same(packs: Arena, tmp_path: Path) -> None:
    arena = Arena(tmp_path)
    arena.regarena(*RUN)
    on_ray = {trial_id: what_is_reproducible(row) for trial_id, row in whole_rows(arena).items()}
    first = {trial_id: what_is_reproducible(row) for trial_id, row in packs.first.items()}
    assert crash_apart(on_ray) == crash_apart(first)


def crash_apart(found: dict[str, dict[str, object]]) -> tuple[dict[str, dict[str, object]], Counter[object]]:
    """Rows, and how many seeds shared a process where one crashed: of two packs at once either may be the one."""
    together = Counter(row["seeds_together"] for row in found.values() if row["regularizer"] == "crash_once")
    return {
        trial_id: {name: row[name] for name in row if (row["regularizer"], name) != ("crash_once", "seeds_together")}
        for trial_id, row in found.items()
    }, together


@pytest.mark.slow
def test_trials_in_packs_have_the_rows_and_curves_that_they_have_alone(packs: Arena) -> None:
    alone = json.loads(packs.python(ALONE, *(str(row["seed"]) for row in of(packs, "none"))))
    stored = {row["seed"]: what_is_reproducible(row) for row in of(packs, "none")}
    points = Counter(
        (point["trial_id"], point["epoch"], point["value"]) for point in curve_points(packs.folder / "packs")
    )
    for answer in alone:
        row = stored[answer["row"]["seed"]]
        assert {name: row[name] for name in answer["row"]} == answer["row"]
        for epoch, value in answer["curve"]:
            assert points[row["trial_id"], epoch, value] > 0


ALONE = """
import dataclasses, json, sys
from harness.execution import Execution
from harness.plan import Budget, make_plan
from harness.trial import run_trial
from tasks.experiments import SUITES
plan = make_plan("packs", SUITES["packs"], Budget(scale="smoke", tune_trials=0, seeds=1, timing_repeats=0), "")
(spec,) = plan.default_specs(plan.cells[0])
answers = []
for seed in sys.argv[1:]:
    record = run_trial(dataclasses.replace(spec, seed=int(seed)), Execution())
    names = ("trial_id", "seed", "status", "validation_value", "test_value", "test_value_at_best_validation",
             "epochs_run", "num_parameters", "code_hash", "dataset_fingerprint")
    row = record.row()
    answers.append({"row": {name: row[name] for name in names}, "curve": [[p.epoch, p.value] for p in record.curves]})
print(json.dumps(answers))
"""


@pytest.mark.slow
def test_a_pack_has_the_time_of_all_its_trials_and_leaves_no_row_when_that_is_over(tmp_path: Path) -> None:
    seconds, num_records, hung = json.loads(Arena(tmp_path).python(LIMITS))
    assert hung == []
    assert 3 * 0.5 <= seconds < 60
    assert num_records == 3


LIMITS = """
import dataclasses, json, time
from harness.contestants import Contestant
from harness.execution import Execution
from harness.workers.isolation import run_pack_isolated
from harness.records import TrialSpec
from tasks.experiments import TASKS

def pack(name):
    values = Contestant(name).resolve(TASKS["tiny-packs"], "smoke")
    spec = TrialSpec(
        task="tiny-packs", regularizer=name, hyperparameters=values, seed=0, role="default", scale="smoke", code_hash=""
    )
    return tuple(dataclasses.replace(spec, seed=seed) for seed in range(3))

well = run_pack_isolated(pack("idle"), Execution(preload=("tiny-packs",)))
started = time.monotonic()
hung = run_pack_isolated(pack("hang"), Execution(trial_seconds=0.5, preload=("tiny-packs",)))
print(json.dumps([time.monotonic() - started, len(well), hung]))
"""
