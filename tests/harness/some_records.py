"""Records for tests of the store, made without any training (and without importing torch)."""

from harness.records import CurvePoint, TrialRecord, TrialSpec

NUM_POINTS = 40


def record(number=0, status="completed", role="confirm", task="digits-mlp", suite="", **hyperparameters):
    """A record like many; `number` is its seed."""
    spec = TrialSpec(
        task=task,
        suite=suite,
        regularizer="none",
        hyperparameters=hyperparameters or {"learning_rate": 0.1},
        seed=number,
        role=role,
        scale="smoke",
        code_hash="",
    )
    values = {"train_seconds": 1.5, "setup_seconds": 0.5, "metric": "accuracy", "epochs_planned": 3, "epochs_run": 3}
    if status == "completed":
        values["validation_value"] = 0.5
        if role != "tune":
            values |= {"test_value": 0.25, "test_value_at_best_validation": 0.25}
    splits = ("validation",) if role == "tune" else ("validation", "test")
    curves = tuple(
        CurvePoint(epoch=epoch, split=splits[epoch % len(splits)], metric="accuracy", value=epoch / 50)
        for epoch in range(NUM_POINTS)
    )
    return TrialRecord(spec=spec, status=status, values=values, metrics={"loss": float("nan")}, curves=curves)
