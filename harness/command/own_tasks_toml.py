"""The tasks that a campaign's file defines: a network, data and a protocol, checked before anything runs.

    [own-tasks.NAME]          a task: architecture, data, protocol, and what belongs to them
    [protocols.NAME]          a protocol that several tasks share

Each becomes the text of a `tasks.own.definition.Definition`, which travels to the trials.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch

from harness.command.toml_values import Value, check_keys, table_in
from harness.errors import BadInput
from harness.records import OVERALL
from harness.workers.compiled_code import keep_compiled_code_apart
from harness.workers.environment import make_importable
from tasks.architectures import ARCHITECTURES
from tasks.datasets import DATASETS
from tasks.datasets.image_files import Index
from tasks.datasets.own_images import own_index_of
from tasks.errors import DataError
from tasks.experiments import SUITES, TASKS
from tasks.own.definition import Definition, ImagesOfATask, ProtocolOfATask
from tasks.own.foreign_networks import own_code
from tasks.own.task import own_task
from tasks.protocols import Augmentation
from tasks.table import unknown_name_message

TABLE, PROTOCOLS = "own-tasks", "protocols"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_FRACTION = Value(kind=float, above=0, below=1)
_IMAGE_KEYS: Mapping[str, Value] = {
    "image-size": Value(kind=int, low=8, high=2048),
    "mean": Value(kind=float, low=0, high=1, is_list=True),
    "std": Value(kind=float, above=0, high=1, is_list=True),
    "test-fraction": _FRACTION,
    "validation-fraction": _FRACTION,
}
_TASK_KEYS: Mapping[str, Value] = {
    "architecture": Value(kind=str),
    "data": Value(kind=str),
    "sites": Value(kind=str, is_list=True),
    **_IMAGE_KEYS,
}
_PROTOCOL_KEYS: Mapping[str, Value] = {
    "epochs": Value(kind=int, low=1, high=100_000),
    "batch-size": Value(kind=int, low=1, high=1_000_000),
    "learning-rate": Value(kind=float, above=0, high=1000),
    "optimizer": Value(kind=str, choices=("sgd", "adam", "adamw")),
    "momentum": Value(kind=float, low=0, below=1),
    "nesterov": Value(kind=bool),
    "weight-decay": Value(kind=float, low=0, high=1000),
    "schedule": Value(kind=str, choices=("cosine", "steps", "cyclic")),
    "milestones": Value(kind=float, above=0, below=1, is_list=True),
    "decay": Value(kind=float, above=0, high=1),
    "augmentation": Value(kind=str, choices=get_args(Augmentation), is_list=True),
    "evaluate-every-epochs": Value(kind=int, low=1),
}
_ONLY_WITH = {"momentum": ("optimizer", "sgd"), "nesterov": ("optimizer", "sgd")}
_ONLY_WITH |= {"milestones": ("schedule", "steps"), "decay": ("schedule", "steps")}
_LEARNING_RATES = {"sgd": 0.05, "adam": 1e-3, "adamw": 1e-3}
_SCALARS = (bool, int, float, str)


@dataclass(frozen=True, kw_only=True)
class OwnTasks:
    """The tasks of one file.

    Attributes:
        definitions: the text of each, by name.
        folders: the folder of the images of each that has some, by name.
        code_folder: of the file, if a task names a function of the user's.
    """

    definitions: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, str] = field(default_factory=dict)
    code_folder: str | None = None


def own_tasks_of(path: Path, content: Mapping[str, Any]) -> OwnTasks:
    """All tasks that a file defines. Each network is made once, without its weights; each folder of images is listed.

    Raises:
        BadInput: for whatever is not allowed, or cannot be made or found.
    """
    tables, protocols = table_in(path, content, TABLE), table_in(path, content, PROTOCOLS)
    known_protocols = {
        name: _protocol(path, f"{PROTOCOLS}.{name}", table_in(path, protocols, name)) for name in protocols
    }
    definitions, folders, code_folder = dict[str, str](), dict[str, str](), None
    for name in tables:
        where = f"{TABLE}.{name}"
        table = table_in(path, tables, name)
        _check_name(path, name)
        check_keys(path, table, [*_TASK_KEYS, "protocol", "options"], f"key of {where}")
        values = {
            key: _TASK_KEYS[key].checked(f"{path}: {where}.{key}", value)
            for key, value in table.items()
            if key in _TASK_KEYS
        }
        for key in ("architecture", "data", "protocol"):
            if key not in table:
                raise BadInput(f"{path}: {where} must have the key {key!r}.")
        data, folder = _data(path, where, values)
        definition = Definition(
            architecture=values["architecture"],
            data=data,
            protocol=_protocol_of(path, where, table["protocol"], known_protocols),
            options=_options(path, where, table_in(path, table, "options")),
            sites=values.get("sites", ()),
        )
        if own_code(definition.architecture):
            code_folder = str(path.absolute().parent)
            make_importable(code_folder)
        definitions[name] = _checked(path, where, definition)
        folders |= {name: folder} if folder else {}
    return OwnTasks(definitions=definitions, folders=folders, code_folder=code_folder)


def _check_name(path: Path, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{path}: the name of a task must be letters, digits, '-', '_' and '.', the first a letter, got {name!r}."
        )
    if name in TASKS or name in SUITES:
        raise BadInput(f"{path}: there is a task or suite named {name!r} already; choose another name for yours.")
    if name == OVERALL:
        raise BadInput(
            f"{path}: rankings name their rows over all tasks {OVERALL!r}; choose another name for your task."
        )


def _checked(path: Path, where: str, definition: Definition) -> str:
    """The definition's text, after its network was made."""
    keep_compiled_code_apart()
    source, separator, _ = definition.architecture.partition(":")
    if not separator and source not in ARCHITECTURES:
        known = unknown_name_message("architecture", source, list(ARCHITECTURES))
        raise BadInput(
            f"{path}: {where}.architecture: {known} Networks of other packages are torchvision:NAME, timm:NAME or "
            "MODULE:FUNCTION of your own."
        )
    text = definition.text
    try:
        own_task(text).check()
    except (ValueError, RuntimeError, TypeError) as error:
        raise BadInput(f"{path}: {where}: {definition.architecture}: {str(error).rstrip('.')}.") from error
    return text


