"""The fused kernels as torch's operators: they have shapes on the `meta` device, and can be counted there.

Each launches one kernel. None is differentiable by itself; see `masks`.
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor

BLOCK = 1024  # elements of one of the four groups of a program
MAX_PROGRAMS = 256  # that share the maps of a measurement, whose results each program of the next kernel reads


class Maps(NamedTuple):
    """How a tensor is seen as maps: sizes, and strides in elements."""

    num_samples: int
    channels: int
    height: int
    width: int
    strides: tuple[int, int, int, int]

    @classmethod
    def of(cls, x: Tensor) -> Maps:
        """Maps (B, C, H, W) as they are; units (B, D) as maps of one row."""
        if x.dim() == 4:
            num_samples, channels, height, width = x.shape
            by_sample, by_channel, by_row, by_column = x.stride()
            return cls(num_samples, channels, height, width, (by_sample, by_channel, by_row, by_column))
        return cls(len(x), 1, 1, x.shape[1], (x.stride(0), 0, 0, x.stride(1)))

    @property
    def num_planes(self) -> int:
        """Number of maps."""
        return self.num_samples * self.channels

    def tile(self, is_grid: bool) -> dict[str, int]:
        """The sizes of a program's tile: powers of 2; products of matrices need 16 or more."""
        least = 1 if is_grid else 16
        rows, columns = max(power(self.height), least), max(power(self.width), least)
        return {"ROWS": rows, "COLUMNS": columns, "num_warps": num_warps(rows * columns)}

    @property
    def arguments(self) -> tuple[int, ...]:
        """As the kernels take them."""
        return (self.num_planes, self.channels, self.height, self.width, *self.strides)


@torch.library.custom_op("regarena::mask_elements", mutates_args=())
def mask_elements(
    x: Tensor, rates: Tensor | None, level: Tensor | None, seed: int, pass_number: Tensor, call: int, rate: float,
    scale: float | None, is_noise: bool,
) -> Tensor:  # fmt: skip
    """The product x keep scale, keep ~ Ber(rate) for each element in the order of memory; or x (1 + scale normal).

    With `level` the keep rate is 1 - rate level, here and in the other operators. Without `scale` it is 1 over the keep
    rate. With `rates` the elements of a sample are kept at these.
    """
    y, size = torch.empty_like(x), x.numel()
    block = min(BLOCK, max(16, power(math.ceil(size / 4))))
    grid = (math.ceil(size / (4 * block)),)
    _launch(
        "mask_elements", grid,
        x, y, x if rates is None else rates, x if level is None else level, seed, pass_number, call, size,
        1 if rates is None else rates.numel(), rate, 1.0 if scale is None else scale,
        IS_NOISE=is_noise, IS_LEARNED=rates is not None, HAS_LEVEL=level is not None, IS_INVERTED=scale is None,
        BLOCK=block,
    )  # fmt: skip
    return y


@mask_elements.register_fake
def _(
    x: Tensor, rates: Tensor | None, level: Tensor | None, seed: int, pass_number: Tensor, call: int, rate: float,
    scale: float | None, is_noise: bool,
) -> Tensor:  # fmt: skip
    return torch.empty_like(x)


