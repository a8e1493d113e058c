"""A campaign by torch's compiler, back end included: what is compiled trains as what is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from arena import Arena, curve_points, rows

pytestmark = pytest.mark.slow

RUN = (
    "run", "quickstart", "--only", "digits-200-mlp,dropout", "--serial", "--scale", "smoke", "--tune-trials", "0",
    "--seeds", "1",
)  # fmt: skip


def test_a_compiled_campaign_gives_the_same_losses_and_leaves_nothing_behind(tmp_path: Path) -> None:
    arena = Arena(tmp_path)
    nothing_compiled_yet = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    plain = arena.regarena(*RUN, "--results", "plain")
    compiled = arena.regarena(*RUN, "--results", "compiled", "--compile", **nothing_compiled_yet)
    assert (plain.returncode, compiled.returncode) == (0, 0), compiled.stderr
    assert "leaked" not in compiled.stderr
    assert list((tmp_path / "cache").rglob("*.so")), "nothing was compiled"
    assert {row["switches"] for row in rows(tmp_path / "compiled")} == {"compile"}
    losses = [
        [point["value"] for point in curve_points(tmp_path / folder) if point["metric"] == "loss"]
        for folder in ("plain", "compiled")
    ]
    assert len(losses[0]) > 1
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
