"""The suites of the papers' tables hold a cell, and in sweeps a point, for every value that the papers report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

import pytest

from analysis.papers.claims.costs import FULL_STEP_SCALES
from analysis.papers.claims_table import CLAIMS
from analysis.papers.reported import reported_values
from harness.contestants import Contestant
from tasks.architectures import ARCHITECTURES
from tasks.datasets import DATASETS
from tasks.experiments import SUITES, TASKS
from tasks.experiments.distortion.protocols import DISTORTION_CNN, DISTORTION_RESNET
from tasks.experiments.localdrop.protocols import LOCALDROP_CNN
from tasks.experiments.shared_protocols import IMAGENET_270
from tasks.protocols import Protocol
from tasks.regularizers import ONLY_MEASURE, REGULARIZERS
from tasks.sites import sites_of
from tasks.suites import Suite

PREFIXES = {"localdrop": "localdrop", "feature_map_distortion": "distortion"}
REPORTED = reported_values()
OF_IMAGES = REPORTED[REPORTED["paper"].isin(PREFIXES)]
TABLES = sorted({(row["paper"], row["experiment"]) for row in OF_IMAGES.to_dict("records")})
FULL_H = 2048
ONLY_UNDER_ATTACK = {"two_layer_relu", "preact_resnet18_normalised"}  # forms of other networks, for attacks on pixels
AT_BOTH = ("table2",)  # run as the paper says, and with the augmentation that its numbers look like


def suite_of(paper: str, experiment: str) -> Suite:
    return SUITES[f"{PREFIXES[paper]}-{experiment}"]


def settings_at(suite: Suite, task: str, method: str) -> list[Mapping[str, object]]:
    """Hyperparameters of the default trials of a cell."""
    return [Contestant(method).resolve(TASKS[task], "paper", point) for point in suite.points(task, method)]


def in_the_papers_symbols(values: Mapping[str, object]) -> dict[str, float]:
    """LocalDrop's hyperparameters as its tables print them; h is that of the kind of layer that a table is about."""
    names = {"lambda": "lam", "m": "m", "block": "block_size"}
    symbols = {symbol: float(str(values[name])) for symbol, name in names.items() if name in values}
    if "h_dense_fraction" in values:
        symbols["h"] = round(FULL_H * float(str(values["h_dense_fraction"])))
    return symbols


@pytest.mark.parametrize(("paper", "experiment"), TABLES, ids=["-".join(table) for table in TABLES])
def test_every_reported_value_of_a_table_has_its_cell(paper: str, experiment: str) -> None:
    suite = suite_of(paper, experiment)
    rows = OF_IMAGES[(OF_IMAGES["paper"] == paper) & (OF_IMAGES["experiment"] == experiment)]
    for row in rows.to_dict("records"):
        assert row["tasks"]
        assert {(task, row["method"]) for task in row["tasks"] if experiment in AT_BOTH or task == row["task"]} <= set(
            suite.cells()
        )


def test_claims_and_comparisons_name_only_tasks_that_there_are() -> None:
    named = {task for claim in CLAIMS for task in claim.tasks} | {task for each in OF_IMAGES["tasks"] for task in each}
    assert named <= set(TASKS)


def test_what_is_timed_beyond_smoke_is_timed_three_times_and_five_times_where_a_claim_orders_costs() -> None:
    ordered = {task for claim in CLAIMS if claim.name.endswith(", order") for task in claim.tasks}
    assert {"cifar10-zhai", "cifar10-resnet50"} <= ordered
    for suite in (each for each in SUITES.values() if each.timing_tasks):
        assert suite.timing_repeats >= (1 if suite.scale == "smoke" else 3)
        is_of_paper = suite.source != "regarena" and ordered & set(suite.timing_tasks)
        assert not is_of_paper or suite.timing_repeats >= 5