@torch.library.custom_op("regarena::mask_rows", mutates_args=())
def mask_rows(
    x: Tensor, level: Tensor | None, seed: int, pass_number: Tensor, call: int, rows: list[int], rate: float,
    scale: float | None,
) -> Tensor:  # fmt: skip
    """The product x keep scale, one keep for each row; `rows` are the kernel's seven numbers that say what a row is."""
    y = torch.empty_like(x)
    num_rows, num_columns, *_ = rows
    is_along_columns = rows[5] == 1  # neighbours in memory are neighbours in the tile
    columns = min(power(num_columns), BLOCK if is_along_columns else 16)
    block = {"BLOCK_ROWS": min(BLOCK // columns, power(num_rows)), "BLOCK_COLUMNS": columns}
    grid = (math.ceil(num_rows / block["BLOCK_ROWS"]), math.ceil(num_columns / columns))
    _launch(
        "mask_rows", grid,
        x, y, x if level is None else level, seed, pass_number, call, *rows, rate, 1.0 if scale is None else scale,
        HAS_LEVEL=level is not None, IS_INVERTED=scale is None, **block,
    )  # fmt: skip
    return y


@mask_rows.register_fake
def _(
    x: Tensor, level: Tensor | None, seed: int, pass_number: Tensor, call: int, rows: list[int], rate: float,
    scale: float | None,
) -> Tensor:  # fmt: skip
    return torch.empty_like(x)


@torch.library.custom_op("regarena::shake_samples", mutates_args=())
def shake_samples(
    x: Tensor, seed: int, pass_number: Tensor, call: int, units: list[int], keep_rate: float, low: float, high: float,
    is_backward: bool,
) -> Tensor:  # fmt: skip
    """The samples that are kept, and the others times u, uniform in [low, high), for each unit; see the kernel.

    `units` are the size of a sample, the stride of its units and their number.
    """
    y, sample_size, num_units = torch.empty_like(x), units[0], units[2]
    block = min(BLOCK, max(16, power(math.ceil(sample_size / 4))))
    grid = (len(x), math.ceil(sample_size / (4 * block)))
    _launch(
        "shake_samples", grid,
        x, y, seed, pass_number, call, *units, keep_rate, low, high,
        IS_BACKWARD=is_backward, IS_OF_ELEMENTS=num_units == sample_size, BLOCK=block,
    )  # fmt: skip
    return y


@shake_samples.register_fake
def _(
    x: Tensor, seed: int, pass_number: Tensor, call: int, units: list[int], keep_rate: float, low: float, high: float,
    is_backward: bool,
) -> Tensor:  # fmt: skip
    return torch.empty_like(x)


@torch.library.custom_op("regarena::measure_maps", mutates_args=())
def measure_maps(
    x: Tensor, weight: Tensor | None, level: Tensor | None, seed: int, pass_number: Tensor, call: int, rate: float,
    block: list[int], is_grid: bool, has_moments: bool, shares_signs: bool, groups: int, table_factor: float,
) -> list[Tensor]:  # fmt: skip
    """Numbers of kept pixels, with moments also sums and squares, and the table for a weight: see the kernel."""
    maps = Maps.of(x)
    outputs = _empty_measures(x, weight, has_moments, groups)
    counts, sums, squares, table = [*outputs, *[outputs[0]] * 3][:4]
    layer, sizes = x, (0, 1, 0, 0, 0, 0, 1)
    if weight is not None:
        layer = weight if _has_regular_taps(weight) else weight.contiguous()
        num_taps = math.prod(layer.shape[2:])
        sizes = (
            len(table), layer.shape[1], len(layer) // groups, layer.stride(0), layer.stride(1),
            layer.stride(-1) if layer.dim() == 4 else 0, num_taps,
        )  # fmt: skip
    _launch(
        "measure_maps", (len(counts),),
        x, counts, sums, squares, table, layer, x if level is None else level, seed, pass_number, call,
        *maps.arguments, rate, *block, *sizes, table_factor,
        IS_GRID=is_grid, HAS_LEVEL=level is not None, HAS_MOMENTS=has_moments, HAS_WEIGHT=weight is not None,
        SHARES_SIGNS=shares_signs, TAPS=power(sizes[-1]), **maps.tile(is_grid),
    )  # fmt: skip
    return outputs


@measure_maps.register_fake
def _(
    x: Tensor, weight: Tensor | None, level: Tensor | None, seed: int, pass_number: Tensor, call: int, rate: float,
    block: list[int], is_grid: bool, has_moments: bool, shares_signs: bool, groups: int, table_factor: float,
) -> list[Tensor]:  # fmt: skip
    return _empty_measures(x, weight, has_moments, groups)


@torch.library.custom_op("regarena::mask_maps", mutates_args=())
def mask_maps(
    x: Tensor, counts: Tensor | None, level: Tensor | None, seed: int, pass_number: Tensor, call: int, rate: float,
    block: list[int], is_grid: bool, scale: float | None,
) -> Tensor:  # fmt: skip
    """The product x keep scale on maps; with `counts` the scale is the number of elements over that of those kept.

    The rate is that of kept blocks of a grid, or of the seeds of blocks that overlap, which `level` multiplies.
    """
    y, maps = torch.empty_like(x), Maps.of(x)
    num_counts = 1 if counts is None else len(counts)
    _launch(
        "mask_maps", (maps.num_planes,),
        x, y, x if counts is None else counts, x if level is None else level, seed, pass_number, call,
        *maps.arguments, rate, *block, 1.0 if scale is None else scale, num_counts,
        IS_GRID=is_grid, HAS_LEVEL=level is not None, IS_REALISED=counts is not None, IS_INVERTED=scale is None,
        COUNTS=power(num_counts), **maps.tile(is_grid),
    )  # fmt: skip
    return y


@mask_maps.register_fake
def _(
    x: Tensor, counts: Tensor | None, level: Tensor | None, seed: int, pass_number: Tensor, call: int, rate: float,
    block: list[int], is_grid: bool, scale: float | None,
) -> Tensor:  # fmt: skip
    return torch.empty_like(x)


@torch.library.custom_op("regarena::distort_maps", mutates_args=())
def distort_maps(
    x: Tensor, measures: list[Tensor], level: Tensor | None, seed: int, pass_number: Tensor, call: int, rate: float,
    block: list[int], is_grid: bool, is_realised: bool, scale: float | None, step_size: float, constant_size: float,
    shares_pattern: bool,
) -> Tensor:  # fmt: skip
    """The product x scale where kept, elsewhere noise; `measures` are those of `measure_maps` with moments."""
    y, maps = torch.empty_like(x), Maps.of(x)
    counts, sums, squares, *table = measures
    _launch(
        "distort_maps", (maps.num_planes,),
        x, y, counts, sums, squares, table[0] if table else counts, x if level is None else level, seed, pass_number,
        call, *maps.arguments, rate, *block, 1.0 if scale is None else scale, len(counts), step_size, constant_size,
        IS_GRID=is_grid, HAS_LEVEL=level is not None, IS_REALISED=is_realised, IS_INVERTED=scale is None,
        HAS_WEIGHT=bool(table), IS_OF_UNITS=x.dim() == 2, SHARES_PATTERN=shares_pattern, COUNTS=power(len(counts)),
        **maps.tile(is_grid),
    )  # fmt: skip
    return y


@distort_maps.register_fake
def _(
    x: Tensor, measures: list[Tensor], level: Tensor | None, seed: int, pass_number: Tensor, call: int, rate: float,
    block: list[int], is_grid: bool, is_realised: bool, scale: float | None, step_size: float, constant_size: float,
    shares_pattern: bool,
) -> Tensor:  # fmt: skip
    return torch.empty_like(x)


def _empty_measures(x: Tensor, weight: Tensor | None, has_moments: bool, groups: int) -> list[Tensor]:
    num_programs = min(Maps.of(x).num_planes, MAX_PROGRAMS)
    measures = [x.new_empty(num_programs, dtype=torch.float32) for _ in range(3 if has_moments else 1)]
    if weight is not None:
        measures.append(x.new_empty(weight.shape[1] * groups, dtype=torch.float32))
    return measures


def _has_regular_taps(weight: Tensor) -> bool:
    return weight.dim() == 2 or weight.stride(2) == weight.shape[3] * weight.stride(3)


def power(number: int) -> int:
    """The least power of 2 that is not below the number."""
    return 1 << max(number - 1, 0).bit_length()


def num_warps(num_elements: int) -> int:
    """Groups of 32 threads for a program with a tile of so many elements, a power of 2."""
    return min(max(num_elements // 512, 1), 8)


def launch(
    module: str, kernel: str, grid: tuple[int, ...], x: Tensor, *arguments: Any, **constants: int | bool
) -> None:
    """Launch a kernel of one of this package's modules on the device of `x`, its first argument."""
    kernels = import_module(f"tasks.regularizers.fused.{module}")  # imports Triton
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]  # of torch; on a processor it does nothing
        getattr(kernels, kernel)[grid](x, *arguments, **constants)


def _launch(kernel: str, grid: tuple[int, ...], x: Tensor, *arguments: Any, **constants: int) -> None:
    launch("kernels", kernel, grid, x, *arguments, **constants)
