"""A campaign keeps the width of its studies: another one would propose other trials."""

import json

import pytest
from some_records import record

from harness.campaign import plan_campaign
from harness.command.options import RunOptions, request_of
from harness.errors import BadInput
from harness.results.store import Store
from tasks.suites import Group, Suite

SUITE = Suite(
    groups=(Group(tasks=("digits-mlp",), regularizers=("none",)),), scale="smoke", tune_trials=7, tune_width=3
)


def width_of(folder, *requests, role="tune", **options):
    """The width that is planned in a folder of which these requests were made, and which holds a trial of this role."""
    store = Store(folder)
    store.prepare()
    store.write(record(role=role))
    (folder / "campaign.json").write_text(
        json.dumps({"campaign_id": "c", "suite": "s", "requests": list(requests)}), encoding="utf-8"
    )
    request = request_of("s", SUITE, RunOptions(results=str(folder), **options))
    return plan_campaign(request, Store(folder)).budget.tune_width


def test_a_new_campaign_has_the_width_that_is_asked_for_and_else_the_suites(tmp_path):
    for options, width in (({}, 3), ({"tune_width": 5}, 5)):
        request = request_of("s", SUITE, RunOptions(results=str(tmp_path), **options))
        assert plan_campaign(request, Store(tmp_path)).budget.tune_width == width


def test_a_campaign_that_has_begun_keeps_its_width(tmp_path):
    begun = {"tune_trials": 7, "tune_width": 5}
    assert width_of(tmp_path, begun) == 5
    assert width_of(tmp_path, begun, tune_width=5) == 5
    with pytest.raises(BadInput, match=r"have width 5, and --tune-width 3 would propose other trials; leave it out"):
        width_of(tmp_path, begun, tune_width=3)


def test_a_search_with_a_budget_in_epochs_has_a_width_to_keep_too(tmp_path):
    begun = {"tune_trials": 0, "tune_epochs": 500, "tune_width": 5}
    assert width_of(tmp_path, begun) == 5
    with pytest.raises(BadInput, match="have width 5, and --tune-width 3"):
        width_of(tmp_path, begun, tune_epochs=600, tune_width=3)


def test_a_campaign_of_before_there_were_widths_has_width_1(tmp_path):
    assert width_of(tmp_path, {"tune_trials": 7}) == 1


def test_what_never_tuned_has_no_width_to_keep(tmp_path):
    assert width_of(tmp_path, {"tune_trials": 0, "tune_width": 9}, tune_width=2) == 2
    assert width_of(tmp_path, {"tune_trials": 7, "tune_width": 9}, tune_trials=0, tune_width=2) == 2


def test_requests_that_ended_before_a_tune_trial_have_no_width_to_keep(tmp_path):
    """As without the cluster that was to be joined: no proposal was made that another width would change."""
    begun = {"tune_trials": 7, "tune_width": 9, "halving": True}
    assert width_of(tmp_path, begun, role="default", tune_width=2) == 2
    assert width_of(tmp_path, begun, role="default") == 3, "the suite's"


@pytest.mark.parametrize("wrong", [0, -1, "4", 2.5, True, None], ids=repr)
def test_a_width_that_is_none_is_refused_with_a_sentence(tmp_path, wrong):
    with pytest.raises(BadInput, match="whole numbers of at least 1 as 'tune_width', got"):
        width_of(tmp_path, {"tune_trials": 7, "tune_width": wrong})
