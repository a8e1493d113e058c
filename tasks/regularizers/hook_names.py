"""Checks of the names of hooks, made when a regularizer's class is defined.

A misspelled hook is never called, so that the regularizer would silently be the baseline. Therefore a class must not
define a public method or class attribute whose name is similar to a hook's.
"""

from __future__ import annotations

import difflib
import inspect
from typing import Any

SIMILARITY = 0.65  # by difflib: `penalties` has 0.75, `before_step` 0.67, helpers of regarena's classes at most 0.61
ACTING_HOOKS = (  # a regularizer that overrides none of them cannot change training
    "attach", "fill", "optimizer_settings", "progress", "transform_raw", "transform_batch", "penalty",
    "compute_gradients", "after_step", "after_epoch", "should_stop", "finish",
)  # fmt: skip


def check_names(cls: type, base: type) -> None:
    """Compare the public names of a class with those of `base`, whose hooks the training loop calls.

    Raises:
        TypeError: for a name that is similar to one of the base's, a field that hides a hook, or a hook whose
            parameters differ from the base's.
    """
    known = [name for name in dir(base) if not name.startswith("_")]
    fields = _field_names(cls)
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        is_hook = callable(getattr(base, name, None))
        if name in known and is_hook and (name in fields or not _is_method(member)):
            raise TypeError(f"{cls.__name__}.{name} hides the hook {name!r}; give the field another name.")
        if name in known and is_hook and inspect.isfunction(member):
            _check_parameters(cls, name, member, getattr(base, name))
        elif name not in known and name not in fields:
            near = difflib.get_close_matches(name, known, n=1, cutoff=SIMILARITY)
            if near:
                raise TypeError(
                    f"{cls.__name__}.{name} is neither a hook nor an attribute that regarena reads; did you mean "
                    f"{near[0]!r}? The name of a helper must begin with an underscore."
                )


def changes_training(regularizer: type, base: type) -> bool:
    """Whether a class overrides any hook of `base` that can change training; otherwise it is the baseline."""
    return any(getattr(regularizer, hook) is not getattr(base, hook) for hook in ACTING_HOOKS)


def _field_names(cls: type) -> set[str]:
    """Names of the fields of `cls` as a dataclass; its own by annotations, since the decorator runs later."""
    own = {name for name, kind in vars(cls).get("__annotations__", {}).items() if "ClassVar" not in str(kind)}
    return own | {name for base in cls.__mro__ for name in getattr(base, "__dataclass_fields__", {})}


def _is_method(member: object) -> bool:
    return inspect.isroutine(member) or isinstance(member, classmethod | staticmethod)


def _check_parameters(cls: type, name: str, method: Any, hook: Any) -> None:
    given = list(inspect.signature(hook).parameters)
    try:
        inspect.signature(method).bind(*given)
    except TypeError:
        raise TypeError(
            f"{cls.__name__}.{name} must take ({', '.join(given)}), as the training loop calls it, got "
            f"{inspect.signature(method)}."
        ) from None
