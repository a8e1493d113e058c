"""Triton kernels of masks and noise. Import this module only where Triton is installed.

Random numbers come from Philox with 10 rounds (Salmon et al. 2011, section 5), with the stream's seed as key and as
counter: the index of what is drawn (64 bits), the number of the pass (32), the call of the stream in this pass (24),
and what the words are for (8). So the backward pass draws the same mask again and nothing is stored for it. The number
of the pass is read from the device: see `tasks.runtime.passes`. The maps (N, C, H, W) of a tensor lie in memory
with any strides; `plane` numbers them from 0 to N C - 1.
"""

from __future__ import annotations

import triton
import triton.language as tl

MASK = tl.constexpr(0)  # purposes of draws
SIGN_OF_TAP = tl.constexpr(1)
SIGN_OF_SAMPLE = tl.constexpr(2)
PATTERN = tl.constexpr(3)
FORWARD_FACTOR = tl.constexpr(4)
BACKWARD_FACTOR = tl.constexpr(5)


@triton.jit
def _philox(seed, pass_number, call, purpose, index):
    """Four random words of 32 bits for each index."""
    low = index.to(tl.uint32)
    high = (index >> 32).to(tl.uint32)
    return tl.philox(seed, low, high, low * 0 + pass_number.to(tl.uint32), low * 0 + (call * 256 + purpose))


@triton.jit
def _normals(first, second):
    """Two standard normal numbers from two words each."""
    return tl.pair_uniform_to_normal(tl.uint_to_uniform_float(first), tl.uint_to_uniform_float(second))


@triton.jit
def _four_normals(words):
    """Four standard normal numbers from the four words of a Philox counter."""
    a, b = _normals(words[0], words[1])
    c, d = _normals(words[2], words[3])
    return a, b, c, d


@triton.jit
def _keep_rate_of(level, rate, HAS_LEVEL: tl.constexpr):
    """`rate`, or 1 - rate level, at least 0."""
    result = rate * 1.0
    if HAS_LEVEL:
        result = 1 - tl.minimum(tl.load(level).to(tl.float32) * rate, 1.0)
    return result


@triton.jit
def _scale_of(scale, keep_rate, IS_INVERTED: tl.constexpr):
    """`scale`, or 1 over the keep rate."""
    result = scale * 1.0
    if IS_INVERTED:
        result = 1 / keep_rate
    return result


