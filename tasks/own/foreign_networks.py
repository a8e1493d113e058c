"""Networks of torchvision, of timm and of the user's own code, made by their names.

| name | network |
|---|---|
| `torchvision:resnet18` | a classifier of `torchvision.models` |
| `timm:resnet18` | a model of timm, which the extra `nets` installs |
| `my_module:make_network` | what this function returns; it takes `num_classes`, `in_channels` and `image_size` |

All are untrained: no weights are downloaded. Making one runs the code of its package; the user's module is imported
from `sys.path` like any other.
"""

from __future__ import annotations

import importlib
import importlib.util
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from torch import nn

from tasks.table import described, unknown_name_message

Option = float | int | str | bool | tuple[float | int | str | bool, ...]
Make = Callable[..., nn.Module]

_REFUSED_OPTIONS = ("weights", "pretrained", "num_classes", "in_channels", "in_chans", "image_size", "img_size")


def make_network(
    architecture: str, options: Mapping[str, Option], *, num_classes: int, in_channels: int, image_size: int
) -> nn.Module:
    """An untrained network.

    Args:
        architecture: see the table above.
        options: further arguments of what makes it, such as `drop_rate`.
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: height and width of the images.

    Raises:
        ValueError: for an unknown name, a package that is not installed, or arguments that are refused.
    """
    source, _, name = architecture.partition(":")
    for option in options:
        if option in _REFUSED_OPTIONS:
            raise ValueError(f"the option {option!r} is set by regarena; leave it out")
    shape = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
    try:
        network = _SOURCES.get(source, _own)(architecture, name, shape, dict(options))
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"making it raises {described(error)}") from error
    if not isinstance(network, nn.Module):
        raise ValueError(f"it must return a torch.nn.Module, got {network!r:.100}")
    return network


def libraries_of(architecture: str) -> tuple[str, ...]:
    """The module of the library that has the network.

    >>> libraries_of("timm:resnet18"), libraries_of("torchvision:vgg11"), libraries_of("my_module:make_network")
    (('timm',), ('torchvision.models',), ())
    """
    source = architecture.partition(":")[0]
    return {"torchvision": ("torchvision.models",), "timm": ("timm",)}.get(source, ())


def own_code(architecture: str) -> tuple[str, ...]:
    """The user's definition that makes the network, "module:name"; empty for one of a package that is known here.

    >>> own_code("timm:resnet18"), own_code("my_module:make_network")
    ((), ('my_module:make_network',))
    """
    source, separator, _ = architecture.partition(":")
    return () if source in _SOURCES or not separator else (architecture,)


def packages_beside(target: str) -> tuple[str, ...]:
    """The modules and packages in the folder of the module of "module:name", which it may import; none if installed."""
    top = target.partition(":")[0].partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return ()
    if spec is None or spec.origin is None:
        return ()
    origin = Path(spec.origin)
    folder = origin.parent.parent if spec.submodule_search_locations else origin.parent
    if folder in {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib", "platstdlib")}:
        return ()
    modules = [path.stem for path in folder.glob("*.py")] + [path.parent.name for path in folder.glob("*/__init__.py")]
    return tuple(sorted(name for name in modules if name.isidentifier() and _is_in(name, folder)))


def _is_in(module: str, folder: Path) -> bool:
    """Whether importing a module takes it from this folder, and not one of the same name elsewhere."""
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None and folder in Path(spec.origin).parents


def _torchvision(architecture: str, name: str, shape: Mapping[str, int], options: dict[str, Any]) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise ValueError(unknown_name_message("classifier of torchvision", name, known).rstrip("."))
    if shape["in_channels"] != 3:
        raise ValueError(f"torchvision's networks take colour images, got {shape['in_channels']} channel(s)")
    make = models.get_model_builder(name)
    return _with_size(make, "image_size", shape["image_size"], num_classes=shape["num_classes"], **options)


def _timm(architecture: str, name: str, shape: Mapping[str, int], options: dict[str, Any]) -> nn.Module:
    try:
        timm: Any = importlib.import_module("timm")
    except ImportError as error:
        raise ValueError("timm is not installed; `pip install regarena[nets]` installs it") from error
    if not timm.is_model(name):
        raise ValueError(unknown_name_message("model of timm", name, _near(name, timm.list_models())).rstrip("."))

    def make(**arguments: Any) -> nn.Module:
        network: nn.Module = timm.create_model(name, pretrained=False, **arguments)
        return network

    given = {"num_classes": shape["num_classes"], "in_chans": shape["in_channels"], **options}
    return _with_size(make, "img_size", shape["image_size"], **given)


def _own(architecture: str, name: str, shape: Mapping[str, int], options: dict[str, Any]) -> nn.Module:
    module, _, _ = architecture.partition(":")
    if not module or not name:
        raise ValueError("it must be torchvision:NAME, timm:NAME or MODULE:FUNCTION")
    try:
        make = reduce(getattr, name.split("."), importlib.import_module(module))
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise ValueError(f"there is no module {module!r} in the folder of the campaign's file") from error
    except AttributeError as error:
        raise ValueError(f"the module {module!r} has no {name!r}") from error
    if not callable(make):
        raise ValueError(f"it must be a function or class that makes a network, got {make!r:.100}")
    network: nn.Module = make(**shape, **options)
    return network


_SOURCES: Mapping[str, Callable[[str, str, Mapping[str, int], dict[str, Any]], nn.Module]] = {
    "torchvision": _torchvision,
    "timm": _timm,
}


def _with_size(make: Make, size_argument: str, image_size: int, **arguments: Any) -> nn.Module:
    """The network for this size of image, if its maker takes a size; otherwise it is for any size."""
    try:
        return make(**{size_argument: image_size}, **arguments)
    except TypeError as error:
        if size_argument not in str(error):
            raise
    return make(**arguments)


def _near(name: str, known: Sequence[str]) -> list[str]:
    """Names to choose from: those that begin alike, since there are too many to print all."""
    for length in range(len(name), 1, -1):
        if near := [each for each in known if each.startswith(name[:length])]:
            return near
    return [each for each in known if each.startswith("resnet")]
