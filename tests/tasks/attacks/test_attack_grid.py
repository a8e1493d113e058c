"""The search over a grid of perturbations: by columns as by all points, compiled as in numpy; the thesis's counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tasks.attacks.grid import GridSearch, exhaustive_grid_search, grid_search
from tasks.attacks.loss import LOSS_NAMES, LOSSES, LossName
from tasks.runtime import compiled

THESIS: dict[str, Any] = {"inputs": [3.0, 2.0, 1.0], "box": 0.51, "radius": 0.7078, "num_points": 800}
# No two scores of a point are equal but for rounding, so that flips do not hang on how the grid is computed.
GRIDS: dict[str, dict[str, Any]] = {
    "few flips": {"inputs": [3.0, 2.0, 1.0], "box": 0.51, "radius": 0.72, "num_points": 60},
    "ball beyond the corners": {"inputs": [0.31, 0.123, -0.2], "box": 0.5, "radius": 1.0, "num_points": 21},
    "ball inside the box": {"inputs": [0.4, 0.7, 0.2], "box": 1.0, "radius": 0.9, "num_points": 20},
    "right class far behind": {"inputs": [-2.0, 1.0, 1.5], "box": 0.3, "radius": 0.4, "num_points": 31},
    "two classes alike": {"inputs": [1.0, 0.5, 0.5], "box": 0.6, "radius": 0.6, "num_points": 37},
}
TOP = (1, 10, 100, 1000)


@pytest.fixture(params=["compiled", "numpy"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of the searches; the first one only where there is a compiler."""
    way: str = request.param
    if way == "numpy":
        monkeypatch.setattr(compiled, "is_available", lambda: False)
    elif not compiled.is_available():
        pytest.skip("numba is not installed")
    return way


def assert_equal(ours: GridSearch, theirs: GridSearch) -> None:
    assert (ours.feasible, ours.flips, ours.flips_in_top) == (theirs.feasible, theirs.flips, theirs.flips_in_top)
    assert np.array_equal(ours.losses, theirs.losses)  # to the last bit


def by_torch(grid: dict[str, Any], loss: LossName) -> GridSearch:
    """All points at once, with the losses that attacks maximise."""
    axis = torch.linspace(-grid["box"], grid["box"], grid["num_points"], dtype=torch.float64)
    deltas = torch.cartesian_prod(axis, axis, axis)
    deltas = deltas[deltas.square().sum(1) <= grid["radius"] ** 2]
    scores = torch.tensor(grid["inputs"], dtype=torch.float64) + deltas
    losses, order = LOSSES[loss](scores, torch.zeros(len(scores), dtype=torch.int64)).sort(descending=True)
    flips = scores.argmax(1) != 0
    return GridSearch(
        feasible=len(deltas),
        flips=int(flips.sum()),
        flips_in_top={k: int(flips[order[:k]].sum()) for k in TOP},
        losses=losses[: TOP[-1]].numpy(),
    )


@pytest.mark.parametrize("loss", LOSS_NAMES)
@pytest.mark.parametrize("name", GRIDS)
def test_columns_find_what_all_points_have(name: str, loss: LossName, way: str) -> None:
    assert_equal(
        grid_search(loss=loss, top=TOP, **GRIDS[name]), exhaustive_grid_search(loss=loss, top=TOP, **GRIDS[name])
    )


@pytest.mark.parametrize("loss", LOSS_NAMES)
@pytest.mark.parametrize("name", GRIDS)
def test_searches_agree_with_the_losses_that_attacks_maximise(name: str, loss: LossName, way: str) -> None:
    found, expected = grid_search(loss=loss, top=TOP, **GRIDS[name]), by_torch(GRIDS[name], loss)
    assert (found.feasible, found.flips, found.flips_in_top) == (
        expected.feasible,
        expected.flips,
        expected.flips_in_top,
    )
    np.testing.assert_allclose(found.losses, expected.losses, rtol=0, atol=1e-12)


