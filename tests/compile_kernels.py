"""Compiles the fused kernels for GPUs, to machine code, without one: run as a program, it fails where a kernel does."""

from __future__ import annotations

import sys
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from tasks.regularizers.fused import kernels, learned_kernels, norm_kernels, weight_kernels
from tasks.regularizers.fused.operators import num_warps

MODULES = (kernels, learned_kernels, weight_kernels, norm_kernels)
VALUES = (  # in the number format of the network
    "x", "y", "gradient", "gradient_of_x", "mean", "variance", "variances", "gradient_of_variance", "of_squares",
    "of_variances", "of_x",
)  # fmt: skip
TENSORS = (
    "rates", "counts", "sums", "squares", "table", "weight", "level", "logit", "logits", "norm", "norms",
    "divergence", "divergences", "gradient_of_divergence", "gradient_of_logit", "gradient_of_logits", "scaled",
    "of_weight", "of_divergence", "gradient_of_weight", "gradient_of_scaled", "scales", "largest_input", "value",
    "largest", "slopes", "gradients",
)  # fmt: skip
REALS = (
    "keep_rate", "scale", "rate", "step_size", "constant_size", "table_factor", "low", "high", "speed", "temperature",
    "c1", "c2", "c3", "entropy_factor", "norm_factor", "limit", "floor", "k1", "k2", "k3", "constant",
)  # fmt: skip
MAP = {"ROWS": 32, "COLUMNS": 32}
CONSTANT, SCHEDULED = ({"HAS_LEVEL": scheduled, "IS_INVERTED": scheduled} for scheduled in (False, True))
CASES: list[tuple[str, dict[str, Any]]] = [
    ("mask_elements", {"IS_NOISE": False, "IS_LEARNED": False, **CONSTANT, "BLOCK": 1024}),
    ("mask_elements", {"IS_NOISE": False, "IS_LEARNED": False, **SCHEDULED, "BLOCK": 1024}),
    ("mask_elements", {"IS_NOISE": False, "IS_LEARNED": True, **CONSTANT, "BLOCK": 16}),
    ("mask_elements", {"IS_NOISE": True, "IS_LEARNED": False, **CONSTANT, "BLOCK": 1024}),
    ("mask_rows", {**CONSTANT, "BLOCK_ROWS": 1, "BLOCK_COLUMNS": 1024}),
    ("mask_rows", {**SCHEDULED, "BLOCK_ROWS": 64, "BLOCK_COLUMNS": 16}),
    *(("shake_samples", {"IS_BACKWARD": backward, "IS_OF_ELEMENTS": not backward, "BLOCK": 1024})
      for backward in (True, False)),
    *(("mask_maps", {"IS_GRID": grid, **SCHEDULED, "IS_REALISED": not grid, "COUNTS": 256, **MAP})
      for grid in (True, False)),
    ("mask_maps", {"IS_GRID": False, **CONSTANT, "IS_REALISED": True, "COUNTS": 8, "ROWS": 128, "COLUMNS": 128}),
    *(("measure_maps", {"IS_GRID": grid, "HAS_LEVEL": grid, "HAS_MOMENTS": moments, "HAS_WEIGHT": moments,
                        "SHARES_SIGNS": grid, "TAPS": 16, **MAP})
      for grid in (True, False) for moments in (True, False)),
    *(("distort_maps", {"IS_GRID": grid, **SCHEDULED, "IS_REALISED": not grid, "HAS_WEIGHT": True, "IS_OF_UNITS": False,
                        "SHARES_PATTERN": grid, "COUNTS": 256, **MAP})
      for grid in (True, False)),
    ("distort_maps", {"IS_GRID": True, **CONSTANT, "IS_REALISED": True, "HAS_WEIGHT": True, "IS_OF_UNITS": True,
                      "SHARES_PATTERN": True, "COUNTS": 256, "ROWS": 1, "COLUMNS": 2048}),
    ("distort_maps", {"IS_GRID": False, **CONSTANT, "IS_REALISED": True, "HAS_WEIGHT": False, "IS_OF_UNITS": False,
                      "SHARES_PATTERN": False, "COUNTS": 1, "ROWS": 16, "COLUMNS": 16}),
    *((name, {"IS_RELAXED": relaxed, "UNITS": units, "POSITIONS": 1024 // units, **options})
      for relaxed, units in ((False, 1), (False, 64), (True, 1))
      for name, options in (("scale_units", {"HAS_NORM": relaxed}), ("scale_units_backward", {}))),
    *(("finish_noise", {"HAS_DIVERGENCE": has, "UNITS": 64, "SUMS": 64}) for has in (True, False)),
    *(("finish_mask", {"HAS_DIVERGENCE": has, "HAS_NORM": has, "SUMS": 1024, "BLOCK": 1024}) for has in (True, False)),
    *((name, {"BLOCK": 1024}) for name in ("prepare_noise", "add_noise", "add_noise_backward")),
    *(("finish_weights", {"HAS_NOISE": has, "HAS_MEAN_OF_X": has, "HAS_MEAN_OF_WEIGHT": has,
                          "HAS_DIVERGENCE": True, "BLOCK": 1024})
      for has in (True, False)),
    *(("measure_norms", {"P": order, "Q": 2 - order, "LAYERS": 32, "BLOCK": 256}) for order in (0, 1, 2)),
    ("multiply_norms", {"LAYERS": 32, "BLOCK": 1024}),
    *(("slopes_of_norms", {"P": order, "LAYERS": 32, "BLOCK": 256}) for order in (0, 1, 2)),
]  # fmt: skip


def compile_for(capability: int, values: str, name: str, constants: dict[str, Any]) -> None:
    """Compile one kernel for tensors of these values and a compute capability (90 is that of an H100)."""
    kernel = next(getattr(module, name) for module in MODULES if hasattr(module, name))
    types = {argument: "i32" for argument in kernel.arg_names}
    types |= {argument: "fp32" for argument in kernel.arg_names if argument in REALS}
    types |= {argument: "*fp32" for argument in kernel.arg_names if argument in TENSORS}
    types |= {argument: f"*{values}" for argument in kernel.arg_names if argument in VALUES}
    types |= {"seed": "i64", "pass_number": "*i64"} | dict.fromkeys(constants, "constexpr")
    types |= {"table": "*i64"} if name.endswith("norms") else {}
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
