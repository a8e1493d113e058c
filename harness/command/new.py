"""Writes a package with a regularizer, a task or a data set: complete, installable, an example to change.

The files are made from the templates in `templates/`: one folder for each kind, in that of regularizers one for each
hook, and `pyproject.toml.j2` for all.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.command.parameters import HookName, NewKind
from harness.command.registries import TABLES
from harness.errors import BadInput
from harness.records import OVERALL
from harness.results.location_rule import check_location

MAX_CHARACTERS = 60  # of a name
_TEMPLATES = Path(__file__).parent / "templates"
_PATTERNS = {  # what a name of each kind looks like in the tables, and in words
    NewKind.regularizer: (re.compile(r"[a-z][a-z0-9_]*"), "lower-case letters, digits and '_'"),
    NewKind.task: (re.compile(r"[a-z][a-z0-9_-]*"), "lower-case letters, digits, '-' and '_'"),
    NewKind.dataset: (re.compile(r"[a-z][a-z0-9_-]*"), "lower-case letters, digits, '-' and '_'"),
}
_EXAMPLES = {  # what the example of each hook does
    HookName.transform_batch: "Gaussian noise on the inputs",
    HookName.penalty: "a penalty on the squares of the weights",
    HookName.fill: "noise that multiplies the units of dense layers",
}
_IMPORTED = (  # classes that the templates of regularizers import
    "Batch", "ClassVar", "Context", "MaskStream", "Real", "Regularizer", "Scalar", "Site", "Space", "Step", "Tensor",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class NewPackage:
    """What was written: the folder, the module with the entry, and the names of the entries."""

    kind: NewKind
    folder: Path
    module: Path
    entries: tuple[str, ...]


def write_package(kind: NewKind, name: str, into: str | None = None, hook: HookName | None = None) -> NewPackage:
    """Write a package that registers an entry of this kind and name with regarena.

    Args:
        kind: what the entry is.
        name: of the entry; for a regularizer a Python identifier in lower case, otherwise "-" is allowed too.
        into: the folder of the package, new or empty; by default one of the entry's name in the current folder.
        hook: the hook that the example of a regularizer overrides, by default `transform_batch`.

    Raises:
        BadInput: if the name is not allowed or taken, the folder cannot be written or holds files, or another kind than
            a regularizer is given a hook.
    """
    check_name(kind, name)
    if hook is not None and kind is not NewKind.regularizer:
        raise BadInput(f"--hook is for regularizers; a {_word(kind)} has none.")
    hook = hook or HookName.transform_batch
    examples = f"{kind}/{hook}" if kind is NewKind.regularizer else kind.value
    folder, module = _folder(name if into is None else into), name.replace("-", "_")
    groups = _groups(kind, name)
    values = {
        "name": name,
        "module": module,
        "class_name": class_name(name),
        "package": name.replace("_", "-").strip("-"),
        "task": f"{name}-mlp",
        "description": f"The {TABLES[_table(kind)].kind} {name} for regarena",
        "example": _EXAMPLES[hook],
        "groups": groups,
    }
    files = {
        "pyproject.toml": "pyproject.toml.j2",
        "README.md": f"{kind}/README.md.j2",
        f"src/{module}.py": f"{examples}/module.py.j2",
        f"tests/test_{module}.py": f"{examples}/test_module.py.j2",
    }
    environment = Environment(  # Python and TOML, not HTML; the name has no special characters
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    texts = {path: environment.get_template(template).render(values) for path, template in files.items()}
    _write(folder, texts)
    entries = tuple(dict.fromkeys(entry for names in groups.values() for entry in names))
    return NewPackage(kind=kind, folder=folder, module=folder / "src" / f"{module}.py", entries=entries)


def next_commands(package: NewPackage) -> list[str]:
    """What to run next: the installation, the check, and a first campaign."""
    name, last = package.entries[0], package.entries[-1]
    is_regularizer = package.kind is NewKind.regularizer
    compete = f"run quickstart --only none,dropout,{name}" if is_regularizer else f"tune {last} --regularizer dropout"
    return [
        f"pip install -e {shlex.quote(str(package.folder))}",
        f"regarena check {' '.join(package.entries)}",
        f"regarena {compete}{'' if is_regularizer else ' --scale smoke --tune-trials 4'}",
    ]


def check_name(kind: NewKind, name: str) -> None:
    """Check that an entry of this kind may have this name.

    Raises:
        BadInput: for a name that is no identifier, is taken in one of regarena's tables or in rankings, or is that of a
            module.
    """
    pattern, allowed = _PATTERNS[kind]
    if not pattern.fullmatch(name) or len(name) > MAX_CHARACTERS:
        rule = f"at most {MAX_CHARACTERS} {allowed}, the first a letter"
        raise BadInput(f"The name of a {_word(kind)} must have {rule}, got {name!r:.80}{_suggestion(kind, name)}.")
    entries = [name, *(entry for names in _groups(kind, name).values() for entry in names)]
    for entry in dict.fromkeys(entries):
        for table in TABLES.values():
            if entry in table:
                raise BadInput(
                    f"There is a {table.kind} named {entry!r} already (of the package {table.package(entry)}); choose "
                    "another name."
                )
    if kind is NewKind.task and name == OVERALL:
        raise BadInput(f"Rankings name their rows over all tasks {OVERALL!r}; choose another name.")
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or _is_installed(module):
        raise BadInput(
            f"The package would have a module {module!r}, which is a word of Python or an installed module; choose "
            "another name."
        )


def class_name(name: str) -> str:
    """The name of the class for an entry's name; one that the templates import is avoided.

    >>> class_name("input_noise"), class_name("batch")
    ('InputNoise', 'BatchRegularizer')
    """
    words = "".join(word[:1].upper() + word[1:] for word in re.split("[_-]", name))
    return f"{words}Regularizer" if words in _IMPORTED else words


def _groups(kind: NewKind, name: str) -> dict[str, dict[str, str]]:
    """The entry points of the package: group -> name -> object in the module."""
    if kind is NewKind.regularizer:
        return {"regularizers": {name: class_name(name)}, "search_spaces": {name: "SPACE"}}
    if kind is NewKind.task:
        return {"tasks": {name: "TASK"}}
    return {"datasets": {name: "DATASET"}, "tasks": {f"{name}-mlp": "TASK"}}


def _table(kind: NewKind) -> str:
    return f"{kind}s"


def _word(kind: NewKind) -> str:
    return TABLES[_table(kind)].kind


def _suggestion(kind: NewKind, name: str) -> str:
    """The nearest name that is allowed, as the end of a sentence; "" if there is none."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    near = re.sub("[^a-z0-9]+", "_", words).strip("_0123456789")[:MAX_CHARACTERS]
    return f"; {near!r} is one" if near and near != name and _PATTERNS[kind][0].fullmatch(near) else ""