@pytest.mark.parametrize("num_points", range(2, 12))
def test_small_grids_of_any_size_agree(num_points: int, way: str) -> None:
    generator = np.random.default_rng(num_points)
    for loss in LOSS_NAMES:
        for _ in range(10):
            grid = {
                "inputs": generator.normal(size=3).tolist(),
                "box": generator.uniform(0.1, 1.0),
                "radius": generator.uniform(0.0, 1.5),
                "num_points": num_points,
                "top": (1, 7, 5000),
            }
            assert_equal(grid_search(loss=loss, **grid), exhaustive_grid_search(loss=loss, **grid))


@pytest.mark.parametrize("num_points", [20, 31])
def test_points_exactly_on_the_sphere_are_decided_alike(num_points: int, way: str) -> None:
    axis = 0.5 * (2 * np.arange(num_points) - (num_points - 1)) / (num_points - 1)
    for place in range(num_points // 2, num_points):
        radius = float(np.sqrt(axis[place] ** 2 + 2 * axis[-3] ** 2))
        grid = {"inputs": [0.5, 0.2, 0.0], "box": 0.5, "radius": radius, "num_points": num_points}
        assert_equal(grid_search(loss="margin", **grid), exhaustive_grid_search(loss="margin", **grid))


@pytest.mark.parametrize(
    ("loss", "counts"),
    [
        ("cross_entropy", (0, 0, 0)),
        ("margin", (10, 100, 172)),
        ("log_p", (0, 0, 0)),
        ("reflected", (0, 0, 0)),
    ],
)
def test_on_the_grid_of_the_thesis_one_reflection_of_three_finds_flips(loss: LossName, counts: Any, way: str) -> None:
    found = grid_search(loss=loss, **THESIS)
    assert (found.feasible, found.flips) == (487_799_080, 172)
    assert found.flips_in_top == dict(zip((10, 100, 1000), counts, strict=True))


@pytest.mark.parametrize(
    ("shrink", "flips"),
    [(1, 172), (799 / 801, 112), (799 / 800, 148)],
    ids=["with ends", "without ends", "cell centres"],
)
def test_where_the_800_points_lie_changes_the_number_of_flips_and_not_the_order(shrink: float, flips: int) -> None:
    grid = THESIS | {"box": shrink * THESIS["box"]}
    assert grid_search(loss="margin", **grid).flips_in_top == {10: 10, 100: 100, 1000: flips}
    assert grid_search(loss="cross_entropy", **grid).flips_in_top == {10: 0, 100: 0, 1000: 0}


def test_a_ball_inside_the_box_is_another_problem() -> None:
    assert grid_search(loss="margin", **(THESIS | {"box": 0.7078})).feasible != 487_799_080


@pytest.mark.parametrize(("num_points", "feasible"), [(4, 0), (5, 1)])
def test_a_ball_of_radius_zero_holds_the_middle_of_the_grid_if_there_is_one(
    num_points: int, feasible: int, way: str
) -> None:
    grid = {"inputs": [1.0, 2.0, 0.0], "box": 1.0, "radius": 0.0, "num_points": num_points}
    for search in (grid_search, exhaustive_grid_search):
        found = search(loss="log_p", **grid)
        assert (found.feasible, found.flips, found.flips_in_top[10]) == (feasible, feasible, feasible)
        assert len(found.losses) == feasible


def test_a_ball_around_the_whole_box_holds_every_point(way: str) -> None:
    grid = {"inputs": [1.0, 2.0, 0.0], "box": 1.0, "radius": 2.0, "num_points": 9}
    found = grid_search(loss="reflected", top=(10_000,), **grid)
    assert found.feasible == len(found.losses) == 729
    assert found.flips_in_top == {10_000: found.flips}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": [1.0, 2.0]}, "inputs must be three finite numbers"),
        ({"inputs": [1.0, 2.0, float("nan")]}, "inputs must be three finite numbers"),
        ({"inputs": [900.0, 2.0, 0.0]}, "differ by at most 500"),
        ({"box": 0.0}, "box must be positive"),
        ({"radius": -1.0}, "radius"),
        ({"num_points": 1}, "num_points"),
        ({"loss": "cross-entropy"}, "cross_entropy"),
        ({"top": ()}, "top must name at least one number"),
        ({"top": (10, 0)}, "top"),
    ],
    ids=str,
)
def test_a_search_says_what_is_wrong_with_its_arguments(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        grid_search(**(THESIS | {"loss": "margin"} | changes))
