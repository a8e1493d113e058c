"""The checks of `regarena doctor`: whether this machine can run a campaign."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.provenance import package_version, processor
from harness.workers.processors import usable_cpus
from harness.workers.temporary_folders import short_folder

PACKAGES = ("ray", "optuna", "torch", "torchvision", "pyarrow", "pandas", "seaborn", "scikit-learn")
MIN_FREE_BYTES = 2 * 2**30
MIN_OPEN_FILES = 1024  # Ray's processes hold hundreds
MIN_MEMORY_BYTES = 4 * 2**30  # of one process: the largest trials at smoke scale take 2.4 GB
_PROCESSOR_FILE = Path("/proc/cpuinfo")


def examine() -> Iterator[tuple[str, bool, str]]:
    """Run the checks; yields (name, whether it passed, what was found) as each ends. An exception is a failure."""
    checks: dict[str, Callable[[], tuple[bool, str]]] = {
        "packages": _packages,
        "processor": lambda: (True, f"{processor()}, {_threads()}{_bf16()}"),
        "GPU": _gpu,
        "free disk here": _disk,
        "limits of a process": _limits,
        "temporary folder": _temporary_folder,
        "a trial in a child process": _trial,
        "a local Ray on loopback": _ray,
    }
    for name, check in checks.items():
        try:
            is_well, finding = check()
        except Exception as error:
            is_well, finding = False, f"{type(error).__name__}: {error}"
        yield name, is_well, finding


def _packages() -> tuple[bool, str]:
    versions = {name: package_version(name) for name in PACKAGES}
    missing = [name for name, version in versions.items() if version is None]
    found = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return not missing, f"missing {', '.join(missing)}; found {found}" if missing else found


def _threads() -> str:
    """The CPUs that this process may use, and those of the machine if there are more."""
    usable, present = usable_cpus(), os.cpu_count() or 1
    return f"{usable} threads" if usable == present else f"{usable} of {present} threads may be used"


def _bf16() -> str:
    """How well this processor computes in bf16, which `--precision bf16` uses; "" if the system does not tell."""
    try:
        words = set(_PROCESSOR_FILE.read_text().split())
    except OSError:
        return ""
    if "amx_bf16" in words:
        return ", multiplies matrices in bf16"
    if words & {"avx512_bf16", "bf16"}:  # of x86, of ARM
        return ", computes in bf16"
    return ", no bf16: on it --precision bf16 slows trials down"


def _gpu() -> tuple[bool, str]:
    import torch

    if not torch.cuda.is_available():
        return True, "none; trials run on the processor"
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return True, ", ".join(names)


def _disk() -> tuple[bool, str]:
    free = shutil.disk_usage(Path.cwd()).free
    return free >= MIN_FREE_BYTES, f"{free / 2**30:.1f} GiB"


def _limits() -> tuple[bool, str]:
    """The limits (`ulimit`) that can end a campaign: the soft one on open files, the hard ones on memory."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    memory = [resource.getrlimit(kind)[1] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
    least = min((limit for limit in memory if limit != resource.RLIM_INFINITY), default=None)
    found = f"{files} open files, {'no limit of memory' if least is None else f'{least / 2**30:.1f} GiB of memory'}"
    advice = []
    if files < MIN_OPEN_FILES:
        advice.append(f"at least {MIN_OPEN_FILES} open files are needed (ulimit -n)")
    if least is not None and least < MIN_MEMORY_BYTES:
        advice.append(f"trials may need {MIN_MEMORY_BYTES / 2**30:g} GiB (ulimit -d, ulimit -v)")
    return not advice, "; ".join([found, *advice])


def _temporary_folder() -> tuple[bool, str]:
    """The folder of sockets and temporary files; other users must not be able to replace a folder in it."""
    folder = short_folder()
    mode, free = os.stat(folder).st_mode, shutil.disk_usage(folder).free
    others_write = mode & stat.S_IWOTH and not mode & stat.S_ISVTX
    found = f"{folder}, {free / 2**30:.1f} GiB free"
    if folder != tempfile.gettempdir():
        found += f" (paths of sockets in {tempfile.gettempdir()} would be too long)"
    if others_write:
        return (
            False,
            f"{found}; any user can remove files in it: set its sticky bit (chmod +t), or use another folder (TMPDIR)",
        )
    return free >= MIN_FREE_BYTES, found


def _trial() -> tuple[bool, str]:
    from harness.contestants import Contestant
    from harness.execution import Execution, placed
    from harness.records import TrialSpec
    from harness.workers.isolation import run_isolated
    from tasks.experiments import TASKS

    task = "digits-mlp"
    hyperparameters = Contestant("none").resolve(TASKS[task], "smoke")
    spec = TrialSpec(
        task=task,
        regularizer="none",
        hyperparameters=hyperparameters,
        seed=0,
        role="default",
        scale="smoke",
        code_hash="",
    )
    execution = placed(Execution(gpu_fraction=1.0), None)  # on a GPU, if there is one
    record = run_isolated(spec, execution)
    value = record.values.get("test_value")
    if not record.succeeded:
        return False, str(record.values)
    return True, f"{record.status} on {execution.device}, test accuracy {value:.3f}"


def _ray() -> tuple[bool, str]:
    from harness.request import Cluster
    from harness.tuner import cluster_resources

    resources = cluster_resources(Cluster())
    return True, ", ".join(f"{name} {amount:g}" for name, amount in resources.items())
