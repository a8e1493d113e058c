"""What the report is told of contestants."""

from pathlib import Path

import pytest

from harness.command.cards import NO_SITE, card, facts
from harness.command.parameters import PUBLISHED
from tasks.regularizers import REGULARIZERS
from tasks.table import UnknownNameError

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["none", "dropblock", "weight_decay"])
def test_the_report_is_told_what_the_card_says(name):
    told, lines = facts(name), card(name).splitlines()
    assert lines[0] == f"{name}: {told['summary']}"
    assert f"formula   {told['formula']}" in lines
    assert f"source    {told['source']}" in lines
    (acts_on,) = [line for line in lines if line.startswith("acts on   ")]
    assert acts_on.removeprefix("acts on   ").startswith(told["kind"])


def test_of_a_combination_all_parts_are_told():
    told = facts("dropblock+weight_decay")
    for part in ("dropblock", "weight_decay"):
        assert facts(part)["formula"] in told["formula"]
        assert facts(part)["source"] in told["source"]
    assert told["kind"] == facts("dropblock")["kind"]
    assert facts("weight_decay+l1")["kind"] == NO_SITE


@pytest.mark.parametrize("name", ["", "unheard_of", "dropout+unheard_of", "<script>", "a.b:c", "../x"])
def test_of_a_name_that_is_in_no_table_nothing_is_told(name):
    assert facts(name) is None


def test_every_contestant_has_a_formula_and_a_source():
    assert [name for name in REGULARIZERS.own if not (facts(name)["formula"] and facts(name)["source"])] == []


def test_a_name_like_none_is_answered_with_a_count_and_not_with_hundreds_of_names():
    with pytest.raises(UnknownNameError, match=r"There is no .* 'zzz'; `regarena list` shows the \d+ names"):
        card("zzz")


def test_costs_are_those_of_the_published_leaderboard_where_it_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "cost      not measured here yet" in card("dropblock")
    (tmp_path / "gallery").mkdir()
    (tmp_path / PUBLISHED).symlink_to(ROOT / PUBLISHED)
    assert " x twin on mnist-1k-lenet " in card("dropblock")
