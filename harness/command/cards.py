"""What `regarena show NAME` prints: the card of a regularizer, task, suite, architecture or data set."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness.command.parameters import results_here
from harness.command.registries import TABLES
from harness.errors import BadInput
from harness.field_docs import field_docs
from harness.spaces import space_of
from harness.terminal.text import cell_length, say, visible, window_columns, wrapped
from harness.unknown_names import unknown_name
from harness.workers.compiled_code import keep_compiled_code_apart
from tasks.table import BrokenEntryError, UnknownNameError, described

if TYPE_CHECKING:
    from tasks.sites import Site

SMALL_SUITE = "zoo"  # the suite in which every contestant has a small task that does not skip it
_GAP = re.compile(r"(?<=\S) {2,}(?=\S)")  # between the columns of a line
DOCSTRING_COLUMNS = 120  # the length of the longest lines in docstrings
_BULLETS = ("* ", "- ")
NO_SITE = "no site"
SITES_HEADING = "sites         (kind, group, shape; how many; from the first to the last of them)"


def card(name: str, results: Sequence[str] | None = None) -> str:
    """The card of the entry `name`; several if more than one table has that name, or for a combination (`a+b`).

    Args:
        name: of the entry.
        results: folders with timing rows for the costs; by default all in `results/`, and `gallery/arena`.

    Raises:
        UnknownNameError: if no table has the name.
        BrokenEntryError: if the entry comes from another package and cannot be used.
        BadInput: if the timing rows cannot be read.
    """
    keep_compiled_code_apart()  # before networks are built
    cards = [_card(kind, name, results) for kind, table in TABLES.items() if name in table]
    if cards:
        return "\n\n".join(cards)
    if "+" in name:
        return "\n\n".join([*(card(part, results) for part in name.split("+")), "\n".join(_combination(name, results))])
    known = [known for table in TABLES.values() for known in table]
    raise UnknownNameError(unknown_name("regularizer, task, suite, architecture or dataset", name, known))


def say_card(text: str) -> None:
    """Print a card; lines that are wider than the window are broken between words."""
    columns = window_columns()
    for line in text.splitlines() if columns is None else _paragraphs(text.splitlines(), columns):
        if columns is None or cell_length(line) <= columns:
            say(line)
            continue
        start, margin = _columns_of(line, columns)
        for part in wrapped(line[len(start) :], columns, first=start, following=" " * margin):
            say(part)


def _paragraphs(lines: Sequence[str], columns: int) -> Iterator[str]:
    """Join the lines of each paragraph of a docstring, so that they can be wrapped to the window."""
    paragraph = last = ""
    for line in map(visible, lines):
        is_below = line.strip() and _margin(paragraph) == _indentation(line)
        goes_on = is_below and len(last) > DOCSTRING_COLUMNS * 2 // 3
        if goes_on and columns < DOCSTRING_COLUMNS and not line.lstrip().startswith(_BULLETS) and not _GAP.search(line):
            paragraph, last = f"{paragraph} {line.strip()}", line
            continue
        if paragraph:
            yield paragraph
        paragraph = last = "" if _GAP.search(line) or not line else line
        if not paragraph:
            yield line
    if paragraph:
        yield paragraph


def _columns_of(line: str, columns: int) -> tuple[str, int]:
    """The start of a line that must stay unbroken, and the indentation of the lines that continue it."""
    starts = [gap.end() for gap in _GAP.finditer(line) if gap.end() <= columns * 2 // 3]
    return (line[: starts[-1]], starts[-1]) if starts else (line[: _indentation(line)], _margin(line))


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _margin(line: str) -> int:
    """The indentation of lines that continue this one; those of a list's item are aligned with its text."""
    return _indentation(line) + 2 * line.lstrip().startswith(_BULLETS)


