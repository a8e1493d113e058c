import math
from dataclasses import fields, replace

import pytest
from tiny_tasks import tiny

from harness.contestants import Contestant
from harness.errors import BadInput
from search_spaces import SPACES
from tasks.experiments import TASKS
from tasks.regularizers import REGULARIZERS
from tasks.table import UnknownNameError

DIGITS = TASKS["digits-convnet"]
LINEAR = TASKS["shallow-linear-dropblock"]


@pytest.mark.parametrize("name", REGULARIZERS)
def test_a_contestant_starts_from_the_papers_values_and_the_protocols_learning_rate(name):
    defaults = {field.name: field.default for field in fields(REGULARIZERS[name])}
    assert Contestant(name).resolve(DIGITS, "smoke") == {**defaults, "learning_rate": 0.05}


@pytest.mark.parametrize("name", SPACES)
def test_every_contestant_tunes_its_own_space_and_the_learning_rate(name):
    assert set(Contestant(name).space(DIGITS, "smoke")) == {*SPACES[name], "learning_rate"}


def test_what_a_task_pins_is_not_tuned_and_beats_defaults_and_overrides():
    contestant = Contestant("dropblock")
    assert LINEAR.pins["block_size"] == 5
    assert not set(contestant.space(LINEAR, "smoke")) & set(LINEAR.pins)
    resolved = contestant.resolve(LINEAR, "smoke", {"block_size": 3, "drop_rate": 0.1})
    assert (resolved["block_size"], resolved["drop_rate"]) == (5, 0.5)


def test_what_a_pin_leaves_without_effect_is_not_tuned():
    arena = TASKS["digits-200-mlp"]
    assert arena.pins["attack"] == "fgsm"
    for name in ("adversarial_training", "reflected_adversarial_training"):
        assert set(Contestant(name).space(arena, "smoke")) == {"radius", "learning_rate"}
        assert {"num_steps", "step_size"} <= set(Contestant(name).space(DIGITS, "smoke"))
    both = set(Contestant("adversarial_training+dropout").space(arena, "smoke"))
    assert both == {"radius", "learning_rate", *Contestant("dropout").space(arena, "smoke")}


def test_what_has_no_effect_at_one_value_of_a_tuned_field_is_tuned():
    """Half of the proposals may have the other value."""
    contestant = Contestant("generalized_dropout")
    assert {"law", "correlation", "block_size"} <= set(contestant.space(DIGITS, "smoke"))


@pytest.mark.parametrize("name", [name for name in SPACES if "m" in SPACES[name]])
@pytest.mark.parametrize("epochs", [1, 2, 25, 400])
def test_a_period_in_epochs_is_tuned_up_to_the_length_of_the_training(name, epochs):
    """Above it the training is the baseline's."""
    task = tiny("digits-convnet", epochs=epochs, full_epochs=None)
    contestant = Contestant(name)
    space = contestant.space(task, "smoke")
    assert ("m" in space) == (epochs > 1)
    if "m" in space:
        assert (space["m"].low, space["m"].high) == (1, min(30, epochs))
        ((_, longest),) = contestant.build(contestant.resolve(task, "smoke", {"m": space["m"].high}))
        assert longest.period_epochs() <= task.epochs("paper")


def test_a_tasks_own_defaults_beat_those_of_the_regularizer_and_are_tuned_and_overridden_as_those_are():
    task = replace(DIGITS, defaults={"block_size": 3, "dropout.drop_rate": 0.25})
    for name in ("dropblock", "localdrop"):
        assert Contestant(name).resolve(task, "smoke")["block_size"] == 3
        assert Contestant(name).resolve(task, "smoke", {"block_size": 5})["block_size"] == 5
        assert "block_size" in Contestant(name).space(task, "smoke")
    assert Contestant("dropout").resolve(task, "smoke")["drop_rate"] == 0.25
    assert (
        Contestant("dropblock").resolve(task, "smoke")["drop_rate"]
        == Contestant("dropblock").resolve(DIGITS, "smoke")["drop_rate"]
    )