@pytest.mark.parametrize("experiment", ["table3", "table4", "table6"])
def test_every_point_of_a_sweep_is_run(experiment: str) -> None:
    suite = suite_of("localdrop", experiment)
    rows = OF_IMAGES[(OF_IMAGES["paper"] == "localdrop") & (OF_IMAGES["experiment"] == experiment)]
    for row in rows.to_dict("records"):
        wanted = {part.split("=")[0].strip(): float(part.split("=")[1]) for part in str(row["setting"]).split(";")}
        task = str(row["task"])
        if TASKS[task].architecture != "zhai_cnn":
            wanted.pop("h")  # of 3x3 kernels there: the field h_conv, whose default is the paper's 2
        ours = [in_the_papers_symbols(values) for values in settings_at(suite, task, "localdrop")]
        assert any(all(each[symbol] == pytest.approx(value) for symbol, value in wanted.items()) for each in ours), (
            wanted
        )


@pytest.mark.parametrize("name", sorted(SUITES))
def test_a_suite_names_only_what_stands_in_the_tables(name: str) -> None:
    suite = SUITES[name]
    for task, contestant in suite.cells():
        assert task in TASKS
        assert all(part in REGULARIZERS for part in contestant.split("+"))
    assert set(suite.timing_tasks) <= {task for task, _ in suite.cells()}
    for group in suite.groups:
        for contestant in group.regularizers:
            own = {field.name for part in contestant.split("+") for field in fields(REGULARIZERS[part])}
            assert set(group.grid) <= own | {"learning_rate"}


def test_the_leaderboard_has_every_architecture_on_both_data_sets_and_every_contestant() -> None:
    cells = SUITES["leaderboard"].cells()
    pairs = {(TASKS[task].dataset, TASKS[task].architecture) for task, _ in cells}
    networks = set(ARCHITECTURES) - ONLY_UNDER_ATTACK
    assert pairs == {(dataset, network) for dataset in ("cifar10", "cifar100") for network in networks}
    assert {name for _, name in cells} == set(REGULARIZERS) - set(ONLY_MEASURE)


def test_the_leaderboard_times_every_contestant_on_every_architecture() -> None:
    suite = SUITES["leaderboard"]
    all_architectures = {TASKS[task].architecture for task, _ in suite.cells()}
    assert {TASKS[task].architecture for task in suite.timing_tasks} == all_architectures
    assert {name for task, name in suite.cells() if task in suite.timing_tasks} >= {"none", "dropout", "localdrop"}
    assert suite.timing_repeats_for(suite.scale) >= 2


@pytest.mark.parametrize("name", [name for name in TASKS if getattr(TASKS[name], "options", None) is not None])
def test_the_defaults_of_a_task_are_fields_of_regularizers(name: str) -> None:
    assert TASKS[name].dataset in DATASETS
    for key in TASKS[name].defaults:
        part, _, field = key.rpartition(".")
        owners = [REGULARIZERS[part]] if part else list(REGULARIZERS.values())
        assert any(field in {each.name for each in fields(owner)} for owner in owners), key