def _card(kind: str, name: str, results: Sequence[str] | None) -> str:
    """The card from one table, and below it notices about other packages' entries of that name, which are ignored."""
    table = TABLES[kind]
    entry = table[name]
    try:
        return "\n".join([*_CARDS[kind](name, entry, results), *table.notices([name])])
    except (BrokenEntryError, BadInput):
        raise
    except Exception as error:
        if name in table.own:
            raise
        raise table.broken(name, f"making its card raises {described(error)}") from error


def _regularizer(name: str, cls: Any, results: Sequence[str] | None) -> Iterator[str]:
    yield f"{name}: {_first_line(inspect.getmodule(cls))}"
    yield ""
    yield inspect.getdoc(cls) or ""
    yield ""
    yield f"formula   {cls.formula}"
    yield f"source    {cls.source}"
    places = [", ".join(cls.acts_on), cls.also_acts_on]
    yield f"acts on   {'; '.join(filter(None, places)) or f'{NO_SITE}: the loss, the batch or the optimizer'}"
    yield from filter(None, [_idleness(name, cls)])
    yield from _fields(name, cls)
    yield f"cost      {_cost(name, results)}"
    yield f"example   regarena tune {_task_for(cls)} --regularizer {name} --tune-trials 5 --scale smoke"


def facts(contestant: str) -> dict[str, str] | None:
    """What the report says of a contestant: "summary", "formula", "source" and "kind" (the kinds of sites it needs).

    Of a combination they are those of its parts, in their order. None for a name that is not in the table, or whose
    package cannot be used here: rows may come from elsewhere.
    """
    table = TABLES["regularizers"]
    try:
        classes = [table[part] for part in contestant.split("+")]
    except (BrokenEntryError, UnknownNameError):
        return None
    kinds = dict.fromkeys(kind for cls in classes for kind in cls.acts_on)
    return {
        "summary": " ".join(_first_line(inspect.getmodule(cls)) for cls in classes),
        "formula": "; ".join(cls.formula for cls in classes if cls.formula),
        "source": "; ".join(cls.source for cls in classes if cls.source),
        "kind": ", ".join(kinds) or NO_SITE,
    }


def _idleness(name: str, cls: Any) -> str:
    """A line for a regularizer whose defaults change nothing in a training of any length; "" for others."""
    from harness.contestants import BASELINE, Contestant

    Contestant(name).check()
    reason = cls().idle_reason(num_epochs=sys.maxsize)
    return f"changes   nothing: {reason}" if reason and name != BASELINE else ""


def _combination(name: str, results: Sequence[str] | None) -> Iterator[str]:
    """The part of a combination's card that its regularizers' cards lack: qualified fields, cost, a common task."""
    from harness.contestants import Contestant

    contestant = Contestant(name)
    yield f"{name}: all of these together, attached in this order, tuned over the union of their search spaces"
    yield ""
    renamed = f"; renamed because several have them: {', '.join(contestant.qualified)}" if contestant.qualified else ""
    yield f"fields    as above{renamed}"
    tasks = [task for task in _small_tasks() if contestant.skip_reason(TABLES["tasks"][task], "smoke") is None]
    if tasks:
        yield f"cost      {_cost(name, results)}"
        yield f"example   regarena tune {tasks[0]} --regularizer {name} --tune-trials 5 --scale smoke"
    else:
        yield f"example   none: no task of the suite {SMALL_SUITE} has what all parts need"


def _fields(name: str, cls: Any) -> Iterator[str]:
    """Each field with its default and allowed values; below it, the range that is tuned and the range's source."""
    fields, space, notes = dataclasses.fields(cls), space_of(name), field_docs(cls)
    if not fields:
        yield "fields    none"
        return
    yield "fields    name = default   what is allowed"
    settings = {field.name: f"{field.name} = {field.default!r}" for field in fields}
    width = max(map(len, settings.values()))
    for field in fields:
        yield f"  {settings[field.name]:<{width}}   {notes[field.name]}".rstrip()
        if field.name in space:
            yield f"      tuned: {space[field.name]}   [{space[field.name].source}]"


