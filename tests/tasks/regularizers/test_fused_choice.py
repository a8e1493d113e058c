"""Where the fused kernels are used; their tests in Triton's interpreter, and their compilation for GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tasks.regularizers.fused.choice import has_fused_maps, is_fused
from tasks.runtime import kernel_devices
from tasks.runtime.kernel_devices import INTERPRETER, kernels_on, types_here

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
has_triton = pytest.mark.skipif(not kernel_devices.is_available(), reason="needs Triton")


def on_meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, device="meta", dtype=dtype)


@has_triton
def test_kernels_are_used_on_a_gpu_and_in_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(INTERPRETER, raising=False)
    assert types_here() == {"cuda"}
    monkeypatch.setenv(INTERPRETER, "1")
    assert types_here() == {"cuda", "cpu"}


def test_without_triton_the_portable_form_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_devices, "is_available", lambda: False)
    monkeypatch.setenv(INTERPRETER, "1")
    assert types_here() == frozenset()


def test_kernels_take_floats_of_32_bits_and_less() -> None:
    with kernels_on("meta"):
        assert is_fused(on_meta(2))
        assert is_fused(on_meta(2, dtype=torch.bfloat16))
        assert not is_fused(on_meta(2, dtype=torch.float64)), "kernels compute in 32 bits"
        assert not is_fused(on_meta(0, 3))
        assert not is_fused(torch.ones(2))
    with kernels_on("cpu"):
        assert is_fused(torch.ones(2))
        assert not is_fused(on_meta(2))


@pytest.mark.parametrize(
    ("shape", "overlap", "fits"),
    [
        ((2, 3, 32, 32), True, True),
        ((2, 3, 224, 224), True, False),
        ((2, 3, 112, 112), False, True),
        ((2, 3, 224, 224), False, False),
        ((2, 4096), False, True),
        ((2, 4096), True, False),
        ((2, 5, 16), False, False),
    ],
)
def test_larger_maps_than_a_program_holds_take_the_portable_form(
    shape: tuple[int, ...], overlap: bool, fits: bool
) -> None:
    with kernels_on("meta"):
        assert has_fused_maps(on_meta(*shape), overlap=overlap) == fits


def run(*command: str, **environment: str) -> str:
    paths = os.pathsep.join(filter(None, [*sys.path, str(HERE)]))
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": paths} | environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@has_triton
@pytest.mark.slow
@pytest.mark.parametrize("module", ["test_fused_masks.py", "test_fused_learned.py", "test_fused_compiled.py"])
def test_the_kernels_have_the_laws_of_masks_in_the_interpreter(module: str) -> None:
    tests = str(HERE / module)
    assert "skipped" not in run("-m", "pytest", "-q", "-p", "no:cacheprovider", tests, **{INTERPRETER: "1"})


@has_triton
@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [
        "gaussian_dropout or curriculum_dropout or drop_path",
        "concrete_dropout",
        "sparse_variational_dropout and ends_after_a_break",
    ],
)
def test_contestants_keep_their_laws_with_the_kernels_in_the_interpreter(names: str) -> None:
    """Those whose kernels are quick there; blocks take a program for each map."""
    tests = str(HERE / "test_contract.py")
    run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", "-k", names, tests, **{INTERPRETER: "1"})


@has_triton
@pytest.mark.slow
def test_contestants_on_blocks_resume_with_the_kernels_in_the_interpreter() -> None:
    """On tasks with few maps: blocks take a program for each."""
    names = "(block_feature_map_distortion or dropblock or localdrop) and ends_after_a_break and not no_drop"
    tests, plugin = str(HERE / "test_contract.py"), ("-p", "tinier_tasks")
    run("-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, "-k", names, tests, **{INTERPRETER: "1"})


@has_triton
@pytest.mark.slow
def test_the_kernels_compile_for_gpus() -> None:
    assert "cases compiled" in run(str(ROOT / "tests" / "compile_kernels.py"), **{INTERPRETER: "0"})