def test_overrides_take_the_type_of_the_default():
    resolved = Contestant("dropblock").resolve(DIGITS, "smoke", {"block_size": 3.0, "drop_rate": 0, "learning_rate": 1})
    assert [type(resolved[name]) for name in ("block_size", "drop_rate", "learning_rate")] == [int, float, float]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("block_size", 2.7, r"dropblock\.block_size must be a whole number, got 2\.7\."),
        ("block_size", "two", r"dropblock\.block_size must be a whole number, got 'two'\."),
        ("drop_rate", "much", r"dropblock\.drop_rate must be a number, got 'much'\."),
        ("drop_rate", True, r"dropblock\.drop_rate must be a number, got True\."),
        ("drop_rate", math.inf, r"dropblock\.drop_rate must be a finite number, got inf\."),
        ("drop_rate", math.nan, r"dropblock\.drop_rate must be a number, got nan\."),
        ("drop_rate", 10**400, r"dropblock\.drop_rate must be a number, got 10{400}\."),
        ("block_size", math.inf, r"dropblock\.block_size must be a whole number, got inf\."),
        (
            "block_size",
            2**63,
            r"dropblock\.block_size must be a whole number of at most 64 bits, got 9223372036854775808",
        ),
        ("learning_rate", "fast", r"learning_rate must be a number, got 'fast'\."),
        ("learning_rate", -math.inf, r"learning_rate must be a finite number, got -inf\."),
        ("learning_rate", -0.1, r"learning_rate must be at least 0, got -0\.1\."),
    ],
)
def test_an_override_of_another_kind_is_refused_and_not_bent(field, value, message):
    with pytest.raises(BadInput, match=message):
        Contestant("dropblock").resolve(DIGITS, "smoke", {field: value})


def test_an_override_that_is_no_hyperparameter_is_refused_with_those_that_are():
    known = "drop_rate, where, conv_factor, input_drop_rate, share, learning_rate"
    with pytest.raises(BadInput, match=rf"dropout has no hyperparameter 'rate'; it has {known}"):
        Contestant("dropout").resolve(DIGITS, "smoke", {"rate": 0.1})


def test_a_combination_has_the_union_of_fields_and_qualifies_those_that_clash():
    clashing = Contestant("dropout+gaussian_dropout").resolve(DIGITS, "smoke")
    qualified = {f"{part}.{name}" for part in ("dropout", "gaussian_dropout") for name in ("drop_rate", "where")}
    assert set(clashing) == {*qualified, "conv_factor", "input_drop_rate", "share", "learning_rate"}
    mixed = Contestant("dropout+weight_decay").resolve(DIGITS, "smoke")
    own = {field.name for part in ("dropout", "weight_decay") for field in fields(REGULARIZERS[part])}
    assert set(mixed) == {*own, "learning_rate"}


def test_a_combination_builds_each_part_from_its_own_values_in_the_order_of_its_name():
    contestant = Contestant("dropout+gaussian_dropout")
    values = contestant.resolve(DIGITS, "smoke", {"dropout.drop_rate": 0.1, "gaussian_dropout.drop_rate": 0.2})
    (first, dropout), (second, gaussian) = contestant.build(values)
    assert (first, dropout.drop_rate, second, gaussian.drop_rate) == ("dropout", 0.1, "gaussian_dropout", 0.2)  # type: ignore[attr-defined]  # both have
    assert set(contestant.space(DIGITS, "smoke")) <= set(values)


def test_a_pinned_field_is_pinned_in_every_part_of_a_combination():
    contestant = Contestant("dropout+dropblock")
    values = contestant.resolve(LINEAR, "smoke")
    assert (values["dropout.drop_rate"], values["dropblock.drop_rate"], values["block_size"]) == (0.5, 0.5, 5)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("dropuot", UnknownNameError, "did you mean 'dropout'"),
        ("dropout+weight_deacy", UnknownNameError, "did you mean 'weight_decay'"),
        ("dropout+", UnknownNameError, "no regularizer ''"),
        ("dropout+dropout", BadInput, "names each regularizer once"),
    ],
)
def test_names_that_make_no_sense_are_refused(name, error, message):
    with pytest.raises(error, match=message):
        Contestant(name)


def test_a_cell_is_skipped_for_the_reason_of_the_part_that_cannot_act():
    mlp = TASKS["digits-mlp"]
    alone = Contestant("dropblock").skip_reason(mlp, "smoke")
    assert alone == Contestant("weight_decay+dropblock").skip_reason(mlp, "smoke")
    assert "site" in alone
    assert Contestant("dropblock").skip_reason(DIGITS, "smoke") is None


def test_a_cell_is_skipped_where_the_contestant_refuses_what_the_task_pins():
    class Pinned(type(LINEAR)):
        def __post_init__(self):
            object.__setattr__(self, "pins", {"where": "nowhere"})  # as a task of other people may write it

    reason = Contestant("dropout").skip_reason(Pinned(keep=0.5), "smoke")
    assert reason.startswith("This task fixes hyperparameters at values that dropout does not take. ")
    assert reason.endswith("Dropout.where must be 'dense', 'conv', 'all' or 'last', got 'nowhere'.")
    assert Contestant("none").skip_reason(Pinned(keep=0.5), "smoke") is None


def test_a_value_that_the_regularizer_refuses_is_refused_when_it_is_built():
    with pytest.raises(ValueError, match="drop_rate"):
        Contestant("dropout").build({"drop_rate": 2.0})


def test_only_a_contestant_without_any_that_changes_training_only_measures() -> None:
    found = {name: Contestant(name).only_measures for name in ("none", "rademacher_probe", "dropout+rademacher_probe")}
    assert found == {"none": False, "rademacher_probe": True, "dropout+rademacher_probe": False}
