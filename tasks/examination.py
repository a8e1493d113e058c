"""Checks of entries from other packages, run when a table loads them.

Each function returns what is wrong as the end of a sentence, or None. Only cheap checks are made here; `regarena check`
measures whether an entry does what it declares.
"""

from __future__ import annotations

from collections.abc import Mapping

_TEXTS = ("dataset", "architecture", "metric")


def fault_of_task(task: object) -> str | None:
    """Check that a task is an instance of `Task` whose class attributes are set and of the right types."""
    from tasks.task import Task

    if not isinstance(task, Task):
        return f"it must be an instance of a subclass of tasks.task.Task, got {task!r:.200}"
    for name in _TEXTS:
        value = getattr(task, name, None)
        if not isinstance(value, str) or (name == "metric" and not value):
            return f"its attribute {name!r} must be text, got {value!r:.200}"
    if not isinstance(getattr(task, "higher_is_better", None), bool):
        return "its attribute 'higher_is_better' must be True or False"
    for name in ("defaults", "pins"):
        values = getattr(task, name)
        if not isinstance(values, Mapping) or not all(
            isinstance(value, bool | int | float | str) for value in values.values()
        ):
            return f"its attribute {name!r} must map names of fields to numbers, texts or booleans, got {values!r:.200}"
    return None


def fault_of_suite(suite: object) -> str | None:
    """Check that a suite is an instance of `Suite`."""
    from tasks.suites import Suite

    return None if isinstance(suite, Suite) else f"it must be an instance of tasks.suites.Suite, got {suite!r:.200}"


def fault_of_architecture(architecture: object) -> str | None:
    """Check that an architecture can be called with `num_classes`, `in_channels` and `image_size`."""
    import inspect

    if not callable(architecture):
        return f"it must be a class or function that makes a network, got {architecture!r:.200}"
    try:
        inspect.signature(architecture).bind(num_classes=10, in_channels=1, image_size=28)
    except TypeError:
        return (
            "it must take the keyword arguments num_classes, in_channels and image_size, and a default for all others, "
            f"got {inspect.signature(architecture)}"
        )
    except ValueError:  # a callable without a signature: calling it will tell
        return None
    return None


def fault_of_dataset(dataset: object) -> str | None:
    """Check that a data set is an instance of `Dataset`."""
    from tasks.datasets.dataset import Dataset

    if not isinstance(dataset, Dataset):
        return f"it must be an instance of a subclass of tasks.datasets.dataset.Dataset, got {dataset!r:.200}"
    return None
