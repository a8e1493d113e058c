"""A campaign described in a TOML file: its tasks and contestants, and options of `regarena run`.

Options have the names of the command line, and a value given there overrides the file's. Every key is checked before
anything runs. Paths in the file are relative to the current folder.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
import types
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from harness.command.options import RunOptions
from harness.contestants import Contestant
from harness.errors import BadInput
from tasks.experiments import SUITES, TASKS
from tasks.suites import Group, Suite
from tasks.table import UnknownNameError, unknown_name_message

SUFFIX = ".toml"
MAX_BYTES = 2**20
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_KEYS = ("name", "tasks", "contestants", "groups", "timing-tasks", "options")
_GROUP_KEYS = ("tasks", "contestants", "grid")
_NOT_IN_FILES = ("only", "skip")  # options that a file does not need: it lists its tasks and contestants
_DEFAULTS: Mapping[str, Any] = {"scale": "short", "tune_trials": 20, "tune_width": 4, "seeds": 5}

TEMPLATE = """\
# A campaign: every contestant on every task, tuned alike, confirmed on fresh seeds.
#   regarena plan {file}      what would run, and how long it may take
#   regarena run {file}       run it; the same command again resumes

name = "{name}"
tasks = ["digits-mlp"]                      # `regarena list tasks`
contestants = [                             # `regarena list regularizers`; + combines several
    "none",                                 # the baseline with which all others are compared
    "dropout",
    "dropout+weight_decay",
]
timing-tasks = []                           # tasks on which training steps are timed

# Contestants that compete only on some tasks, or at given values of their hyperparameters:
# [[groups]]
# tasks = ["digits-convnet"]
# contestants = ["dropblock"]
# grid = {{ drop_rate = [0.1, 0.2] }}

