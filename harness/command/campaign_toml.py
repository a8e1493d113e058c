"""A campaign described in a TOML file: its tasks and contestants, and options of `regarena run`.

Options have the names of the command line, and a value given there overrides the file's. Every key is checked before
anything runs. Paths in the file are relative to the current folder.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import tomllib
import types
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from harness.command.options import RunOptions, flag_of, request_of
from harness.command.toml_values import WORDS, check_keys, table_in, texts_in
from harness.contestants import Contestant
from harness.errors import BadInput
from harness.unknown_names import unknown_name
from tasks.experiments import SUITES, TASKS
from tasks.suites import Group, Suite
from tasks.table import UnknownNameError

if TYPE_CHECKING:
    from harness.command.own_tasks_toml import OwnTasks
    from harness.request import Request

SUFFIX = ".toml"
MAX_BYTES = 2**20
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_KEYS = ("name", "tasks", "contestants", "groups", "timing-tasks", "options", "own-tasks", "protocols")
_GROUP_KEYS = ("tasks", "contestants", "grid")
_NOT_IN_FILES = ("only", "skip")  # options that a file does not need: it lists its tasks and contestants
_DEFAULTS: Mapping[str, Any] = {
    "scale": "short",
    "scale_of_own_tasks": "paper",
    "tune_trials": 20,
    "tune_width": 4,
    "seeds": 5,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What `regarena run` or `plan` is asked for: a suite of the table, or one that a file describes."""

    name: str
    suite: Suite
    options: RunOptions
    text: str = ""  # of the file; "" without one
    task_data: Mapping[str, str] = dataclasses.field(default_factory=dict)  # folders of images, by task
    code_folder: str | None = None  # of the user's own code, where the file names some

    def request(self) -> Request:
        """The request to run it."""
        request = request_of(self.name, self.suite, self.options)
        execution = dataclasses.replace(request.execution, task_data=self.task_data, code_folder=self.code_folder)
        return dataclasses.replace(request, execution=execution, file_text=self.text)


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
    check_keys(path, content, _KEYS, "key of a campaign")
    options = _merged(path, table_in(path, content, "options"), options)
    own = _own_tasks(path, content)
    suite = Suite(
        groups=tuple(_groups(path, content, list(own.definitions))),
        scale=_DEFAULTS["scale_of_own_tasks" if own.definitions else "scale"],
        tune_trials=_DEFAULTS["tune_trials"],
        tune_width=_DEFAULTS["tune_width"],
        seeds=_DEFAULTS["seeds"],
        timing_tasks=tuple(_known_tasks(path, content, "timing-tasks", list(own.definitions))),
        source=path.name,
        definitions=own.definitions,
    )
    name = content.get("name", path.stem)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(f"{path}: name must be letters, digits, '-', '_' and '.', the first a letter, got {name!r}.")
    if name in SUITES:
        raise BadInput(f"{path}: there is a suite named {name!r} already; choose another name.")
    return Asked(
        name=name,
        suite=suite,
        options=options,
        text=text,
        task_data=own.folders,
        code_folder=own.code_folder,
    )


def _own_tasks(path: Path, content: Mapping[str, Any]) -> OwnTasks:
    """The tasks that the file defines; without some, torch is not imported."""
    from harness.command.own_tasks_toml import PROTOCOLS, TABLE, OwnTasks, own_tasks_of

    return own_tasks_of(path, content) if content.keys() & {TABLE, PROTOCOLS} else OwnTasks()


def asked_to_tune(task: str, names: tuple[str, ...], options: RunOptions) -> Asked:
    """What `regarena tune` is asked for: these contestants on one task, of the table or of a file (`FILE.toml:NAME`).

    Raises:
        UnknownNameError: if there is no task of that name.
        BadInput: for a suite or a file in place of a task, and whatever `asked_for` refuses.
    """
    file, separator, name = task.rpartition(":")
    if separator and file.endswith(SUFFIX):
        asked = asked_for(file, options)
        own = asked.suite.definitions
        if name not in own:
            raise BadInput(f"{file}: {unknown_name('task defined there', name, own)}")
        suite = _tuned(name, names, asked.suite.scale, {name: own[name]})
        return dataclasses.replace(asked, name=f"tune-{name}", suite=suite)
    if task.endswith(SUFFIX):
        raise BadInput(f"tune takes one task: {task}:NAME for a task that the file defines, got {task!r}.")
    if task in SUITES and task not in TASKS:
        raise BadInput(f"tune takes a task, got the suite {task!r}; `regarena run {task}` tunes the whole suite.")
    TASKS.target(task)
    return Asked(name=f"tune-{task}", suite=_tuned(task, names, _DEFAULTS["scale"], {}), options=options)