def _is_installed(module: str) -> bool:
    """Whether Python finds a module of that name; a mere folder of that name is none."""
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None


def _folder(text: str) -> Path:
    """The folder that `--into` names.

    Raises:
        BadInput: if it is blank or a URI.
    """
    if "://" in check_location(text, "--into"):
        raise BadInput(f"--into takes a folder of this machine, got {text}.")
    return Path(text)


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write the files into a folder that is new or empty; if one cannot be written, none is left.

    Raises:
        BadInput: if the folder holds files, is none, or cannot be written.
    """
    made: list[Path] = []
    try:
        if folder.is_dir():
            if any(folder.iterdir()):
                raise BadInput(f"The folder {folder} is not empty; --into takes a new or an empty folder.")
        else:
            folder.mkdir(parents=True)
            made.append(folder)
        for path, text in texts.items():
            file = folder / path
            if not file.parent.exists():
                file.parent.mkdir()
                made.append(file.parent)
            with file.open("x", encoding="utf-8") as stream:
                made.append(file)
                stream.write(text)
    except FileExistsError as error:
        raise BadInput(f"{error.filename} exists already; --into takes a new or an empty folder.") from None
    except OSError as error:
        _remove(made)
        raise BadInput(f"The folder {folder} cannot be written ({error.strerror}); --into takes another.") from error


def _remove(made: Sequence[Path]) -> None:
    """Remove files and folders, the last first; a folder that is not empty stays."""
    for path in reversed(made):
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