def _data(path: Path, where: str, values: Mapping[str, Any]) -> tuple[str | ImagesOfATask, str | None]:
    """The name of a data set, or the images of a folder and that folder."""
    name = values["data"]
    if name in DATASETS:
        for key in _IMAGE_KEYS:
            if key in values:
                raise BadInput(f"{path}: {where}.{key} is for folders of images; the data set {name} sets it itself.")
        if not DATASETS[name].holds_images or len(DATASETS[name].shape) != 3:
            raise BadInput(f"{path}: {where}.data must be images; the data set {name} holds none.")
        return name, None
    folder = Path(name).expanduser().absolute()
    if not folder.is_dir():
        message = unknown_name_message("data set", name, list(DATASETS)).rstrip(".?")
        raise BadInput(f"{path}: {where}.data: there is no folder {folder}. {message}.")
    try:
        index = own_index_of(folder)
    except DataError as error:
        raise BadInput(f"{path}: {where}.data: {error}") from error
    _check_classes(path, where, folder, index)
    if len(index.val) and "test-fraction" in values:
        raise BadInput(f"{path}: {where}.test-fraction is for folders without test images; {folder} has some.")
    for key in ("mean", "std"):
        if key in values and len(values[key]) != 3:
            raise BadInput(f"{path}: {where}.{key} must be three numbers, for red, green and blue, got {values[key]}.")
    fields = {
        "size" if key == "image-size" else key.replace("-", "_"): values[key] for key in _IMAGE_KEYS if key in values
    }
    images = ImagesOfATask(
        name=folder.name if folder.name not in DATASETS else f"{folder.name}-images",
        num_classes=len(index.classes),
        num_train=len(index.train),
        num_test=len(index.val),
        fingerprint=index.fingerprint,
        **{"size": 224, **fields},
    )
    return images, str(folder)


def _check_classes(path: Path, where: str, folder: Path, index: Index) -> None:
    """Check that there are classes, and enough images of each for every part of the data."""
    counts = torch.bincount(index.train.labels, minlength=len(index.classes))
    least, parts = (2, "training and validation") if len(index.val) else (3, "training, validation and test")
    if len(index.classes) < 2:
        raise BadInput(f"{path}: {where}.data: {folder} must have at least 2 folders of classes, got {index.classes}.")
    if int(counts.min()) < least:
        few = index.classes[int(counts.argmin())]
        raise BadInput(
            f"{path}: {where}.data: each class needs at least {least} images, for {parts}; {few} in {folder} has "
            f"{int(counts.min())}."
        )


def _options(path: Path, where: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Further arguments of the architecture: numbers, texts, booleans, and lists of these."""
    for key, value in table.items():
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, _SCALARS) for part in parts):
            raise BadInput(
                f"{path}: {where}.options.{key} must be a number, text, true or false, or a list of these, got "
                f"{value!r:.100}."
            )
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


def _protocol_of(path: Path, where: str, value: object, known: Mapping[str, ProtocolOfATask]) -> ProtocolOfATask:
    """The protocol of a task: a table, or the name of one that several tasks share."""
    if isinstance(value, dict):
        return _protocol(path, f"{where}.protocol", value)
    if not isinstance(value, str):
        raise BadInput(f"{path}: {where}.protocol must be a table or the name of one of [{PROTOCOLS}], got {value!r}.")
    if value not in known:
        if not known:
            raise BadInput(f"{path}: {where}.protocol: there is no table [{PROTOCOLS}.{value}].")
        raise BadInput(f"{path}: {where}.protocol: {unknown_name_message('protocol', value, list(known))}")
    return known[value]


def _protocol(path: Path, where: str, table: Mapping[str, Any]) -> ProtocolOfATask:
    check_keys(path, table, list(_PROTOCOL_KEYS), f"key of {where}")
    if "epochs" not in table:
        raise BadInput(f"{path}: {where} must have the key 'epochs'.")
    values = {
        key.replace("-", "_"): _PROTOCOL_KEYS[key].checked(f"{path}: {where}.{key}", value)
        for key, value in table.items()
    }
    chosen = {"optimizer": values.get("optimizer", "sgd"), "schedule": values.get("schedule", "cosine")}
    for key, (other, needed) in _ONLY_WITH.items():
        if key in values and chosen[other] != needed:
            raise BadInput(f"{path}: {where}.{key} goes with {other} {needed!r} only, got {other} {chosen[other]!r}.")
    milestones = values.get("milestones", ())
    if list(milestones) != sorted(set(milestones)):
        raise BadInput(f"{path}: {where}.milestones must increase, got {list(milestones)}.")
    if chosen["schedule"] == "steps" and not milestones:
        raise BadInput(
            f"{path}: {where}: the schedule 'steps' needs milestones: fractions of the training, such as [0.5, 0.75]."
        )
    values.setdefault("learning_rate", _LEARNING_RATES[chosen["optimizer"]])
    return ProtocolOfATask(**values)