@triton.jit(do_not_specialize=["seed", "call"])
def mask_elements(
    x, y, rates, level, seed, pass_number, call, size, num_rates, rate, scale, IS_NOISE: tl.constexpr,
    IS_LEARNED: tl.constexpr, HAS_LEVEL: tl.constexpr, IS_INVERTED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write y = x keep scale with keep ~ Ber(keep rate) for each element, or y = x (1 + scale normal).

    Element i of group g in program p takes the g-th word for the index p BLOCK + i. With IS_LEARNED element i of x is
    kept at rates[i % num_rates].
    """
    pass_number = tl.load(pass_number)
    keep_rate = _keep_rate_of(level, rate, HAS_LEVEL)
    kept_scale = _scale_of(scale, keep_rate, IS_INVERTED)
    program = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    words = _philox(seed, pass_number, call, MASK, program * BLOCK + column)
    if IS_NOISE:
        a, b, c, d = _four_normals(words)
        factors = (1 + scale * a, 1 + scale * b, 1 + scale * c, 1 + scale * d)
    else:
        factors = words
    for group in tl.static_range(4):
        place = (program * 4 + group) * BLOCK + column
        values = tl.load(x + place, mask=place < size, other=0.0)
        factor = factors[group]
        if not IS_NOISE:
            if IS_LEARNED:
                keep_rate = tl.load(rates + place % num_rates)
            factor = tl.where(tl.uint_to_uniform_float(factor) < keep_rate, kept_scale, 0.0)
        product = values.to(tl.float32) * factor
        tl.store(y + place, product.to(y.dtype.element_ty), mask=place < size)


@triton.jit(do_not_specialize=["seed", "call"])
def mask_rows(
    x, y, level, seed, pass_number, call, num_rows, num_columns, rows_of_group, group_stride, row_stride, column_stride,
    group_size, rate, scale, HAS_LEVEL: tl.constexpr, IS_INVERTED: tl.constexpr, BLOCK_ROWS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    """Write y = x keep scale with one keep ~ Ber(keep rate) for each row.

    Row r is in group r // rows_of_group. Within the group, its element k has the offset
    (r % rows_of_group) row_stride + k column_stride; offsets of `group_size` and above are skipped. The groups begin
    `group_stride` elements apart.
    """
    pass_number = tl.load(pass_number)
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = tl.program_id(1) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    words = _philox(seed, pass_number, call, MASK, row)
    keep_rate = _keep_rate_of(level, rate, HAS_LEVEL)
    kept_scale = _scale_of(scale, keep_rate, IS_INVERTED)
    factor = tl.where(tl.uint_to_uniform_float(words[0]) < keep_rate, kept_scale, 0.0)
    within = (row % rows_of_group * row_stride)[:, None] + column[None, :] * column_stride
    exists = (row < num_rows)[:, None] & (column < num_columns)[None, :] & (within < group_size)
    place = (row // rows_of_group * group_stride)[:, None] + within
    values = tl.load(x + place, mask=exists, other=0.0)
    tl.store(y + place, (values.to(tl.float32) * factor[:, None]).to(y.dtype.element_ty), mask=exists)


@triton.jit(do_not_specialize=["seed", "call"])
def shake_samples(
    x, y, seed, pass_number, call, sample_size, unit_stride, num_units, keep_rate, low, high, IS_BACKWARD: tl.constexpr,
    IS_OF_ELEMENTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write y = x for each sample kept at `keep_rate`, elsewhere y = x u with u uniform in [low, high).

    The samples lie one after another. Element k of one is in unit k // unit_stride % num_units, and the elements of a
    unit share u; with IS_OF_ELEMENTS each element is a unit, and element i of group g in part p takes the g-th word for
    the index p BLOCK + i within its sample. With IS_BACKWARD the u are others, and the kept samples the same.
    """
    pass_number = tl.load(pass_number)
    sample = tl.program_id(0).to(tl.int64)
    part = tl.program_id(1)
    column = tl.arange(0, BLOCK)
    purpose = BACKWARD_FACTOR if IS_BACKWARD else FORWARD_FACTOR
    is_kept = tl.uint_to_uniform_float(_philox(seed, pass_number, call, MASK, sample)[0]) < keep_rate
    if IS_OF_ELEMENTS:
        words = _philox(seed, pass_number, call, purpose, (sample * tl.num_programs(1) + part) * BLOCK + column)
    for group in tl.static_range(4):
        within = (part * 4 + group) * BLOCK + column
        if IS_OF_ELEMENTS:
            word = words[group]
        else:
            unit = within // unit_stride % num_units
            word = _philox(seed, pass_number, call, purpose, sample * num_units + unit)[0]
        factor = tl.where(is_kept, 1.0, low + (high - low) * tl.uint_to_uniform_float(word))
        place = sample * sample_size + within
        values = tl.load(x + place, mask=within < sample_size, other=0.0)
        tl.store(y + place, (values.to(tl.float32) * factor).to(y.dtype.element_ty), mask=within < sample_size)


@triton.jit
def _block_rate_of(level, rate, IS_GRID: tl.constexpr, HAS_LEVEL: tl.constexpr):
    """At which blocks of a grid are kept; or of the seeds of blocks that overlap: `rate`, or rate level, at most 1."""
    if IS_GRID:
        result = _keep_rate_of(level, rate, HAS_LEVEL)
    else:
        result = rate * 1.0
        if HAS_LEVEL:
            result = tl.minimum(tl.load(level).to(tl.float32) * rate, 1.0)
    return result


@triton.jit
def _kept(
    seed, pass_number, call, plane, rate, height, width, block_height, block_width, IS_GRID: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The keep mask (ROWS, COLUMNS) of one map, and two more random words for each pixel that the mask left over.

    With IS_GRID each block of a fixed grid is kept at `rate`; a block of one pixel is a pixel. Otherwise seeds come at
    `rate`, as the top left corners of blocks that lie inside the map, and the union of their blocks is dropped.
    """
    row = tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    first = plane * height * width
    if IS_GRID:
        across = (width + block_width - 1) // block_width
        block = (row // block_height)[:, None] * across + (column // block_width)[None, :]
        words = _philox(seed, pass_number, call, MASK, first + block)
        keep = tl.uint_to_uniform_float(words[0]) < rate
    else:
        words = _philox(seed, pass_number, call, MASK, first + row[:, None] * width + column[None, :])
        inside = (row <= height - block_height)[:, None] & (column <= width - block_width)[None, :]
        seeds = (tl.uint_to_uniform_float(words[0]) < rate) & inside
        # Whether a window holds a seed, by products with banded matrices of 0 and 1: exact, and fast on any GPU.
        to = tl.arange(0, COLUMNS)[None, :]
        band = ((column[:, None] <= to) & (column[:, None] > to - block_width)).to(tl.float16)
        across = tl.dot(seeds.to(tl.float16), band) > 0
        down = tl.arange(0, ROWS)[:, None]
        band = ((row[None, :] <= down) & (row[None, :] > down - block_height)).to(tl.float16)
        keep = tl.dot(band, across.to(tl.float16)) == 0
    return keep, words[1], words[2]


@triton.jit(do_not_specialize=["seed", "call"])
def measure_maps(
    x, counts, sums, squares, table, weight, level, seed, pass_number, call, num_planes, channels, height, width,
    sample_stride, channel_stride, row_stride, column_stride, rate, block_height, block_width, num_entries,
    entries_of_group, outputs_of_group, output_stride, entry_stride, tap_stride, num_taps, table_factor,
    IS_GRID: tl.constexpr, HAS_LEVEL: tl.constexpr, HAS_MOMENTS: tl.constexpr, HAS_WEIGHT: tl.constexpr,
    SHARES_SIGNS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, TAPS: tl.constexpr,
):  # fmt: skip
    """For each program the number of kept pixels; with HAS_MOMENTS also the sum of its pixels and of their squares.

    The squares are those of the deviations from the mean of the program's pixels. With HAS_WEIGHT also the table of
    noise sizes, one for each input unit or channel of the next layer: for each tap of the kernel the largest weight to
    any output of the group, with a random sign, then the mean over taps, times `table_factor`. With SHARES_SIGNS all
    channels have the same signs.
    """
    pass_number = tl.load(pass_number)
    program = tl.program_id(0)
    row = tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    rate = _block_rate_of(level, rate, IS_GRID, HAS_LEVEL)
    exists = (row < height)[:, None] & (column < width)[None, :]
    of_map = (row * row_stride)[:, None] + (column * column_stride)[None, :]
    kept = tl.zeros((), tl.float32)
    number = tl.zeros((), tl.float32)
    mean = tl.zeros((), tl.float32)
    square = tl.zeros((), tl.float32)
    for plane in range(program, num_planes, tl.num_programs(0)):
        at = tl.cast(plane, tl.int64)
        keep, _, _ = _kept(
            seed, pass_number, call, at, rate, height, width, block_height, block_width, IS_GRID, ROWS, COLUMNS
        )
        kept += tl.sum(tl.where(keep & exists, 1.0, 0.0))
        if HAS_MOMENTS:
            place = at // channels * sample_stride + at % channels * channel_stride + of_map
            values = tl.load(x + place, mask=exists, other=0.0).to(tl.float32)
            size = height * width * 1.0
            own_mean = tl.sum(values) / size
            distance = tl.where(exists, values - own_mean, 0.0)
            total = number + size
            apart = own_mean - mean
            square += tl.sum(distance * distance) + apart * apart * number * size / total  # Chan et al. 1979
            mean += apart * size / total
            number = total
    tl.store(counts + program, kept)
    if HAS_MOMENTS:
        tl.store(sums + program, mean * number)
        tl.store(squares + program, square)
    if HAS_WEIGHT:
        tap = tl.arange(0, TAPS)
        for entry in range(program, num_entries, tl.num_programs(0)):
            group = entry // entries_of_group
            start = entry % entries_of_group * entry_stride + group * outputs_of_group * output_stride
            largest = tl.full((TAPS,), float("-inf"), tl.float32)
            for output in range(outputs_of_group):
                taps = tl.load(weight + start + output * output_stride + tap * tap_stride, mask=tap < num_taps)
                largest = tl.maximum(largest, taps.to(tl.float32))
            of_entry = tl.cast(0 if SHARES_SIGNS else entry, tl.int64)
            words = _philox(seed, pass_number, call, SIGN_OF_TAP, of_entry * num_taps + tap)
            signed = tl.where(tl.uint_to_uniform_float(words[0]) < 0.5, largest, -largest)
            mean_tap = tl.sum(tl.where(tap < num_taps, signed, 0.0)) / num_taps
            tl.store(table + entry, mean_tap * table_factor)


@triton.jit
def _factor(
    counts, scale, rate, num_planes, height, width, num_counts, IS_REALISED: tl.constexpr, IS_INVERTED: tl.constexpr,
    COUNTS: tl.constexpr,
):  # fmt: skip
    """That of `_scale_of`, or with IS_REALISED the number of elements over that of the kept ones, 1 if none is kept."""
    factor = _scale_of(scale, rate, IS_INVERTED)
    if IS_REALISED:
        number = tl.arange(0, COUNTS)
        # Counts of a program are below 2^24, so exact; their sum is rounded to 24 bits.
        kept = tl.sum(tl.load(counts + number, mask=number < num_counts, other=0.0))
        size = num_planes * 1.0 * height * width
        factor = tl.where(kept > 0, size / tl.maximum(kept, 1.0), 1.0)
    return factor


@triton.jit(do_not_specialize=["seed", "call"])
def mask_maps(
    x, y, counts, level, seed, pass_number, call, num_planes, channels, height, width, sample_stride, channel_stride,
    row_stride, column_stride, rate, block_height, block_width, scale, num_counts, IS_GRID: tl.constexpr,
    HAS_LEVEL: tl.constexpr, IS_REALISED: tl.constexpr, IS_INVERTED: tl.constexpr, ROWS: tl.constexpr,
    COLUMNS: tl.constexpr, COUNTS: tl.constexpr,
):  # fmt: skip
    """Write y = x keep scale on maps; with IS_REALISED the scale is that of `_factor`."""
    pass_number = tl.load(pass_number)
    row = tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    rate = _block_rate_of(level, rate, IS_GRID, HAS_LEVEL)
    exists = (row < height)[:, None] & (column < width)[None, :]
    of_map = (row * row_stride)[:, None] + (column * column_stride)[None, :]
    factor = _factor(counts, scale, rate, num_planes, height, width, num_counts, IS_REALISED, IS_INVERTED, COUNTS)
    for plane in range(tl.program_id(0), num_planes, tl.num_programs(0)):
        at = tl.cast(plane, tl.int64)
        keep, _, _ = _kept(
            seed, pass_number, call, at, rate, height, width, block_height, block_width, IS_GRID, ROWS, COLUMNS
        )
        place = at // channels * sample_stride + at % channels * channel_stride + of_map
        values = tl.load(x + place, mask=exists, other=0.0).to(tl.float32)
        masked = tl.where(keep, values * factor, 0.0)
        tl.store(y + place, masked.to(y.dtype.element_ty), mask=exists)


@triton.jit(do_not_specialize=["seed", "call"])
def distort_maps(
    x, y, counts, sums, squares, table, level, seed, pass_number, call, num_planes, channels, height, width,
    sample_stride, channel_stride, row_stride, column_stride, rate, block_height, block_width, scale, num_counts,
    step_size, constant_size, IS_GRID: tl.constexpr, HAS_LEVEL: tl.constexpr, IS_REALISED: tl.constexpr,
    IS_INVERTED: tl.constexpr, HAS_WEIGHT: tl.constexpr, IS_OF_UNITS: tl.constexpr, SHARES_PATTERN: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, COUNTS: tl.constexpr,
):  # fmt: skip
    """Write y = x scale where kept, elsewhere scale step_size std(x) table normal, std over all of x.

    The table has a size for each channel, or with IS_OF_UNITS for each column; without HAS_WEIGHT it is
    `constant_size`. With SHARES_PATTERN all samples have the same normal numbers, each sample with its own sign.
    """
    pass_number = tl.load(pass_number)
    row = tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    rate = _block_rate_of(level, rate, IS_GRID, HAS_LEVEL)
    exists = (row < height)[:, None] & (column < width)[None, :]
    of_map = (row * row_stride)[:, None] + (column * column_stride)[None, :]
    factor = _factor(counts, scale, rate, num_planes, height, width, num_counts, IS_REALISED, IS_INVERTED, COUNTS)
    number = tl.arange(0, COUNTS)
    has = number < num_counts
    size = num_planes * 1.0 * height * width
    sizes = tl.where(has, ((num_planes - number + num_counts - 1) // num_counts) * 1.0 * height * width, 1.0)
    of_programs = tl.load(sums + number, mask=has, other=0.0)
    distance = tl.where(has, of_programs / sizes - tl.sum(of_programs) / size, 0.0)
    square = tl.sum(tl.load(squares + number, mask=has, other=0.0) + distance * distance * sizes)
    noise_size = factor * step_size * tl.sqrt(square / size)
    for plane in range(tl.program_id(0), num_planes, tl.num_programs(0)):
        at = tl.cast(plane, tl.int64)
        keep, first, second = _kept(
            seed, pass_number, call, at, rate, height, width, block_height, block_width, IS_GRID, ROWS, COLUMNS
        )
        channel = at % channels
        if SHARES_PATTERN:
            index = channel * height * width + row[:, None] * width + column[None, :]
            words = _philox(seed, pass_number, call, PATTERN, index)
            normal, _ = _normals(words[0], words[1])
            words = _philox(seed, pass_number, call, SIGN_OF_SAMPLE, at // channels)
            normal = tl.where(tl.uint_to_uniform_float(words[0]) < 0.5, normal, -normal)
        else:
            normal, _ = _normals(first, second)
        if HAS_WEIGHT:
            if IS_OF_UNITS:
                sized = tl.load(table + column, mask=column < width, other=0.0)[None, :] * normal
            else:
                sized = tl.load(table + channel) * normal
        else:
            sized = constant_size * normal
        place = at // channels * sample_stride + channel * channel_stride + of_map
        values = tl.load(x + place, mask=exists, other=0.0).to(tl.float32)
        distorted = tl.where(keep, values * factor, sized * noise_size)
        tl.store(y + place, distorted.to(y.dtype.element_ty), mask=exists)