def _task_for(cls: Any) -> str:
    """A small task that does not skip the regularizer."""
    names = _small_tasks()
    fitting = [name for name in names if TABLES["tasks"][name].skip_reason(cls()) is None]
    return (fitting or names)[0]


def _small_tasks() -> list[str]:
    return [name for group in TABLES["suites"][SMALL_SUITE].groups for name in group.tasks]


def _task(name: str, task: Any, results: Sequence[str] | None) -> Iterator[str]:
    from tasks.sites import sites_of

    yield f"{name}: {TABLES['tasks'].summary(name)}"
    yield ""
    yield inspect.getdoc(type(task)) or ""
    yield ""
    yield f"dataset       {task.dataset}"
    yield f"architecture  {task.architecture}"
    yield f"metric        {task.metric} ({'higher' if task.higher_is_better else 'lower'} is better)"
    yield from _protocol(task)
    if task.pins:
        yield f"pinned        {', '.join(f'{key} = {value}' for key, value in task.pins.items())}"
    yield SITES_HEADING
    yield from _sites_in_runs(sites_of(task.example_network()))
    yield f"example       regarena tune {name} --regularizer dropout{_data_option([task])}"


def _protocol(task: Any) -> Iterator[str]:
    """How the task trains at each scale; a task of another package need not have a `Protocol`."""
    from harness.records import SCALES
    from tasks.protocols import Protocol

    protocol = getattr(task, "protocol", None)
    if not isinstance(protocol, Protocol):
        yield "protocol      of the task's own"
        for scale in SCALES:
            yield f"  {scale:<6} {task.epochs(scale)} epochs, learning rate {task.default_learning_rate(scale):g}"
        return
    yield f"protocol      {protocol.source}"
    for scale in ("paper", *protocol.scales):
        at = protocol.at(scale)
        yield f"  {scale:<6} {at.epochs} epochs, batch {at.batch_size}, learning rate {at.learning_rate:g}"
    yield from _training(task)


def _training(task: Any) -> Iterator[str]:
    """The settings of the protocol that are the same at every scale."""
    protocol = task.protocol
    at = ", ".join(f"{milestone:.3g}" for milestone in protocol.milestones)
    steps = f"times {protocol.decay:g} at {at} of the training" if at else "constant"
    yield f"  rate   {steps if protocol.schedule == 'steps' else protocol.schedule}"
    nesterov = " (Nesterov)" if protocol.nesterov and protocol.momentum else ""
    yield f"  SGD    momentum {protocol.momentum:g}{nesterov}, weight decay {protocol.weight_decay:g}"
    if task.dataset not in TABLES["datasets"]:  # made up as it is trained on
        return
    yield f"  images {protocol.preprocessing}; augmentation: {', '.join(protocol.augmentation) or 'none'}"
    held_out = protocol.validation_fraction
    yield f"  split  {'that of the data set' if held_out is None else f'{held_out:.0%} of the training set held out'}"


def _data_option(tasks: Iterable[Any]) -> str:
    """The option that an example needs if one of its tasks reads files."""
    return " --data DIR" if any(task.needs_data for task in tasks) else ""


def _suite(name: str, suite: Any, results: Sequence[str] | None) -> Iterator[str]:
    yield f"{name}: {TABLES['suites'].summary(name)}"
    yield ""
    for group in suite.groups:
        yield f"tasks         {', '.join(group.tasks)}"
        yield f"regularizers  {', '.join(group.regularizers)}"
        yield from (f"  {name} in {', '.join(map(str, values))}" for name, values in group.grid.items())
    tuned = f"{suite.tune_epochs} tune epochs" if suite.tune_epochs else f"{suite.tune_trials} tune trials"
    is_tuned = suite.tune_epochs or suite.tune_trials
    width = f" ({suite.tune_width} at once{', halving' * suite.halving})" if is_tuned else ""
    untuned = "" if suite.default_seeds is None else f" ({suite.default_seeds} untuned)"
    budget = f"{tuned}{width} and {suite.seeds} seeds{untuned} a cell"
    yield f"budget        {budget}, at scale {suite.scale}"
    yield f"source        {suite.source}"
    tasks = [TABLES["tasks"][task] for group in suite.groups for task in group.tasks]
    yield f"example       regarena run {name}{_data_option(tasks)}"


