"""The identity of code: a hash over the definitions that a trial reaches. Only needs the standard library.

A trial uses functions, classes and constants, not whole modules: adding another protocol to a module does not change
the hashes of trials that do not use it. The hash covers a graph. Its nodes are the top-level definitions that are
reached from the roots (a task's constant, a regularizer's class) by the names that they use. The text of a node is its
syntax tree without docstrings, comments, layout and the annotations of functions. Nodes are numbered in the order in
which they are reached, and the hash contains no module names: a definition that moves to another module keeps its
hash. Names of other packages (torch, numpy) enter as text.

The syntax tree is written by `dump`: what `ast.dump` and `ast.unparse` print depends on the version of Python.
"""

from __future__ import annotations

import ast
import importlib.util
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

OUR_PACKAGES = ("harness", "tasks", "search_spaces", "analysis")
_LEFT_OUT = ("type_comment", "kind", "ctx")  # fields without influence on what the code does
_BLOCKS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)


class Reference(NamedTuple):
    """A top-level definition: the module that holds it, and its name there. Without a name it is the whole module."""

    module: str
    name: str

    @property
    def package(self) -> str:
        """First part of the module's name."""
        return self.module.partition(".")[0]

    @property
    def as_module(self) -> str | None:
        """The module that an imported name stands for; None for a class, a function or a value."""
        full = f"{self.module}.{self.name}" if self.name else self.module
        return full if _source(full) is not None else None


def code_hash(targets: Iterable[str], packages: Iterable[str] = ()) -> str:
    """12 hexadecimal digits over the code of these definitions ("module:name") and all that they use.

    Names are followed within the packages of the targets and in `packages`; in `harness` they are followed within one
    module only. The `__init__` files of regarena's packages hold only tables and docstrings, and are left out; those of
    other packages count.
    """
    return _hash_of(tuple(dict.fromkeys(targets)), frozenset(packages))


@cache
def _hash_of(targets: tuple[str, ...], further_packages: frozenset[str]) -> str:
    roots = [Reference(*target.split(":")) for target in targets]
    packages = further_packages | {root.package for root in roots}
    reached = {_defined_at(root, packages) or root: None for root in roots}
    numbers = {reference: number for number, reference in enumerate(reached)}
    digest = sha256()
    waiting = list(numbers)
    for reference in waiting:  # grows in the loop
        text, used = _followed_from(reference, packages)
        lines = [text]
        for name, definition in used:
            if isinstance(definition, Reference) and definition not in numbers:
                numbers[definition] = len(numbers)
                waiting.append(definition)
            lines.append(f"\n{name} = {numbers[definition] if isinstance(definition, Reference) else definition}")
        digest.update("".join(lines).encode())
    return digest.hexdigest()[:12]


@cache
def _followed_from(
    reference: Reference, packages: frozenset[str]
) -> tuple[str, tuple[tuple[str, Reference | str], ...]]:
    """The text of a definition, and what each name that it uses stands for, in the order of their use."""
    text, used = _node(reference, packages)
    followed = ((name, _followed(target, reference.module, packages)) for name, target in used)
    return text, tuple((name, definition) for name, definition in followed if definition)


def _followed(reference: Reference, user: str, packages: frozenset[str]) -> Reference | str | None:
    """What a name that the module `user` uses stands for: a definition, text of another package, or nothing."""
    if reference.package == "harness" and reference.module != user:
        return None
    if reference.package in packages:
        return _defined_at(reference, packages)
    return None if reference.package in OUR_PACKAGES else f"{reference.module}:{reference.name}"


def _defined_at(reference: Reference, packages: frozenset[str]) -> Reference | None:
    """The definition of a name, through modules that only import it; None for our tables and for other packages."""
    seen: set[Reference] = set()
    while reference not in seen and reference.package in packages:
        seen.add(reference)
        module = _module(reference.module) if _source(reference.module) is not None else _Module()
        if reference.name in module.definitions:
            return reference
        if reference.name in module.imports:
            reference = module.imports[reference.name]
        else:  # an imported module, or a name that a module creates when it is imported: the whole module counts
            whole = reference.as_module or reference.module
            return Reference(whole, "") if _source(whole) is not None else None
    return None


@dataclass
class _Module:
    """The top level of a module: what is defined and imported under which name, and all other statements."""

    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, Reference] = field(default_factory=dict)
    statements: list[ast.stmt] = field(default_factory=list)

    def nodes(self, name: str) -> list[ast.stmt]:
        """The statements that define this name, and those that define no name at all; for an empty name all of them."""
        named = [self.definitions[name]] if name else self.definitions.values()
        return list(dict.fromkeys([*itertools.chain.from_iterable(named), *self.statements]))


