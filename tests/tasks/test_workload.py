"""How much work a training is: counted beforehand, and by what the training loop then does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from slow_params import slow_but
from tiny_tasks import TINY_TASKS, prepared

from tasks.calculation import Calculation
from tasks.classification import MAX_TRAIN_EVALUATED, Classification
from tasks.datasets import DATASETS
from tasks.experiments import TASKS
from tasks.experiments.demos.protocols import LENET
from tasks.experiments.demos.tasks import MNIST_LENET
from tasks.regularizers.dropout import Dropout
from tasks.task import Setting, Task
from tasks.workload import Workload

SCALES = ("smoke", "short", "paper")
TABLED = {
    name: task for name, task in TASKS.items() if task.dataset in DATASETS or not isinstance(task, Classification)
}
CALCULATIONS = {name for name, task in TABLED.items() if isinstance(task, Calculation)}  # without steps to count
TRAINED = {name: task for name, task in TABLED.items() if name not in CALCULATIONS}
OF_EACH_KIND = list({(type(task), task.dataset): name for name, task in reversed(TRAINED.items())}.values())
WITHOUT_FILES = [name for name, task in TRAINED.items() if not task.needs_data]


def setting_of(task: Task, scale: str = "smoke", with_test: bool = True) -> Setting:
    return Setting(seed=0, scale=scale, learning_rate=task.default_learning_rate(scale), with_test=with_test)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_the_steps_counted_are_those_of_the_training(name: str, scale: str) -> None:
    task = TASKS[name]
    workload = task.workload(scale)
    assert workload is not None
    training = task.prepare([], setting_of(task, scale))
    assert workload.batch_size == training.batches.batch_size
    assert workload.steps_per_epoch == len(training.batches)
    assert workload.num_epochs == training.protocol.epochs == task.epochs(scale)
    assert workload.num_steps == workload.num_epochs * workload.steps_per_epoch


@pytest.mark.parametrize("with_test", [True, False], ids=["with test", "tuning"])
@pytest.mark.parametrize(("every_epochs", "with_train"), [(1, False), (2, False), (3, False), (2, True)])
def test_the_evaluated_samples_counted_are_those_that_the_network_sees(
    every_epochs: int, with_train: bool, with_test: bool
) -> None:
    original = TINY_TASKS["digits-mlp"]
    assert isinstance(original, Classification)
    protocol = replace(original.protocol, evaluate_every_epochs=every_epochs, epochs=5, evaluate_train=with_train)
    task = replace(original, protocol=protocol)
    training = prepared(task, with_test=with_test)
    seen = Counter[bool]()
    training.network.register_forward_hook(lambda module, inputs, _: seen.update({module.training: len(inputs[0])}))
    training.run()
    workload = task.workload("paper")
    assert workload is not None
    assert seen[False] == workload.num_evaluated(with_test)
    assert seen[True] == workload.num_steps * workload.batch_size


def test_a_protocol_on_mnist_is_counted_without_its_files() -> None:
    workload = MNIST_LENET.workload("short")
    assert workload == Workload(
        num_epochs=3,
        steps_per_epoch=20_000 // 64,
        batch_size=64,
        num_evaluations=4,
        num_validation=10_000,
        num_test=10_000,
        num_train_evaluated=MAX_TRAIN_EVALUATED,
    )


def test_the_limits_of_a_protocol_hold() -> None:
    protocol = replace(LENET, max_train_samples=100, max_evaluation_samples=30, batch_size=128)
    workload = Workload.of(protocol, num_train=500, num_validation=50, num_test=20, num_train_evaluated=400)
    assert (workload.batch_size, workload.steps_per_epoch) == (100, 1)
    assert (workload.num_validation, workload.num_test, workload.num_train_evaluated) == (30, 20, 30)


def test_a_protocols_own_validation_share_counts() -> None:
    task = replace(MNIST_LENET, protocol=replace(LENET, validation_fraction=0.5))
    workload = task.workload("paper")
    assert workload is not None
    assert (workload.steps_per_epoch, workload.num_validation) == (30_000 // 64, 30_000)


def test_every_task_of_the_table_tells_its_workload_at_every_scale() -> None:
    for name, task in TABLED.items():
        for scale in SCALES:
            workload = task.workload(scale)
            assert (workload is None) == (name in CALCULATIONS), name
            assert workload is None or workload.num_steps > 0, name


def test_a_data_set_whose_size_only_its_files_tell_has_no_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS._looked_up, "mnist", replace(DATASETS["mnist"], num_train=None))
    assert MNIST_LENET.workload("paper") is None


def test_files_that_are_counted_decide_how_much_work_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def counted(data: object, data_dir: Path | None) -> tuple[int, int] | None:
        return (1280, 10) if data_dir == tmp_path else None

    monkeypatch.setattr(type(DATASETS["mnist"]), "num_images", counted)
    task = replace(MNIST_LENET, protocol=replace(LENET, validation_fraction=0.5))
    workload = task.workload("paper", tmp_path)
    assert workload is not None
    assert (workload.steps_per_epoch, workload.num_validation, workload.num_test) == (10, 640, 10)


@pytest.mark.parametrize("name", list(DATASETS))
def test_the_sizes_that_a_data_set_states_are_those_of_its_splits(name: str) -> None:
    data = DATASETS[name]
    sizes = data.num_images(None)
    assert sizes is not None
    assert min(sizes) > 0
    if not data.files:
        splits = data.splits(None)
        assert (len(splits.train) + len(splits.validation), len(splits.test)) == sizes


@pytest.mark.parametrize("name", slow_but(OF_EACH_KIND, lambda name: "imagenet" not in name))
def test_every_kind_of_task_can_be_rehearsed_without_its_files(name: str) -> None:
    task = TASKS[name]
    regularizers = [("dropout", Dropout(drop_rate=0.5))]
    rehearsal = task.rehearse(regularizers, setting_of(task), max_batch_size=8)
    assert rehearsal is not None
    training = rehearsal.training
    loss, _ = training.run_steps(iter([next(iter(training.batches.epoch()))]), epoch=1)
    assert loss == loss
    assert set(training.evaluate()) >= {"validation"}
    assert rehearsal.num_evaluated >= 1


def test_a_rehearsal_trains_the_network_of_the_task_on_batches_no_larger_than_asked() -> None:
    rehearsal = MNIST_LENET.rehearse([], setting_of(MNIST_LENET), max_batch_size=16)
    assert rehearsal is not None
    (batch,) = rehearsal.training.batches.epoch()
    assert batch.inputs.shape == (16, 1, 28, 28)
    example = MNIST_LENET.example_network()
    assert [p.shape for p in rehearsal.training.network.parameters()] == [p.shape for p in example.parameters()]
    whole = MNIST_LENET.rehearse([], setting_of(MNIST_LENET))
    assert whole is not None
    assert whole.training.batches.batch_size == LENET.batch_size
