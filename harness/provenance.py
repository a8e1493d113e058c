"""Where a row comes from: versions, hardware, and a hash of the code that the trial uses. No host or user names."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import platform
import subprocess
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tasks import TASKS
from tasks.architectures import ARCHITECTURES
from tasks.datasets import DATASETS
from tasks.regularizers import REGULARIZERS
from tasks.task import Task

OUR_PACKAGES = ("harness", "tasks", "search_spaces", "analysis")
ALWAYS_USED = ("tasks.training", "tasks.task", "harness.trial")


def package_version(name: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@lru_cache(maxsize=1)
def software() -> dict[str, Any]:
    """The provenance columns that are the same for all trials of a process."""
    return {
        **_git(),
        "python_version": platform.python_version(),
        "torch_version": package_version("torch"),
        "numba_version": package_version("numba"),
        "ray_version": package_version("ray"),
        "optuna_version": package_version("optuna"),
        "regarena_version": package_version("regarena"),
    }


def _git() -> dict[str, Any]:
    """Commit of the checkout that this code runs from; nulls where it is installed without one."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return {"git_commit": None, "git_dirty": None}
    try:
        commit = _output("git", "-C", str(root), "rev-parse", "HEAD")
        status = _output("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return {"git_commit": None, "git_dirty": None}
    return {"git_commit": commit, "git_dirty": bool(status)}


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


@lru_cache(maxsize=1)
def processor() -> str:
    """The processor's own name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


_GPU_AND = " |"  # between the GPU and its processor


def hardware_key(device: str, cpu_threads: int) -> str:
    """What times may be compared on: the device's name and the threads; equal keys mean comparable times."""
    if device.startswith("cuda"):
        import torch

        gpu = torch.cuda.get_device_name(device) if torch.cuda.is_available() else "a GPU out of reach"
        return f"{gpu}{_GPU_AND} {processor()} x{cpu_threads}"
    return f"{processor()} x{cpu_threads}"


def is_of_gpu(key: str) -> bool:
    """Whether a `hardware_key` is that of a GPU.

    >>> is_of_gpu("NVIDIA H100 | AMD EPYC x1"), is_of_gpu("AMD EPYC x1")
    (True, False)
    """
    return _GPU_AND in key


def code_hash(task_name: str, regularizer_names: Iterable[str]) -> str:
    """Code version of what one cell uses: 12 hexadecimal digits over its modules and all of ours that they import.

    Comments, docstrings and layout do not count, and neither do our packages' `__init__` files, which hold tables
    and prose: a new contestant leaves the trials of the others fresh. Those of other people's packages count.
    """
    task: Task = TASKS[task_name]
    targets = [TASKS.target(task_name), *(REGULARIZERS.target(name) for name in regularizer_names)]
    targets += [DATASETS.target(task.dataset)] if task.dataset in DATASETS else []
    targets += [ARCHITECTURES.target(task.architecture)] if task.architecture in ARCHITECTURES else []
    modules = {*ALWAYS_USED, *(target.partition(":")[0] for target in targets)}
    return _hash_of(frozenset(modules))


@cache
def _hash_of(roots: frozenset[str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(_closure(roots)):
        digest.update(f"{name}\n{_normalised(name)}\n".encode())
    return digest.hexdigest()[:12]


def _closure(roots: Iterable[str]) -> set[str]:
    """The modules reached from `roots` by imports, within the root packages themselves."""
    packages = {root.partition(".")[0] for root in roots} - {"harness"}
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found or _source(name) is None:
            continue
        found.add(name)
        waiting += [imported for imported in _imports(name) if imported.partition(".")[0] in packages]
    return found


@cache
def _source(module: str) -> Path | None:
    """Source file of a module, or None for packages of ours and for names that are no module."""
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
def _tree(module: str) -> ast.Module:
    source = _source(module)
    assert source is not None
    return ast.parse(source.read_text(encoding="utf-8"))


def _imports(module: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(node, module)
            names += [source, *(f"{source}.{alias.name}" for alias in node.names)]
    return names


def _absolute(node: ast.ImportFrom, module: str) -> str:
    """The full name of what `module` imports from."""
    if not node.level:
        return node.module or ""
    source = _source(module)
    is_package = source is not None and source.name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    return importlib.util.resolve_name("." * node.level + (node.module or ""), package)


@cache
def _normalised(module: str) -> str:
    """The module's code without docstrings, comments and layout."""
    tree = ast.parse(ast.unparse(_tree(module)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = [part for part in node.body if not _is_text(part)]
            node.body = body or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
