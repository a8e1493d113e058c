"""A task of a campaign's file: its text, its network, its images, and what contestants can do on it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from image_folders import write_images

from tasks.datasets.dataset import Splits
from tasks.datasets.image_files import index_of
from tasks.datasets.own_images import OwnImages, own_index_of
from tasks.datasets.streamed import Streamed
from tasks.errors import DataError
from tasks.lookup import task_of
from tasks.own.definition import Definition, ImagesOfATask, ProtocolOfATask
from tasks.own.sited_network import SitedNetwork
from tasks.own.task import OwnClassification, own_task
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.dropconnect import DropConnect, MaskedLinear
from tasks.runtime.streams import MaskStream
from tasks.sites import sites_of
from tasks.task import Setting

CLASSES = ("a", "b", "c")
DIGITS = Definition(architecture="convnet_small", data="digits", protocol=ProtocolOfATask(epochs=20))


def flat_folder(folder: Path, numbers: tuple[int, ...] = (20, 10, 10)) -> Path:
    """A folder for each class, without train and val."""
    write_images(folder / "whole", CLASSES, num_train=max(numbers), num_val=0)
    for name, number in zip(CLASSES, numbers, strict=True):
        (folder / "images" / name).mkdir(parents=True)
        for file in sorted((folder / "whole" / "train" / name).iterdir())[:number]:
            shutil.copy(file, folder / "images" / name)
    return folder / "images"


def images_in(folder: Path, **fields: object) -> Definition:
    index = own_index_of(folder)
    images = ImagesOfATask(
        name=folder.name,
        num_classes=len(index.classes),
        num_train=len(index.train),
        num_test=len(index.val),
        fingerprint=index.fingerprint,
        size=8,
        **fields,
    )
    return replace(DIGITS, data=images)


def counts(splits: Splits) -> list[list[int]]:
    """Images of each class in training, validation and test."""
    parts = (splits.train, splits.validation, splits.test)
    return [torch.bincount(part.files.labels).tolist() for part in parts if isinstance(part, Streamed)]


def test_a_definition_is_its_text() -> None:
    definition = replace(
        DIGITS,
        architecture="timm:resnet18",
        options={"drop_rate": 0.5, "layers": (1, 2)},
        sites=("conv", "layer3.*"),
        data=ImagesOfATask(name="x", num_classes=2, num_train=9, num_test=0, fingerprint="f", size=64),
        protocol=ProtocolOfATask(epochs=3, schedule="steps", milestones=(0.5, 0.75), optimizer="adamw"),
    )
    assert Definition.of(definition.text) == definition
    assert replace(definition, protocol=replace(definition.protocol, epochs=4)).text != definition.text


def test_the_scales_shorten_a_protocol() -> None:
    protocol = own_task(DIGITS.text).protocol
    assert [protocol.at(scale).epochs for scale in ("paper", "short", "smoke")] == [20, 2, 1]
    assert protocol.evaluate_every_epochs == 2
    assert protocol.at("smoke").max_train_samples == 64


def test_a_task_is_looked_up_by_its_definition_or_its_name() -> None:
    assert task_of("mine", DIGITS.text) is task_of("mine", DIGITS.text)
    assert task_of("mine", DIGITS.text).dataset == task_of("digits-convnet").dataset == "digits"


def test_weights_are_those_of_the_library_and_depend_on_the_seed_alone() -> None:
    definition = replace(DIGITS, architecture="torchvision:resnet18", data="cifar10")
    task = own_task(definition.text)
    first, again, other = (task.network(seed).state_dict() for seed in (1, 1, 2))
    torch.manual_seed(1)
    theirs = torchvision.models.resnet18(num_classes=10).state_dict()
    assert all(torch.equal(first[f"network.{name}"], value) for name, value in theirs.items())
    assert all(torch.equal(first[name], value) for name, value in again.items())
    assert not torch.equal(first["network.conv1.weight"], other["network.conv1.weight"])


def test_networks_without_numbers_and_with_numbers_have_the_same_sites() -> None:
    task = own_task(replace(DIGITS, architecture="torchvision:resnet18", data="cifar10").text)
    example, real = task.example_network(), task.network(0)
    assert isinstance(example, SitedNetwork)
    assert {weight.device.type for weight in example.parameters()} == {"meta"}
    told = [[(site.name, site.kind, site.group, site.shape) for site in sites_of(net)] for net in (example, real)]
    assert told[0] == told[1]


def test_without_test_images_some_of_each_class_become_the_test_set(tmp_path: Path) -> None:
    folder = flat_folder(tmp_path)
    definition = images_in(folder, test_fraction=0.2, validation_fraction=0.25)
    data = own_task(definition.text).data
    assert counts(data.splits(folder)) == [[12, 6, 6], [4, 2, 2], [4, 2, 2]]
    assert data.num_images(None) == (32, 8)
    assert data.shape == (3, 8, 8)
    names = [set(part.files.paths.tolist()) for part in vars(data.splits(folder)).values() if hasattr(part, "files")]
    assert len(set.union(*names)) == 40, "no image is in two parts"


def test_test_images_of_ones_own_are_the_test_set(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "mine", CLASSES, num_train=8, num_val=3)
    data = own_task(images_in(folder, validation_fraction=0.25).text).data
    assert counts(data.splits(folder)) == [[6, 6, 6], [2, 2, 2], [3, 3, 3]]
    (folder / "val").rename(folder / "test")
    index_of.cache_clear()
    assert counts(own_task(images_in(folder, validation_fraction=0.25).text).data.splits(folder))[2] == [3, 3, 3]
    (folder / "val").mkdir()
    with pytest.raises(DataError, match="has the folders train, val and test"):
        own_index_of(folder)


def test_images_that_changed_since_are_refused(tmp_path: Path) -> None:
    folder = flat_folder(tmp_path)
    data = own_task(images_in(folder).text).data
    before = data.splits(folder).fingerprint
    moved = folder.rename(tmp_path / "elsewhere")
    assert data.splits(moved).fingerprint == before
    with pytest.raises(DataError, match="there is none at"):
        data.check(folder)
    next((moved / "a").iterdir()).unlink()
    index_of.cache_clear()
    with pytest.raises(DataError, match="are not those that this campaign was planned for"):
        data.check(moved)


def test_broken_images_are_named_and_nothing_is_written_among_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = flat_folder(tmp_path)
    assert own_task(images_in(folder).text).data_notice(folder) is None
    assert {path.name for path in folder.iterdir()} == set(CLASSES)
    (folder / "a" / "broken.png").write_bytes(b"x")
    index_of.cache_clear()
    with pytest.raises(DataError, match=r"broken\.png"):
        own_task(images_in(folder).text).data_notice(folder)


def test_an_own_folder_is_a_data_set_like_others(tmp_path: Path) -> None:
    folder = flat_folder(tmp_path)
    task = own_task(images_in(folder).text)
    assert isinstance(task.data, OwnImages)
    setting = Setting(seed=0, scale="smoke", learning_rate=0.01, data_dir=folder)
    training = task.prepare([("none", REGULARIZERS["none"]())], setting)
    assert training.run().final["test"].keys() == {"accuracy", "cross_entropy"}


TOKENS = sorted(name for name in REGULARIZERS.own if REGULARIZERS[name].acts_on_tokens)


@pytest.fixture
def transformer_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnClassification:
    """A tiny network of tokens on digits, made by a function of the user's."""
    code = (
        "from torch import nn\nfrom torchvision.models import VisionTransformer\n"
        "class Grey(VisionTransformer):\n"
        "    def forward(self, x):\n        return super().forward(x.expand(-1, 3, -1, -1))\n"
        "def make(num_classes, in_channels, image_size):\n"
        "    return Grey(image_size, 4, 2, 2, 8, 16, num_classes=num_classes)\n"
    )
    (tmp_path / "tiny_transformer.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    return own_task(replace(DIGITS, architecture="tiny_transformer:make").text)


@pytest.mark.parametrize("name", TOKENS)
def test_contestants_that_act_on_tokens_train_on_a_transformer(transformer_task, name: str) -> None:
    regularizer = REGULARIZERS[name]()
    assert transformer_task.skip_reason(regularizer) is None
    training = transformer_task.prepare([(name, regularizer)], Setting(seed=0, scale="smoke", learning_rate=0.01))
    assert training.run().epochs_run == 1


def test_the_other_contestants_on_units_are_skipped_with_a_reason_where_sites_hold_tokens(transformer_task) -> None:
    skipped = {}
    for name in REGULARIZERS.own:
        regularizer = REGULARIZERS[name]()
        holds = any(site.holds_tokens for site in regularizer.chosen_sites(transformer_task.example_network()))
        if holds and not regularizer.acts_on_tokens:
            skipped[name] = transformer_task.skip_reason(regularizer)
    assert skipped.keys() >= {"concrete_dropout", "variational_dropout", "flow_penalty", "generalized_dropout"}
    assert all(reason and "holds tokens, (" in reason for reason in skipped.values())
    others = own_task(replace(transformer_task.definition, sites=("head",)).text)
    assert others.skip_reason(REGULARIZERS["concrete_dropout"]()) is None, "there one vector per sample is left"


def test_weights_dropped_per_sample_act_on_each_token_of_the_sample() -> None:
    layer = torch.nn.Linear(3, 2)
    settings = DropConnect(drop_rate=0.5, per_sample=True)
    masked = MaskedLinear.made_of(layer, settings, MaskStream(0, "x", "cpu"))
    x = torch.randn(2, 5, 3)
    together = masked(x)
    masked.mask.stream = MaskStream(0, "x", "cpu")
    keep = MaskStream(0, "x", "cpu").bernoulli((2, 2, 3), 0.5)
    for sample in range(2):
        for token in range(5):
            expected = (layer.weight * keep[sample] * 2) @ x[sample, token] + layer.bias
            torch.testing.assert_close(together[sample, token], expected)