@pytest.mark.parametrize(
    ("protocol", "factor_after"),
    [
        (LOCALDROP_CNN, lambda epoch: 0.5 ** (epoch // 200)),
        (DISTORTION_CNN, lambda epoch: 0.1 ** ((epoch >= 200) + (epoch >= 300) + (epoch >= 400))),
        (DISTORTION_RESNET, lambda epoch: 0.2 ** ((epoch >= 60) + (epoch >= 120) + (epoch >= 160))),
        (IMAGENET_270, lambda epoch: 0.1 ** ((epoch >= 125) + (epoch >= 200) + (epoch >= 250))),
    ],
    ids=["localdrop-cnn", "distortion-cnn", "distortion-resnet", "imagenet"],
)
def test_the_learning_rate_falls_at_the_epochs_of_the_paper(protocol: Protocol, factor_after: object) -> None:
    assert callable(factor_after)
    for epoch in range(protocol.epochs):
        middle = (epoch + 0.5) / protocol.epochs  # the boundaries themselves are one step wide
        assert protocol.learning_rate_factor(middle) == pytest.approx(factor_after(epoch))


def test_a_cyclic_rate_rises_from_0_to_the_top_and_falls_back_linearly() -> None:
    cyclic = Protocol(source="test", epochs=20, batch_size=1, learning_rate=0.2, schedule="cyclic")
    factors = [cyclic.learning_rate_factor(step / 8) for step in range(9)]
    assert factors == pytest.approx([0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0])
    with pytest.raises(ValueError, match="schedule must be one of steps, cyclic, cosine, got 'cosinus'"):
        Protocol(source="test", epochs=1, batch_size=1, learning_rate=1.0, schedule="cosinus")


def test_a_cosine_rate_falls_to_0_with_the_slope_of_a_cosine() -> None:
    cosine = Protocol(source="test", epochs=20, batch_size=1, learning_rate=0.2, schedule="cosine")
    factors = [cosine.learning_rate_factor(step / 6) for step in range(7)]
    assert factors == pytest.approx([1, (2 + 3**0.5) / 4, 0.75, 0.5, 0.25, (2 - 3**0.5) / 4, 0])


def test_at_small_scales_a_suite_may_spend_less() -> None:
    suite = Suite(groups=(), scale="paper", tune_trials=20, seeds=5, timing_repeats=4, tune_trials_at={"smoke": 1})
    assert [suite.tune_trials_for(scale) for scale in ("paper", "smoke")] == [20, 1]
    assert [suite.seeds_for(scale) for scale in ("paper", "smoke")] == [5, 5]
    assert [SUITES["localdrop-table5"].timing_repeats_for(scale) for scale in ("paper", "smoke")] == [5, 1]


@pytest.mark.parametrize("name", ["distortion-table3", "distortion-fig2"])
def test_where_distortion_runs_with_the_step_of_eq_22_it_also_runs_with_that_of_the_released_code(name: str) -> None:
    suite = SUITES[name]
    for task, method in suite.cells():
        settings = settings_at(suite, task, method)
        modes = {values["mode"] for values in settings if "mode" in values and values["step_size"] != 0}
        assert modes in (set(), {"paper", "official"})
    assert any("distortion" in method for _, method in suite.cells())


TIMED = sorted({task for table in ("table5", "table7") for task in SUITES[f"localdrop-{table}"].timing_tasks})


@pytest.mark.parametrize("scale", FULL_STEP_SCALES)
@pytest.mark.parametrize("task", TIMED)
def test_where_claims_about_time_are_judged_a_step_is_that_of_the_paper(task: str, scale: str) -> None:
    whole, at = TASKS[task].protocol, TASKS[task].protocol.at(scale)  # type: ignore[attr-defined]  # these tasks have one
    length = {"epochs": whole.epochs, "full_epochs": whole.full_epochs}
    assert replace(at, evaluate_every_epochs=whole.evaluate_every_epochs, **length) == whole


@pytest.mark.parametrize("task", ["cifar10-zhai-tang", "cifar100-zhai-tang"])
def test_in_the_first_table_on_distortion_every_method_acts_behind_dense_layers_alone(task: str) -> None:
    assert {site.kind for site in sites_of(TASKS[task].example_network())} == {"dense"}
    assert "where" not in Contestant("dropout").space(TASKS[task], "paper")


def test_what_follows_from_the_data_set_follows_it() -> None:
    policy = Contestant("autoaugment").resolve(TASKS["imagenet-resnet50-tang"], "paper")["policy"]
    sides = [
        Contestant("cutout").resolve(TASKS[f"{data}-resnet50"], "paper")["side_fraction"]
        for data in ("cifar10", "cifar100")
    ]
    assert (policy, sides) == ("imagenet", [0.5, 0.25])


@pytest.mark.parametrize("name", [name for name in TASKS if TASKS[name].dataset in ("cifar10", "cifar100")])
def test_cutout_takes_8_pixels_of_32_on_cifar_100_and_16_on_cifar_10(name: str) -> None:
    side = Contestant("cutout").resolve(TASKS[name], "paper")["side_fraction"]
    assert 32 * float(str(side)) == {"cifar10": 16, "cifar100": 8}[TASKS[name].dataset]


@pytest.mark.parametrize("name", sorted({task for tasks in OF_IMAGES["tasks"] for task in tasks}))
def test_what_is_held_out_at_paper_scale_is_what_the_protocol_says(name: str) -> None:
    held_out = 0.01 if name.startswith("imagenet") else 0.2 if "zhai-tang" in name else 0.1
    assert TASKS[name].validation_fraction("paper") == TASKS[name].protocol.validation_fraction == held_out  # type: ignore[attr-defined]  # these tasks have one
