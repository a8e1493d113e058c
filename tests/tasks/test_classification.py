"""Image classification tasks: what they measure, what the seed decides, and how large their networks are."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_tasks import IMAGE_TASK, prepared, tiny, weights_of
from torch import nn

from tasks import classification
from tasks.architectures import ARCHITECTURES
from tasks.architectures.lenet import LeNet
from tasks.classification import Classification, evaluate
from tasks.datasets.batches import Split
from tasks.datasets.digits import DIGITS
from tasks.errors import DataError
from tasks.experiments import TASKS
from tasks.experiments.demos.tasks import DIGITS_CONVNET, DIGITS_MLP, FASHION_LENET, MNIST_LENET
from tasks.metrics import accuracy, cross_entropy, squared_error, top5_accuracy
from tasks.regularizers.dropout import Dropout
from tasks.regularizers.none import Unregularized
from tasks.sites import sites_of
from tasks.task import Setting

ALL = [name for name in TASKS if isinstance(TASKS[name], Classification)]
UNDER_ATTACK = {name for name in ALL if name == "mnist-0v1" or name.endswith("-robust") or "table6-1" in name}


@pytest.mark.parametrize("width", [1, 100, 500])
def test_lenet_has_33422_and_131_parameters_for_each_unit_of_width(width: int) -> None:
    network = LeNet(num_classes=10, in_channels=1, image_size=28, width=width)
    assert sum(parameter.numel() for parameter in network.parameters()) == 33_422 + 131 * width


@pytest.mark.parametrize("task", [MNIST_LENET, FASHION_LENET], ids=["mnist", "fashion"])
def test_the_lenets_of_the_table_are_500_units_wide(task: Classification) -> None:
    assert sum(parameter.numel() for parameter in task.example_network().parameters()) == 33_422 + 131 * 500


@pytest.mark.parametrize("name", ALL)
def test_a_task_tells_its_value_its_direction_and_its_protocol(name: str) -> None:
    task = TASKS[name]
    if name in UNDER_ATTACK:
        assert (task.metric, task.higher_is_better) != ("accuracy", True)
        assert "error" in task.metric
        assert not task.higher_is_better
    else:
        assert (task.metric, task.higher_is_better) == ("accuracy", True)
    assert task.needs_data != task.dataset.startswith("digits")  # installed with scikit-learn
    for scale in ("paper", "short", "smoke"):
        assert task.epochs(scale) >= 1
        assert task.default_learning_rate(scale) > 0
    assert task.epochs("smoke") <= task.epochs("short") <= task.epochs("paper")
    assert task.skip_reason(Unregularized()) is None


@pytest.mark.parametrize("name", ALL)
def test_the_example_network_has_its_sites_measured(name: str) -> None:
    sites = sites_of(TASKS[name].example_network())
    assert all(site.name and site.shape for site in sites)
    kinds = {site.kind for site in sites}
    assert kinds & {"conv", "dense"}


def test_first_weights_follow_from_the_seed_alone() -> None:
    before = torch.get_rng_state()
    first = weights_of(prepared(DIGITS_CONVNET, seed=3).network)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert torch.equal(weights_of(prepared(DIGITS_CONVNET, Dropout(), seed=3).network), first)
    assert not torch.equal(weights_of(prepared(DIGITS_CONVNET, seed=4).network), first)


def test_the_training_accuracy_over_epochs_changes_no_weight_and_no_other_reading() -> None:
    tasks = (tiny("digits-convnet"), tiny("digits-convnet", evaluate_train=True))
    trainings = [prepared(task, Dropout(), seed=3) for task in tasks]
    plain, with_curve = (training.run() for training in trainings)
    assert torch.equal(*(weights_of(training.network) for training in trainings))
    assert plain.final == with_curve.final
    added = [point for point in with_curve.curves if point not in plain.curves]
    assert [point for point in with_curve.curves if point not in added] == plain.curves
    assert {(point.split, point.metric) for point in added} == {("train", "accuracy"), ("train", "cross_entropy")}
    read = {point.epoch: point.value for point in added if point.metric == "accuracy"}
    assert set(read) == {point.epoch for point in plain.curves if point.split == "test"}
    assert read[max(read)] == with_curve.final["train"]["accuracy"]


def test_tuning_reads_no_training_accuracy_on_the_way() -> None:
    trained = prepared(tiny("digits-convnet", evaluate_train=True), with_test=False).run()
    assert {point.metric for point in trained.curves if point.split == "train"} == {"loss"}


def test_the_data_does_not_depend_on_the_seed_but_its_order_does() -> None:
    one, other = prepared(DIGITS_MLP, seed=0), prepared(DIGITS_MLP, seed=1)
    assert torch.equal(one.batches.split.inputs, other.batches.split.inputs)  # type: ignore[attr-defined]  # data in memory
    assert not torch.equal(next(one.batches.epoch()).inputs, next(other.batches.epoch()).inputs)


def test_preparing_twice_gives_networks_of_their_own() -> None:
    one, other = prepared(DIGITS_MLP), prepared(DIGITS_MLP, Dropout())
    assert one.network is not other.network
    assert not any(len(site.fillings) for site in sites_of(one.network))
    assert not any(len(site.fillings) for site in sites_of(DIGITS_MLP.example_network()))


def test_a_protocol_may_train_on_the_first_samples_only() -> None:
    whole, part = prepared(DIGITS_CONVNET).batches.split, prepared(IMAGE_TASK).batches.split  # type: ignore[attr-defined]  # data in memory
    assert (len(whole), len(part)) == (1000, 128)
    assert torch.equal(part.inputs, whole.inputs[:128])


def test_evaluation_averages_over_the_whole_split() -> None:
    generator = torch.Generator().manual_seed(0)
    split = Split(
        inputs=torch.randn(2357, 6, generator=generator),  # more than two batches, and not a round number
        targets=torch.eye(3)[torch.randint(3, (2357,), generator=generator)],
    )
    network = nn.Linear(6, 3).eval()
    scores = network(split.inputs).detach().double().numpy()
    classes = split.targets.argmax(1).numpy()
    right = [int(np.argmax(row)) == label for row, label in zip(scores, classes, strict=True)]
    losses = [np.log(np.exp(row).sum()) - row[label] for row, label in zip(scores, classes, strict=True)]
    measured = evaluate(network, split, DIGITS_CONVNET.metrics)
    assert measured["accuracy"] == pytest.approx(sum(right) / 2357, abs=1e-12)
    assert measured["cross_entropy"] == pytest.approx(sum(losses) / 2357, rel=1e-5)


def test_metrics_have_their_values_by_hand() -> None:
    outputs = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0], [0.0, 0.0]])
    targets = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.6, 0.4], [1.0, 0.0]])
    assert float(accuracy(outputs, targets)) == 3 / 4  # a soft target counts by its largest class
    assert float(cross_entropy(torch.zeros(5, 4), torch.full((5, 4), 0.25))) == pytest.approx(math.log(4))
    assert float(top5_accuracy(outputs, targets)) == 1  # of two classes both are among the best five
    ranks = torch.tensor([[6.0, 5, 4, 3, 2, 1], [6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]])
    wanted = torch.eye(6)[[4, 5, 0, 3]]  # fifth, sixth, sixth, third best
    assert float(top5_accuracy(ranks, wanted)) == 2 / 4
    assert float(squared_error(outputs, targets)) == pytest.approx((1 + 0.81 + 0.81 + 5.76 + 0.36 + 1) / 4)


def test_a_task_without_its_data_says_what_it_needs() -> None:
    with pytest.raises(DataError, match="MNIST/raw/train-images-idx3-ubyte"):
        MNIST_LENET.check_data(None)
    with pytest.raises(DataError, match="MNIST/raw/train-images-idx3-ubyte"):
        MNIST_LENET.prepare([], Setting(seed=0, scale="smoke", learning_rate=0.1))


def test_the_fingerprint_of_digits_is_that_of_their_content() -> None:
    assert DIGITS_CONVNET.dataset_fingerprint(None) == DIGITS_MLP.dataset_fingerprint(None) != ""


@pytest.mark.parametrize(
    ("architecture", "size"), [("lenet", 12), ("convnet_small", 7)], ids=["lenet-12", "convnet_small-7"]
)
def test_an_image_size_that_a_network_cannot_take_is_refused(architecture: str, size: int) -> None:
    with pytest.raises(ValueError, match=f"got {size}"):
        ARCHITECTURES[architecture](num_classes=10, in_channels=1, image_size=size)


def test_the_protocol_decides_the_preprocessing_of_steps_and_of_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    training = prepared(tiny("digits-convnet", preprocessing="gcn_zca"))
    batch = next(training.batches.epoch())
    rows = training.batches.normalised(batch.inputs).flatten(1)
    plain = prepared(IMAGE_TASK).batches.normalised(batch.inputs).flatten(1)
    assert rows.shape == plain.shape
    assert not torch.allclose(rows, plain)
    original = batch.inputs.flatten(1).double() / 255
    centred = original - original.mean(1, keepdim=True)
    train = DIGITS.splits(None).train
    assert isinstance(train, Split)
    before = train.inputs.flatten(1).double() / 255
    before = before - before.mean(1, keepdim=True)
    before = 55 * before / before.norm(dim=1, keepdim=True)
    values, vectors = torch.linalg.eigh(torch.cov(before.T, correction=0))
    matrix = vectors @ torch.diag((values + 0.1).rsqrt()) @ vectors.T
    expected = (55 * centred / centred.norm(dim=1, keepdim=True) - before.mean(0)) @ matrix
    torch.testing.assert_close(rows.double(), expected, rtol=1e-3, atol=1e-3)
    assert training.run().final["test"]["accuracy"] > 0.1


def test_the_protocol_decides_how_many_are_held_out_and_how_many_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    original = classification.evaluate
    monkeypatch.setattr(
        classification, "evaluate", lambda net, part, names: seen.append(len(part)) or original(net, part, names)
    )
    prepared(tiny("digits-mlp", validation_fraction=0.5, max_train_samples=None, epochs=1)).run()
    assert seen == [650, 497, 650, 497, 650]  # validation and test before and after the epoch, then training images
    seen.clear()
    prepared(tiny("digits-mlp", max_evaluation_samples=40, epochs=1)).run()
    assert seen == [40] * 5


def test_what_a_data_set_does_not_offer_is_refused() -> None:
    with pytest.raises(ValueError, match="digits offers the augmentations crop, flip, rotation, got 'resized_crop'"):
        prepared(tiny("digits-mlp", augmentation=("resized_crop",)))
