"""Compiles the fused kernels for GPUs, to machine code, without one: run as a program, it fails where a kernel does."""

from __future__ import annotations

import sys
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from tasks.regularizers.fused import kernels
from tasks.regularizers.fused.operators import num_warps

TENSORS = ("x", "y", "rates", "counts", "sums", "squares", "table", "weight", "learned")
REALS = ("keep_rate", "scale", "rate", "step_size", "constant_size", "table_factor", "low", "high")
MAP = {"ROWS": 32, "COLUMNS": 32}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("mask_elements", {"IS_NOISE": False, "IS_LEARNED": False, "BLOCK": 1024}),
    ("mask_elements", {"IS_NOISE": False, "IS_LEARNED": True, "BLOCK": 16}),
    ("mask_elements", {"IS_NOISE": True, "IS_LEARNED": False, "BLOCK": 1024}),
    ("mask_rows", {"BLOCK_ROWS": 1, "BLOCK_COLUMNS": 1024}),
    ("mask_rows", {"BLOCK_ROWS": 64, "BLOCK_COLUMNS": 16}),
    *(("shake_samples", {"IS_BACKWARD": backward, "IS_OF_ELEMENTS": not backward, "BLOCK": 1024})
      for backward in (True, False)),
    *(("mask_maps", {"IS_GRID": grid, "IS_LEARNED": not grid, "IS_REALISED": not grid, "COUNTS": 256, **MAP})
      for grid in (True, False)),
    ("mask_maps", {"IS_GRID": False, "IS_LEARNED": False, "IS_REALISED": True, "COUNTS": 8, "ROWS": 128,
                   "COLUMNS": 128}),
    *(("measure_maps", {"IS_GRID": grid, "IS_LEARNED": grid, "HAS_MOMENTS": moments, "HAS_WEIGHT": moments,
                        "SHARES_SIGNS": grid, "TAPS": 16, **MAP})
      for grid in (True, False) for moments in (True, False)),
    *(("distort_maps", {"IS_GRID": grid, "IS_REALISED": not grid, "HAS_WEIGHT": True, "IS_OF_UNITS": False,
                        "SHARES_PATTERN": grid, "COUNTS": 256, **MAP})
      for grid in (True, False)),
    ("distort_maps", {"IS_GRID": True, "IS_REALISED": True, "HAS_WEIGHT": True, "IS_OF_UNITS": True,
                      "SHARES_PATTERN": True, "COUNTS": 256, "ROWS": 1, "COLUMNS": 2048}),
    ("distort_maps", {"IS_GRID": False, "IS_REALISED": True, "HAS_WEIGHT": False, "IS_OF_UNITS": False,
                      "SHARES_PATTERN": False, "COUNTS": 1, "ROWS": 16, "COLUMNS": 16}),
]  # fmt: skip


def compile_for(capability: int, values: str, name: str, constants: dict[str, Any]) -> None:
    """Compile one kernel for tensors of these values and a compute capability (90 is that of an H100)."""
    kernel = getattr(kernels, name)
    types = {argument: "i32" for argument in kernel.arg_names}
    types |= {argument: "fp32" for argument in kernel.arg_names if argument in REALS}
    types |= {argument: "*fp32" for argument in kernel.arg_names if argument in TENSORS}
    types |= {"x": f"*{values}", "y": f"*{values}", "seed": "i64", "pass_number": "*i64"}
    types |= dict.fromkeys(constants, "constexpr")
    signature = {argument: types[argument] for argument in kernel.arg_names}
    warps = num_warps(constants["ROWS"] * constants["COLUMNS"]) if "ROWS" in constants else 4
    source, target = ASTSource(kernel, signature, constants), GPUTarget("cuda", capability, 32)
    compiled = triton.compile(source, target=target, options={"num_warps": warps})
    assert compiled.asm["cubin"]


if __name__ == "__main__":
    for name, constants in CASES:
        for capability, values in ((80, "fp32"), (90, "bf16"), (90, "fp16")):
            compile_for(capability, values, name, constants)
        print(name, constants, file=sys.stderr)
    print(f"{len(CASES)} cases compiled")