def _architecture(name: str, cls: Any, results: Sequence[str] | None) -> Iterator[str]:
    import torch

    from tasks.architectures.cost import cost_of
    from tasks.architectures.examples import example_of
    from tasks.sites import sites_of

    yield f"{name}: {_first_line(inspect.getmodule(cls))}"
    yield ""
    yield inspect.getdoc(cls) or ""
    network, (channels, height, width) = example_of(cls)
    example = torch.zeros(1, channels, height, width)
    cost = cost_of(network, example)
    yield ""
    yield f"at            {height}x{width} images of {channels} channel{'s' * (channels > 1)}, 10 classes"
    yield f"layers        {cost.num_conv_layers} conv, {cost.num_dense_layers} dense"
    yield f"parameters    {cost.num_parameters:,}"
    yield f"multiply-adds {cost.num_multiply_adds:,} for one image, forward"
    yield SITES_HEADING
    yield from _sites_in_runs(sites_of(network))


def _sites_in_runs(sites: Sequence[Site]) -> Iterator[str]:
    """One line for all sites of the same kind, group and shape."""
    alike: dict[tuple[str, int, tuple[int, ...] | None], list[str]] = {}
    for site in sites:
        alike.setdefault((site.kind, site.group, site.shape), []).append(site.name)
    for (kind, group, shape), names in alike.items():
        named = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        yield f"  {kind:<7} group {group}  {shape!s:<15} {len(names):>3}  {named}"


def _dataset(name: str, dataset: Any, results: Sequence[str] | None) -> Iterator[str]:
    yield f"{name}: {TABLES['datasets'].summary(name)}"
    yield ""
    yield f"{'images ' if dataset.holds_images else 'ratings'}        {dataset.content}"
    yield f"kept           {dataset.kind}"
    yield f"splits         {dataset.splits_in_words}"
    if dataset.holds_images:
        yield f"preprocessing  {', '.join(dataset.preprocessings)}"
        yield f"augmentation   {', '.join(dataset.augmentations)}"
        yield f"normalised by  mean {dataset.mean}, deviation {dataset.std}"
    yield f"files          {', '.join(dataset.files) or 'none needed'}{' (below --data)' if dataset.files else ''}"
    if dataset.files:
        how = "--download fetches what is missing" if dataset.fetch else "cannot be fetched: bring your own copy"
        yield f"               {how}"


_CARDS = {
    "regularizers": _regularizer,
    "tasks": _task,
    "suites": _suite,
    "architectures": _architecture,
    "datasets": _dataset,
}


def _cost(name: str, results: Sequence[str] | None) -> str:
    """The time of a step relative to the unregularized twin's, from the timing rows in these folders."""
    folders = list(results or []) or [str(path) for path in results_here()]
    if folders:
        import analysis

        try:
            timing = analysis.timing_table(analysis.load_trials(folders, on_conflict="first", on_damage="warn"))
        except (ValueError, OSError) as error:
            raise BadInput(str(error)) from error
        rows = timing[timing["regularizer"] == name].to_dict("records")
        if rows:
            return "; ".join(f"{r['ratio']:.2f} x twin on {r['task']} (n={r['n']}, {r['hardware_key']})" for r in rows)
    return f"not measured here yet: `regarena run {SMALL_SUITE} --only {name} --seeds 0 --tune-trials 0` times it"


def _first_line(module: Any) -> str:
    return (inspect.getdoc(module) or "").split("\n")[0]
