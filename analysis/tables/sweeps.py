"""Sweeps: cells whose default trials ran at several hyperparameter settings."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.rows.current import current_rows, succeeded
from harness.records import HYPERPARAMETER_PREFIX


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The default trials of one cell over a grid of settings.

    Attributes:
        scale: of the cell.
        task: of the cell.
        regularizer: of the cell.
        names: the hyperparameter columns that vary, the one with the most values last.
        table: one row per setting with the columns `names`, `mean`, `std` and `num_seeds` of the test value, which is
            in % if the metric is accuracy.
        label: name and unit of the values.
        higher_is_better: whether larger values are better.
    """

    scale: str
    task: str
    regularizer: str
    names: tuple[str, ...]
    table: pd.DataFrame
    label: str
    higher_is_better: bool

    def laid_out(self) -> pd.DataFrame:
        """A pivot of the means: columns are the values of the last name, rows the combinations of the others."""
        *others, last = self.names
        order = self.table[others].apply(lambda column: column.rank(method="dense")).apply(tuple, axis="columns")
        key = [
            ", ".join(f"{short_name(name)}={value_text(value)}" for name, value in zip(others, values, strict=True))
            for values in self.table[others].itertuples(index=False, name=None)
        ]
        laid = self.table.assign(_key=key, _order=order)
        table = laid.pivot_table(index=["_order", "_key"], columns=last, values="mean")
        return table.droplevel("_order").rename_axis(index=None, columns=short_name(last))


def sweeps_of(trials: pd.DataFrame) -> list[Sweep]:
    """Every cell whose default trials ran at more than one setting."""
    current = current_rows(trials)
    rows = succeeded(current[current["role"] == "default"]).dropna(subset=["test_value"])
    found = []
    for (scale, task, regularizer), cell in rows.groupby(["scale", "task", "regularizer"]):
        columns = [name for name in cell.columns if name.startswith(HYPERPARAMETER_PREFIX)]
        counts = {name: cell[name].nunique() for name in columns}
        names = sorted((name for name in columns if counts[name] > 1), key=lambda name: (counts[name], name))
        if names:
            found.append(_sweep(str(scale), str(task), str(regularizer), tuple(names), cell))
    return found


def _sweep(scale: str, task: str, regularizer: str, names: tuple[str, ...], cell: pd.DataFrame) -> Sweep:
    is_accuracy = (cell["metric"] == "accuracy").all()
    higher = bool(cell["higher_is_better"].iloc[0])
    values = cell.assign(test_value=cell["test_value"] * (100 if is_accuracy else 1))
    grouped = values.groupby(list(names))["test_value"]
    table = grouped.agg(mean="mean", std="std", num_seeds="count").reset_index()
    metric = str(cell["metric"].iloc[0]).replace("_", " ")
    return Sweep(
        scale=scale,
        task=task,
        regularizer=regularizer,
        names=names,
        table=table,
        label=f"test {metric}{', %' if is_accuracy else ''}",
        higher_is_better=higher,
    )


def short_name(name: str) -> str:
    """The name of a hyperparameter column without its prefix."""
    return name.removeprefix(HYPERPARAMETER_PREFIX)


def value_text(value: object) -> str:
    """A value as text, with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