def _tuned(task: str, names: tuple[str, ...], scale: str, definitions: Mapping[str, str]) -> Suite:
    groups = (Group(tasks=(task,), regularizers=names),)
    return Suite(groups=groups, scale=scale, tune_trials=30, tune_width=8, definitions=definitions)


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"A campaign's file has at most {MAX_BYTES:,} bytes; {path} is larger.")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(
            f"There is no file {path}; `regarena init {shlex.quote(str(path))}` writes an example."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({error}).") from error


def _groups(path: Path, content: Mapping[str, Any], own_tasks: list[str]) -> list[Group]:
    """The group of the file itself, and those below it; the file's own tasks are its tasks if it lists none."""
    own = {key: content[key] for key in ("tasks", "contestants") if key in content}
    if own_tasks and "contestants" in own:
        own.setdefault("tasks", own_tasks)
    tables = content.get("groups", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BadInput(f"{path}: write each group as a table that begins with [[groups]], got {tables!r:.100}.")
    groups = []
    for table in [*([own] if own else []), *tables]:
        check_keys(path, table, _GROUP_KEYS, "key of a group")
        grid = table_in(path, table, "grid")
        for name, values in grid.items():
            if not isinstance(values, list) or not values:
                raise BadInput(f"{path}: grid.{name} must be a list of values, got {values!r}.")
        tasks, names = _known_tasks(path, table, "tasks", own_tasks), texts_in(path, table, "contestants")
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


def _known_tasks(path: Path, content: Mapping[str, Any], key: str, own_tasks: list[str]) -> list[str]:
    names = texts_in(path, content, key)
    for name in names:
        if name not in TASKS and name not in own_tasks:
            raise BadInput(f"{path}: {unknown_name('task', name, [*own_tasks, *TASKS])}")
    return names


def _merged(path: Path, content: Mapping[str, Any], given: RunOptions) -> RunOptions:
    """The options of the command line; those that are not given there take the file's values.

    An option of the file that excludes one of the command line is left out.
    """
    fields = {
        flag_of(each).removeprefix("--"): each
        for each in dataclasses.fields(RunOptions)
        if "run" in each.metadata["of"] and each.name not in _NOT_IN_FILES
    }
    hints = get_type_hints(RunOptions)
    check_keys(path, content, list(fields), "option")
    values = {}
    for key, value in content.items():
        field = fields[key]
        checked = _checked(path, key, value, hints[field.name], field.metadata["parameters"])
        excluded = [each for each in fields.values() if each.name == field.metadata["instead_of"]]
        if all(getattr(given, each.name) == each.default for each in (field, *excluded)):  # None or False: not given
            values[field.name] = checked
    return dataclasses.replace(given, **values)


def _checked(path: Path, key: str, value: object, hint: Any, parameters: Mapping[str, Any]) -> Any:
    """The value in the option's type.

    Raises:
        BadInput: if it is of another type, out of bounds, or not one of the choices.
    """
    if parser := parameters.get("parser"):
        return parser(value)
    kind = next(each for each in get_args(hint) if each is not type(None)) if get_origin(hint) in _UNIONS else hint
    if get_origin(kind) is list:
        return texts_in(path, {key: value}, key)
    if issubclass(kind, StrEnum):
        if value not in list(kind):
            raise BadInput(f"{path}: {key} must be one of {', '.join(kind)}, got {value!r}.")
        return kind(value)
    allowed = (int, float) if kind is float else kind
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        raise BadInput(f"{path}: {key} must be {WORDS[kind]}, got {value!r}.")
    for sign, name in (("at least", "min"), ("at most", "max")):
        bound = parameters.get(name)
        if bound is not None and (value < bound if name == "min" else value > bound):
            raise BadInput(f"{path}: {key} must be {sign} {bound:g}, got {value}.")
    return float(value) if kind is float else value


_UNIONS = (Union, types.UnionType)
