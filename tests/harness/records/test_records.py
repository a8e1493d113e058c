import hashlib
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import (
    CURVE_SCHEMA,
    SCHEMA_VERSION,
    TRIAL_COLUMNS,
    TRIAL_FIELDS,
    CurvePoint,
    TrialRecord,
    TrialSpec,
    schema_of,
)

SCALARS = st.one_of(
    st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5), st.booleans()
)
HYPERPARAMETERS = st.dictionaries(st.text(min_size=1, max_size=5), SCALARS, max_size=5)


def spec(**changes):
    return TrialSpec(
        **{
            "task": "digits-mlp",
            "regularizer": "dropout",
            "hyperparameters": {"drop_rate": 0.5, "learning_rate": 0.1},
            "seed": 0,
            "role": "confirm",
            "scale": "smoke",
            "code_hash": "abc",
            **changes,
        }
    )


def record(role="confirm", **changes):
    return TrialRecord(spec=spec(role=role), status="completed", **changes)


@given(HYPERPARAMETERS, st.randoms())
def test_the_identity_of_a_trial_does_not_depend_on_the_order_of_its_hyperparameters(hyperparameters, random):
    shuffled = list(hyperparameters.items())
    random.shuffle(shuffled)
    assert spec(hyperparameters=hyperparameters).trial_id == spec(hyperparameters=dict(shuffled)).trial_id


def test_the_identity_is_a_hash_of_what_defines_the_trial_and_of_nothing_else():
    identity = {
        "task": "digits-mlp",
        "regularizer": "dropout",
        "hyperparameters": {"drop_rate": 0.5, "learning_rate": 0.1},
        "seed": 0,
        "role": "confirm",
        "scale": "smoke",
        "code_hash": "abc",
    }
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    assert spec().trial_id == hashlib.sha256(text.encode()).hexdigest()[:20]


@pytest.mark.parametrize(
    "change",
    [
        {"task": "digits-convnet"},
        {"regularizer": "none"},
        {"hyperparameters": {"drop_rate": 0.5, "learning_rate": 0.2}},
        {"seed": 1},
        {"role": "default"},
        {"scale": "paper"},
        {"code_hash": "abd"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_part_of_the_identity_changes_it(change):
    assert spec(**change).trial_id != spec().trial_id


def test_switches_are_part_of_the_identity_only_where_there_are_some():
    assert spec(switches="").trial_id == spec().trial_id
    assert len({spec(switches=text).trial_id for text in ("", "bf16", "bf16+compile")}) == 3
    assert [record().row()["switches"], TrialRecord(spec=spec(switches="bf16"), status="failed").row()["switches"]] == [
        None,
        "bf16",
    ]


@pytest.mark.parametrize(
    "change", [{"campaign_id": "x"}, {"suite": "y"}, {"tune_index": 3}, {"frozen_from": "z"}], ids=str
)
def test_why_a_trial_runs_is_no_part_of_its_identity(change):
    assert spec(**change).trial_id == spec().trial_id


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (1, True), (0, False), (1, "1"), (0.0, -0.0), (1.0, 1.0 + 2**-52)]
)
def test_values_of_different_types_or_bits_are_different_trials(one, other):
    assert spec(hyperparameters={"h": one}).trial_id != spec(hyperparameters={"h": other}).trial_id


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_refused(value):
    with pytest.raises(ValueError, match="'h' must be finite"):
        spec(hyperparameters={"h": value})


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, 1j, np.float32(1), object()], ids=lambda v: type(v).__name__)
def test_values_that_are_no_number_text_or_truth_value_are_refused(value):
    with pytest.raises(TypeError, match="'h' must be a number, text or boolean"):
        spec(hyperparameters={"h": value})


@pytest.mark.parametrize("column", ["test_value", "test_value_at_best_validation"])
def test_a_tune_record_with_a_test_value_is_refused(column):
    with pytest.raises(ValueError, match="must not see the test split"):
        record("tune", values={column: 0.9})
    assert record("tune", values={column: None}).row()[column] is None
    assert record("confirm", values={column: 0.9}).row()[column] == 0.9


def test_a_tune_record_with_a_test_curve_is_refused():
    points = (CurvePoint(epoch=1, split="test", metric="accuracy", value=0.9),)
    with pytest.raises(ValueError, match="must not see the test split"):
        record("tune", curves=points)
    assert record("confirm", curves=points).curves == points


def test_columns_that_the_table_does_not_have_are_refused():
    with pytest.raises(ValueError, match="accuracy"):
        record(values={"accuracy": 0.9})


@given(HYPERPARAMETERS, st.dictionaries(st.text(min_size=1, max_size=5), st.floats(), max_size=3))
def test_a_row_holds_every_fixed_column_and_each_hyperparameter_in_its_own_type(hyperparameters, metrics):
    row = TrialRecord(spec=spec(hyperparameters=hyperparameters), status="completed", metrics=metrics).row()
    schema = schema_of(row)
    assert schema.names[: len(TRIAL_COLUMNS)] == list(TRIAL_COLUMNS)
    arrow = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
    assert {name: schema.field(f"hp.{name}").type for name in hyperparameters} == {
        name: arrow[type(value)] for name, value in hyperparameters.items()
    }
    assert all(schema.field(f"metric.{name}").type == pa.float64() for name in metrics)
    stored = pa.Table.from_pylist([row], schema=schema).to_pylist()[0]
    assert {name: stored[f"hp.{name}"] for name in hyperparameters} == hyperparameters
    assert stored["schema_version"] == SCHEMA_VERSION
    assert stored["trial_id"] == spec(hyperparameters=hyperparameters).trial_id


def test_the_columns_that_people_rely_on_keep_their_names_and_types():
    types = {name: str(kind) for name, kind in TRIAL_FIELDS}
    text = (
        "trial_id campaign_id suite task dataset architecture regularizer scale role code_hash dataset_fingerprint "
        "switches status error_type error_message reason metric device hardware_key git_commit python_version "
        "torch_version numba_version ray_version optuna_version regarena_version"
    )
    real = (
        "validation_value test_value test_value_at_best_validation train_value train_seconds evaluation_seconds "
        "setup_seconds seconds_per_step samples_per_second gpu_fraction"
    )
    assert {types[name] for name in text.split()} == {"string"}
    assert {types[name] for name in real.split()} == {"double"}
    assert {types[name] for name in ("higher_is_better", "exclusive", "git_dirty")} == {"bool"}
    assert {
        types[name] for name in ("seed", "epochs_planned", "epochs_run", "num_parameters", "peak_memory_bytes")
    } == {"int64"}
    assert {types[name] for name in ("schema_version", "attempts", "cpu_threads")} == {"int32"}
    assert {types[name] for name in ("started_at", "finished_at")} == {"timestamp[us, tz=UTC]"}
    assert [(field.name, str(field.type)) for field in CURVE_SCHEMA] == [
        ("trial_id", "string"),
        ("epoch", "int64"),
        ("split", "string"),
        ("metric", "string"),
        ("value", "double"),
        ("train_seconds", "double"),
    ]