[options]                                   # those of `regarena run`; the command line overrides them
scale = "short"                             # paper, short (about a tenth of the protocol) or smoke (seconds)
tune-trials = 18                            # of each contestant on each task
tune-width = 9                              # how many of these run at once, on any machine
halving = false                             # true: tune trials with worse values stop early
seeds = 5                                   # trials of the defaults, and again of the tuned winner
select = "best_validation"                  # the rule that picks the winner
# data = "data"                             # folder of data sets, for tasks that read files
# results = "results/{name}"
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What `regarena run` or `plan` is asked for: a suite of the table, or one that a file describes."""

    name: str
    suite: Suite
    options: RunOptions
    text: str = ""  # of the file; "" without one


def asked_for(name: str, options: RunOptions) -> Asked:
    """The suite of that name or of that file, and the options of the command line and the file.

    Args:
        name: of a suite, or the path of a file whose name ends in `.toml`.
        options: those of the command line.

    Raises:
        UnknownNameError: if there is no suite of that name.
        BadInput: if the file cannot be read, or something in it is not allowed.
    """
    if not name.endswith(SUFFIX):
        return Asked(name=name, suite=SUITES[name], options=options)
    path = Path(name)
    text = _text_of(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not valid TOML: {error}.") from error
    _check_keys(path, content, _KEYS, "key of a campaign")
    options = _merged(path, _table(path, content, "options"), options)
    suite = Suite(
        groups=tuple(_groups(path, content)),
        scale=_DEFAULTS["scale"],
        tune_trials=_DEFAULTS["tune_trials"],
        tune_width=_DEFAULTS["tune_width"],
        seeds=_DEFAULTS["seeds"],
        timing_tasks=tuple(_known_tasks(path, content, "timing-tasks")),
        source=path.name,
    )
    name = content.get("name", path.stem)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(f"{path}: name must be letters, digits, '-', '_' and '.', the first a letter, got {name!r}.")
    if name in SUITES:
        raise BadInput(f"{path}: there is a suite named {name!r} already; choose another name.")
    return Asked(name=name, suite=suite, options=options, text=text)


def write_template(path: Path) -> None:
    """Write a commented example of a campaign's file.

    Raises:
        BadInput: if the file exists, its name does not end in .toml, or it cannot be written.
    """
    if path.suffix != SUFFIX:
        raise BadInput(f"The name of a campaign's file must end in {SUFFIX}, got {path}.")
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(TEMPLATE.format(file=path, name=path.stem))
    except FileExistsError:
        raise BadInput(f"{path} exists already; choose another name.") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}).") from error


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"A campaign's file has at most {MAX_BYTES:,} bytes; {path} is larger.")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"There is no file {path}; `regarena init {path}` writes an example.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({error}).") from error


def _groups(path: Path, content: Mapping[str, Any]) -> list[Group]:
    """The group of the file itself, and those below it."""
    own = {key: content[key] for key in ("tasks", "contestants") if key in content}
    tables = content.get("groups", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BadInput(f"{path}: write each group as a table that begins with [[groups]], got {tables!r:.100}.")
    groups = []
    for table in [*([own] if own else []), *tables]:
        _check_keys(path, table, _GROUP_KEYS, "key of a group")
        grid = _table(path, table, "grid")
        for name, values in grid.items():
            if not isinstance(values, list) or not values:
                raise BadInput(f"{path}: grid.{name} must be a list of values, got {values!r}.")
        tasks, names = _known_tasks(path, table, "tasks"), _texts(path, table, "contestants")
        if not tasks or not names:
            raise BadInput(f"{path}: a campaign, and each group in it, must have both tasks and contestants.")
        group_grid = {name: tuple(values) for name, values in grid.items()}
        try:
            contestants = tuple(Contestant(name).name for name in names)
        except UnknownNameError as error:
            raise BadInput(f"{path}: {error.args[0]}") from error
        groups.append(Group(tasks=tuple(tasks), regularizers=contestants, grid=group_grid))
    if not groups:
        raise BadInput(f"{path}: a campaign must have tasks and contestants.")
    return groups


def _known_tasks(path: Path, content: Mapping[str, Any], key: str) -> list[str]:
    names = _texts(path, content, key)
    for name in names:
        if name not in TASKS:
            raise BadInput(f"{path}: {unknown_name_message('task', name, list(TASKS))}")
    return names


def _texts(path: Path, content: Mapping[str, Any], key: str) -> list[str]:
    texts = content.get(key, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise BadInput(f"{path}: {key} must be a list of names, got {texts!r}.")
    return texts


def _table(path: Path, content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = content.get(key, {})
    if not isinstance(table, dict):
        raise BadInput(f"{path}: {key} must be a table, got {table!r}.")
    return table


def _check_keys(path: Path, content: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    for key in content:
        if key not in known:
            raise BadInput(f"{path}: {unknown_name_message(what, key, list(known))}")


def _merged(path: Path, content: Mapping[str, Any], given: RunOptions) -> RunOptions:
    """The options of the command line; those that are not given there take the file's values."""
    fields = {
        _flag(each): each
        for each in dataclasses.fields(RunOptions)
        if "run" in each.metadata["of"] and each.name not in _NOT_IN_FILES
    }
    hints = get_type_hints(RunOptions)
    _check_keys(path, content, list(fields), "option")
    values = {}
    for key, value in content.items():
        field = fields[key]
        checked = _checked(path, key, value, hints[field.name], field.metadata["parameters"])
        if getattr(given, field.name) == field.default:
            values[field.name] = checked
    return dataclasses.replace(given, **values)


def _flag(field: dataclasses.Field[Any]) -> str:
    """An option's name, as on the command line."""
    flags = field.metadata["flags"]
    return str(flags[0]).removeprefix("--") if flags else field.name.replace("_", "-")


def _checked(path: Path, key: str, value: object, hint: Any, parameters: Mapping[str, Any]) -> Any:
    """The value in the option's type.

    Raises:
        BadInput: if it is of another type, out of bounds, or not one of the choices.
    """
    kind = next(each for each in get_args(hint) if each is not type(None)) if get_origin(hint) in _UNIONS else hint
    if issubclass(kind, StrEnum):
        if value not in list(kind):
            raise BadInput(f"{path}: {key} must be one of {', '.join(kind)}, got {value!r}.")
        return kind(value)
    allowed = (int, float) if kind is float else kind
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        raise BadInput(f"{path}: {key} must be {_WORDS[kind]}, got {value!r}.")
    for sign, name in (("at least", "min"), ("at most", "max")):
        bound = parameters.get(name)
        if bound is not None and (value < bound if name == "min" else value > bound):
            raise BadInput(f"{path}: {key} must be {sign} {bound:g}, got {value}.")
    return float(value) if kind is float else value


_UNIONS = (Union, types.UnionType)
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
