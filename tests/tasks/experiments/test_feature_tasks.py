"""DropBlock behind a trunk: the objective is that of the last layer on its features, and the bound bounds it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tasks.datasets import DATASETS
from tasks.datasets.batches import Split
from tasks.datasets.preprocessing import ChannelNormalisation
from tasks.errors import DataError
from tasks.experiments import TASKS
from tasks.experiments.structured.features import TRUNKS, Bottleneck, FeatureBottleneck
from tasks.linear.task import EXCESS
from tasks.regularizers.dropblock_sample import DropBlockSample
from tasks.sites import sites_of
from tasks.task import Setting
from tasks.theory.structured import dropblock_objective

NAMES = ["structured-fig3-mnist", "structured-fig3-cifar10"]


def images(task: FeatureBottleneck, num_samples: int = 24) -> Split:
    generator, shape = torch.Generator().manual_seed(0), DATASETS[task.dataset].shape
    pixels = torch.randint(0, 256, (num_samples, *shape), generator=generator, dtype=torch.uint8)
    targets = torch.nn.functional.one_hot(torch.arange(num_samples) % 10, 10).float()
    return Split(
        inputs=pixels,
        targets=targets,
        preprocessing=ChannelNormalisation(mean=(0.5,) * shape[0], std=(0.5,) * shape[0]),
    )


@pytest.fixture(params=NAMES)
def task(request: pytest.FixtureRequest) -> FeatureBottleneck:
    found = TASKS[request.param]
    assert isinstance(found, FeatureBottleneck)
    return found


def test_the_objective_is_dropblocks_on_the_features(task: FeatureBottleneck) -> None:
    split, network = images(task), task.example_network().eval()
    assert isinstance(network, Bottleneck)
    with torch.no_grad():
        reading = task._reading(split, keep=0.4)(network)
        features = network.trunk(split.normalised(split.inputs)).double()
    expected = dropblock_objective(
        split.targets.double().T, features.T, network.output.weight.detach().double(), torch.eye(80).double(), 0.4, 5
    )
    assert reading["objective"] == pytest.approx(float(expected), rel=1e-6)
    assert reading["excess_objective"] * len(split) == pytest.approx(
        reading["objective"] - reading["minimum"], rel=1e-6
    )


@pytest.mark.slow
def test_features_fitted_to_the_bound_come_near_it_and_none_come_below(task: FeatureBottleneck) -> None:
    """The trunk plays no part in the bound: a table of free features, one row per sample, takes its place."""
    split, network = images(task), task.example_network()
    assert isinstance(network, Bottleneck)
    generator = torch.Generator().manual_seed(1)
    features = (0.3 * torch.randn(24, 80, generator=generator)).requires_grad_()
    network.trunk = _Table(features)
    read = task._reading(split, keep=0.5)
    optimizer = torch.optim.Adam([features, network.output.weight], lr=0.02)
    excesses = []
    for _ in range(400):
        optimizer.zero_grad()
        identity = torch.eye(80).double()
        dropblock_objective(
            split.targets.double().T, features.T.double(), network.output.weight.double(), identity, 0.5, 5
        ).backward()
        optimizer.step()
        with torch.no_grad():
            excesses.append(read(network)["excess_objective"])
    assert min(excesses) > -1e-6
    assert excesses[-1] < 0.01


def test_every_trunk_ends_in_the_hidden_units_for_any_number_of_channels() -> None:
    for trunk in set(TRUNKS.values()):
        for channels, size in ((1, 28), (3, 32)):
            assert trunk(channels).eval()(torch.zeros(2, channels, size, size)).shape == (2, 80)


@pytest.mark.parametrize(("name", "channels", "parameters"), [(NAMES[0], 1, 23_501_760), (NAMES[1], 3, 23_508_032)])
def test_the_trunk_is_that_of_resnet50_at_paper_scale_and_a_narrow_one_below(
    name: str, channels: int, parameters: int
) -> None:
    """ResNet-50 without its classifier has 23,508,032 parameters, with one input channel 2 * 64 * 7 * 7 fewer."""
    task, to_units, to_classes = TASKS[name], 2048 * 80 + 80, 80 * 10
    assert isinstance(task, FeatureBottleneck)
    counts = {
        scale: sum(parameter.numel() for parameter in task._network(scale, 0, torch.device("cpu")).parameters())
        for scale in ("paper", "short", "smoke")
    }
    convs = channels * 16 * 9 + 16 * 32 * 9 + 32 * 64 * 9
    narrow = convs + 2 * (16 + 32 + 64) + 64 * 80 + 80 + to_classes
    assert counts == {"paper": parameters + to_units + to_classes, "short": narrow, "smoke": narrow}


@pytest.mark.slow
def test_training_on_images_comes_nearer_to_the_bound_and_never_below_it(task: FeatureBottleneck) -> None:
    setting = Setting(seed=0, scale="smoke", learning_rate=0.02)
    contestant = ("dropblock_sample", DropBlockSample(drop_rate=0.5, block_size=5))
    training = replace(task, dataset="synthetic").prepare([contestant], setting)
    trained = training.run()
    (before,) = (p.value for p in trained.curves if (p.epoch, p.split, p.metric) == (0, "validation", EXCESS))
    assert 0 < trained.final["test"][EXCESS] < before
    assert training.batches.num_samples * trained.final["test"][EXCESS] == pytest.approx(
        trained.final["test"]["objective"] - trained.final["test"]["minimum"], rel=1e-9
    )


def test_the_units_behind_the_trunk_are_the_only_site(task: FeatureBottleneck) -> None:
    (site,) = sites_of(task.example_network())
    assert (site.kind, site.shape) == ("hidden", (80,))


def test_without_its_files_it_says_so(task: FeatureBottleneck) -> None:
    with pytest.raises(DataError, match="no --data was given"):
        task.check_data(None)


class _Table(torch.nn.Module):
    def __init__(self, features: torch.Tensor) -> None:
        super().__init__()
        self.features = features

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.features
