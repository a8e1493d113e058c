"""The searches of `grid` as compiled loops; import it only where `tasks.runtime.compiled.is_available()`.

The largest scores are kept in a min-heap, whose root the next point has to exceed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.attacks.grid_problem import DIFFERENCE, SUM, Floats, Found, Problem
from tasks.runtime.compiled import compiled, inlined

Flags = NDArray[np.bool_]


def columns(problem: Problem, num_top: int) -> Found:
    """Search by columns."""
    return _found(_search_columns, problem, num_top)


def exhaust(problem: Problem, num_top: int) -> Found:
    """Visit every point."""
    return _found(_search_all, problem, num_top)


def _found(search: Any, problem: Problem, num_top: int) -> Found:
    heap, flipped = np.full(num_top, -np.inf), np.zeros(num_top, np.bool_)
    arrays = (problem.tables, problem.outputs, problem.squares)
    feasible, flips = search(problem.form, *arrays, problem.limit, heap, flipped)
    used = heap > -np.inf
    return Found(int(feasible), int(flips), heap[used], flipped[used])


@inlined
def _score(form: int, right: float, second: float, third: float) -> float:
    if form == SUM:
        return (second + third) * right
    if form == DIFFERENCE:
        return max(second, third) - right
    return max(second, third) / (right + min(second, third))


@compiled
def _replace_smallest(heap: Floats, flipped: Flags, score: float, flips: bool) -> None:
    """Replace the root by a score, and restore the order of the heap."""
    place, size = 0, len(heap)
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if score <= heap[child]:
            break
        heap[place], flipped[place] = heap[child], flipped[child]
        place = child
    heap[place], flipped[place] = score, flips


@compiled
def _search_all(
    form: int, tables: Floats, outputs: Floats, squares: Floats, limit: float, heap: Floats, flipped: Flags
) -> tuple[int, int]:
    (t0, t1, t2), (f0, f1, f2) = (tables[0], tables[1], tables[2]), (outputs[0], outputs[1], outputs[2])
    n, feasible, flips = len(f0), 0, 0
    by_place = np.empty(n)
    for k in range(n):
        by_place[k] = squares[abs(2 * k - (n - 1)) // 2]
    for i in range(n):
        for j in range(n):
            so_far = by_place[i] + by_place[j]
            for k in range(n):
                if so_far + by_place[k] <= limit:
                    is_flip = max(f1[j], f2[k]) > f0[i]
                    feasible += 1
                    flips += is_flip
                    score = _score(form, t0[i], t1[j], t2[k])
                    if score > heap[0]:
                        _replace_smallest(heap, flipped, score, is_flip)
    return feasible, flips


@compiled
def _search_columns(
    form: int, tables: Floats, outputs: Floats, squares: Floats, limit: float, heap: Floats, flipped: Flags
) -> tuple[int, int]:
    f0, f1, f2 = outputs[0], outputs[1], outputs[2]
    n, feasible, flips, first_flip = len(f0), 0, 0, 0
    reach = _reach(squares, limit)
    # Ascending scores of the true class: losses are largest at low scores, which should enter the heap first.
    for i in range(n):
        while first_flip < n and f2[first_flip] <= f0[i]:
            first_flip += 1
        for j in range(n - 1, -1, -1):
            high = n // 2 - 1 + reach[abs(2 * i - (n - 1)) // 2, abs(2 * j - (n - 1)) // 2]
            low = n - 1 - high
            if low <= high:
                feasible += high - low + 1
                flips += high - low + 1 if f1[j] > f0[i] else max(high + 1 - max(low, first_flip), 0)
                _walk(form, tables, outputs, i, j, low, high, heap, flipped)
    return feasible, flips


@compiled
def _reach(squares: Floats, limit: float) -> NDArray[np.int32]:
    """As `grid._reach`, by a search that uses that the number decreases with each distance."""
    size = len(squares)
    reach = np.empty((size, size), np.int32)
    for distance in range(size):
        fitting = size
        for other in range(size):
            while fitting > 0 and (squares[distance] + squares[other]) + squares[fitting - 1] > limit:
                fitting -= 1
            reach[distance, other] = fitting
    return reach


@inlined
def _walk(
    form: int, tables: Floats, outputs: Floats, i: int, j: int, low: int, high: int, heap: Floats, flipped: Flags
) -> None:
    """Add the points of a column to the heap from both ends, in each direction until one is too small."""
    right, second, third = tables[0, i], tables[1, j], tables[2]
    k = high
    while k >= low:
        score = _score(form, right, second, third[k])
        if score <= heap[0]:
            break
        _replace_smallest(heap, flipped, score, max(outputs[1, j], outputs[2, k]) > outputs[0, i])
        k -= 1
    stopped, k = k, low
    while k < stopped:
        score = _score(form, right, second, third[k])
        if score <= heap[0]:
            break
        _replace_smallest(heap, flipped, score, max(outputs[1, j], outputs[2, k]) > outputs[0, i])
        k += 1
