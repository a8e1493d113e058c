"""Searches as studies of Optuna: a study for each tuned cell (task, regularizer, scale), a trial for each tune row."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.exports.exported import Exported, ExportError, told_as_export_error
from analysis.exports.runs import Run, Scalar, runs_of
from analysis.rows.current import current_rows
from analysis.rows.notes import notes_of
from analysis.tables.statistics import spans_decades
from harness.records import SUCCESSES

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

Distributions = Callable[[str, str, str], Mapping[str, Any]]

JOURNALS = (".log", ".journal", ".jsonl")  # endings of the names of journal files
DATABASES = (".db", ".sqlite", ".sqlite3")
DATABASE_NAME = "optuna.db"
MARK = "exported_by"  # the attribute of a study that an export has written
_SQLITE = b"SQLite format 3\0"  # the first bytes of such a file


@dataclass(frozen=True, kw_only=True)
class Search:
    """The tune trials of one cell, in the order of proposals."""

    task: str
    regularizer: str
    scale: str
    metric: str
    higher_is_better: bool
    runs: Sequence[Run]

    @property
    def name(self) -> str:
        """The name of the study."""
        return f"{self.task} / {self.regularizer} ({self.scale})"


def write_studies(
    trials: pd.DataFrame, place: str, curves: pd.DataFrame, distributions: Distributions | None = None
) -> Exported:
    """Write a study for each tuned cell; trials that are there already are kept, or replaced if they have changed.

    The value of a trial is its validation value. Intermediate values are those of the validation curve by epoch.
    Statuses become COMPLETE, PRUNED or FAIL. Attributes of a trial are its id, seed, status and error, its other
    hyperparameters, epochs and training time.

    Args:
        trials: from `load_trials`.
        place: the URL of a storage, or the path of a SQLite file, of a folder for it, or of a journal file.
        curves: from `load_curves`.
        distributions: task, regularizer, scale -> distributions of the search; None: ranges of the values tried.

    Raises:
        ValueError: if nothing was tuned.
        ExportError: if the storage cannot be opened or written, or holds another study of one of the names.
    """
    current = current_rows(trials)
    searches = list(_searches(current, curves))
    if not searches:
        raise ValueError("Nothing was tuned in these results; an export to Optuna holds the searches (--tune-trials).")
    with _quiet():
        from sqlalchemy.exc import SQLAlchemyError

        with told_as_export_error(place, OSError, SQLAlchemyError, ImportError):
            storage, where = _storage(place)
            written, kept = 0, 0
            for search in searches:
                ranges = distributions(search.task, search.regularizer, search.scale) if distributions else {}
                new, same = _put(storage, search, ranges)
                written, kept = written + new, kept + same
    what = f"trials of {len(searches):,} studies" if len(searches) > 1 else "trials of a study"
    return Exported(where=where, what=what, num_written=written, num_kept=kept, notes=tuple(notes_of(current)))


def _searches(current: pd.DataFrame, curves: pd.DataFrame) -> Iterator[Search]:
    tuned = current[current["role"].eq("tune") & current["status"].ne("skipped")]
    order = ["campaign_id", "tune_index", "trial_id"]
    for (task, regularizer, scale), rows in tuned.groupby(["task", "regularizer", "scale"], sort=True):
        metric, higher = rows["metric"].dropna(), rows["higher_is_better"].dropna()
        runs = runs_of(rows.sort_values(order), curves[curves["trial_id"].isin(rows["trial_id"])])
        yield Search(
            task=str(task),
            regularizer=str(regularizer),
            scale=str(scale),
            metric=str(metric.iloc[0]) if len(metric) else "",
            higher_is_better=bool(higher.iloc[0]) if len(higher) else True,
            runs=list(runs),
        )


def _put(storage: BaseStorage, search: Search, given: Mapping[str, BaseDistribution]) -> tuple[int, int]:
    """Write a search; returns how many trials were written, and how many were there already.

    Raises:
        ExportError: if there is a study of this name from elsewhere, or its trials have other ranges.
    """
    import optuna

    ranges = _ranges(search.runs, given)
    wanted = {run.trial_id: _trial(run, search, ranges) for run in search.runs}
    study = optuna.create_study(
        storage=storage,
        study_name=search.name,
        direction="maximize" if search.higher_is_better else "minimize",
        load_if_exists=True,
    )
    known = study.get_trials(deepcopy=False)
    if known and study.user_attrs.get(MARK) != "regarena":
        raise ExportError(f"There is a study {search.name!r} that is no export; choose another place (--out).")
    there = {str(each.user_attrs.get("trial_id")): each for each in known}
    changed = [name for name in there.keys() & wanted.keys() if _content(there[name]) != _content(wanted[name])]
    if changed:  # Optuna cannot change finished trials: write the study again, and keep the trials of other results
        optuna.delete_study(study_name=search.name, storage=storage)
        others = [trial for name, trial in there.items() if name not in wanted]
        study = optuna.create_study(storage=storage, study_name=search.name, direction=study.direction)
        new = [*others, *wanted.values()]
    else:
        new = [trial for name, trial in wanted.items() if name not in there]
    _describe(study, search)
    try:
        study.add_trials(new)
    except ValueError as error:  # a range with other choices than before
        raise ExportError(f"The study {search.name!r} has trials with other ranges: {error}") from error
    num_new = len(wanted) if changed else len(new)
    return num_new, len(wanted) - num_new


def _describe(study: Study, search: Search) -> None:
    for name, value in {
        MARK: "regarena",
        "task": search.task,
        "regularizer": search.regularizer,
        "scale": search.scale,
        "metric": search.metric,
    }.items():
        if study.user_attrs.get(name) != value:
            study.set_user_attr(name, value)
    if search.metric and not study.metric_names:
        study.set_metric_names([search.metric])


def _trial(run: Run, search: Search, ranges: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """The trial as Optuna stores it."""
    from optuna.trial import TrialState, create_trial

    value = run.numbers.get("validation_value", math.nan)
    status = run.labels["status"]
    has_value = math.isfinite(value) and status in SUCCESSES
    curve = {
        point.epoch: point.value
        for point in run.curves
        if point.split == "validation" and point.metric == search.metric
    }
    if status == "pruned" and not curve and math.isfinite(value):
        curve = {int(run.numbers.get("epochs_run", 0)): value}
    tuned = {name: value for name, value in run.hyperparameters.items() if name in ranges}
    others = {name: value for name, value in run.hyperparameters.items() if name not in ranges}
    labels = ("seed", "status", "error_type", "error_message", "campaign_id", "code_hash", "rung", "tune_index")
    attributes: dict[str, Any] = {
        "trial_id": run.trial_id,
        **{name: run.labels[name] for name in labels if name in run.labels},
        **{name: run.numbers[name] for name in ("epochs_run", "train_seconds") if name in run.numbers},
        **others,
    }
    ended = TrialState.PRUNED if status == "pruned" else TrialState.FAIL
    trial = create_trial(
        state=TrialState.COMPLETE if has_value else ended,
        value=value if has_value else None,
        params=tuned,
        distributions={name: ranges[name] for name in tuned},
        user_attrs=attributes,
        intermediate_values=curve,
    )
    trial.datetime_start, trial.datetime_complete = _local(run.started or run.finished), _local(run.finished)
    if trial.datetime_complete is None:  # Optuna wants both
        trial.datetime_start = trial.datetime_complete = datetime.fromtimestamp(0)
    return trial


def _content(trial: FrozenTrial) -> tuple[object, ...]:
    """The parts of a trial that are compared to see whether it has changed."""
    value = trial.value if trial.state.name == "COMPLETE" else None
    told = [trial.user_attrs.get(name) for name in ("status", "error_message", "train_seconds")]
    return trial.state.name, value, sorted(trial.params.items()), *told


def _ranges(runs: Sequence[Run], given: Mapping[str, BaseDistribution]) -> dict[str, BaseDistribution]:
    """The given ranges that hold all values tried, and for other hyperparameters that varied the ranges of the values.

    Without any given, hyperparameters that never varied have no range.
    """
    tried: dict[str, list[Scalar]] = {}
    for run in runs:
        for name, value in run.hyperparameters.items():
            tried.setdefault(name, []).append(value)
    ranges: dict[str, BaseDistribution] = {}
    for name, values in tried.items():
        if name in given and all(_holds(given[name], value) for value in values):
            ranges[name] = given[name]
        elif len(set(values)) > 1:
            ranges[name] = _range_of(values)
    return ranges


def _holds(distribution: BaseDistribution, value: Scalar) -> bool:
    """Whether a value is within a distribution."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    if isinstance(distribution, FloatDistribution | IntDistribution):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and distribution.low <= float(value) <= distribution.high
    return False