@cache
def _source(module: str) -> Path | None:
    """The source file of a module; None for the `__init__` files of our packages and for names that are no module."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    if spec.submodule_search_locations and module.partition(".")[0] in OUR_PACKAGES:
        return None
    return Path(spec.origin)


@cache
def _module(name: str) -> _Module:
    source = _source(name)
    assert source is not None
    found = _Module()
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.imports |= _imported(node, name)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in dump(node.test):
            continue
        elif names := [*_bound(node), *_registered(node)]:
            for each in names:
                found.definitions.setdefault(each, []).append(node)
        elif not _is_text(node):
            found.statements.append(node)
    return found


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a top-level statement defines, also within `if`, `try`, `with` and `for`."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.ExceptHandler):
        for child in ast.iter_child_nodes(node):
            yield from _bound(child)


def _registered(node: ast.AST) -> Iterator[str]:
    """The names that a decorated function is registered with: `operator` for `@operator.register_fake`."""
    for decorator in getattr(node, "decorator_list", []):
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name):
            yield call.value.id


def _imported(node: ast.AST, module: str) -> dict[str, Reference]:
    """What each name of an import statement stands for; nothing for other nodes."""
    if isinstance(node, ast.Import):
        names = [(alias, alias.asname or alias.name.partition(".")[0]) for alias in node.names]
        return {name: Reference(alias.name if alias.asname else name, "") for alias, name in names}
    if isinstance(node, ast.ImportFrom):
        origin = node.module or ""
        if node.level:
            source = _source(module)
            is_package = source is not None and source.name == "__init__.py"
            package = module if is_package else module.rpartition(".")[0]
            origin = importlib.util.resolve_name("." * node.level + origin, package)
        return {alias.asname or alias.name: Reference(origin, alias.name) for alias in node.names}
    return {}


@cache
def _node(reference: Reference, packages: frozenset[str]) -> tuple[str, tuple[tuple[str, Reference], ...]]:
    """The text of a definition, and the names that it uses with what each stands for, in the order of their use."""
    module = _module(reference.module)
    nodes = module.nodes(reference.name)
    inside = [part for node in nodes for part in ast.walk(node)]
    names = {name: Reference(reference.module, name) for name in module.definitions} | module.imports
    for part in inside:  # imports within functions
        names |= _imported(part, reference.module)
    used = dict.fromkeys(each for node in nodes for each in _used(node, names, reference.module, packages))
    return "\n".join(map(dump, nodes)), tuple(each for each in used if each[1] != reference)


def _used(
    node: ast.AST, names: Mapping[str, Reference], module: str, packages: frozenset[str]
) -> Iterator[tuple[str, Reference]]:
    """The names of the module that a syntax tree uses; of an imported module, its attribute (`name.attribute`)."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        imported = _imported(node, module).items()
        yield from (each for each in imported if each[1].package not in packages or each[1].as_module is None)
    elif isinstance(node, ast.Name) and node.id in names:
        yield node.id, names[node.id]
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
        yield _taken(node.value.id, node.attr, names[node.value.id], packages)
    else:
        for child in _children(node):
            yield from _used(child, names, module, packages)


def _taken(name: str, attribute: str, origin: Reference, packages: frozenset[str]) -> tuple[str, Reference]:
    """What an attribute of an imported name stands for."""
    if origin.package not in packages:  # whether it is a module depends on what is installed
        return f"{name}.{attribute}", origin
    module = origin.as_module
    return (name, origin) if module is None else (f"{name}.{attribute}", Reference(module, attribute))


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below one, without annotations."""
    for name, value in _fields(node):
        if name != "annotation":
            yield from (part for part in (value if isinstance(value, list) else [value]) if isinstance(part, ast.AST))


def dump(node: object) -> str:
    """A syntax tree as text that is the same in every version of Python.

    >>> dump(ast.parse("x  =  f'{y}'  # why").body[0])
    "Assign(targets=[Name(id='x')], value=JoinedStr(values=[FormattedValue(conversion=-1, value=Name(id='y'))]))"
    """
    if isinstance(node, ast.AST):
        return f"{type(node).__name__}({', '.join(f'{name}={dump(value)}' for name, value in _fields(node))})"
    if isinstance(node, list):
        return f"[{', '.join(map(dump, node))}]"
    return repr(node)


def _fields(node: ast.AST) -> Iterator[tuple[str, object]]:
    """The fields that count, by name. Empty ones are left out: newer versions of Python have more of them."""
    for name in sorted(node._fields):
        value = getattr(node, name, None)
        if value is None or value == [] or name in _LEFT_OUT:
            continue
        if name == "returns" or (name == "annotation" and not isinstance(node, ast.AnnAssign)):
            continue
        if isinstance(node, ast.ImportFrom) and name in ("module", "level"):
            continue
        if name == "body" and isinstance(node, _BLOCKS):
            value = [part for part in node.body if not _is_text(part)]
        if isinstance(node, ast.JoinedStr):
            value = list(_joined(node.values))
        yield name, value


def _joined(values: Iterable[ast.expr]) -> Iterator[ast.expr]:
    """The parts of an f-string with neighbouring constants joined: versions of Python split them differently."""
    text = ""
    for value in values:
        if isinstance(value, ast.Constant):
            text += str(value.value)
            continue
        if text:
            yield ast.Constant(value=text)
        text = ""
        yield value
    if text:
        yield ast.Constant(value=text)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