def _range_of(values: Sequence[Scalar]) -> BaseDistribution:
    """The range of the values, on a logarithmic scale if they span two decades; for text the values themselves."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if any(isinstance(value, bool | str) for value in values):
        return CategoricalDistribution(sorted(set(values), key=lambda value: (str(type(value)), value)))
    numbers = [value for value in values if not isinstance(value, str)]
    low, high = min(numbers), max(numbers)
    log = spans_decades(low, high)
    if all(isinstance(value, int) for value in numbers):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


def _storage(place: str) -> tuple[BaseStorage, str]:
    """The storage that a URL or a path names, and its URL or path."""
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if "://" in place:
        return RDBStorage(place), place
    path = Path(place)
    is_database = path.is_file() and path.open("rb").read(len(_SQLITE)) == _SQLITE
    if path.suffix in JOURNALS and not is_database:
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(path))), str(path)
    if path.suffix not in DATABASES and not path.is_file():
        path = path / DATABASE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{path}"
    return RDBStorage(url), url


def _local(moment: datetime | None) -> datetime | None:
    """A time as Optuna stores it: of this machine's time zone, without naming it."""
    return None if moment is None else moment.astimezone().replace(tzinfo=None)


@contextmanager
def _quiet() -> Iterator[None]:
    """A context without Optuna's log of studies and warnings of experimental parts."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
