"""Whether Python finds regarena's own packages, or others of their names that stand in front of them.

A folder `tasks` or a file `analysis.py` is nothing unusual in somebody's project, and Python looks in the folder of a
script, or in the current one, before it looks where regarena is installed.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from harness.errors import BadInput

NAMES = ("tasks", "search_spaces", "analysis")
_ROOT = Path(__file__).resolve().parents[2]  # the folder that holds our packages


def check_own_packages() -> None:
    """Look for each package without importing it.

    Raises:
        BadInput: naming the file or folder that stands in the way.
    """
    for name in NAMES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise BadInput(f"regarena's package {name!r} is not where {_ROOT} has the others; install regarena again.")
        found = Path(spec.origin).resolve()
        if found.parent.parent != _ROOT:
            in_the_way = found.parent if found.name == "__init__.py" else found
            raise BadInput(
                f"{in_the_way} stands in the way of regarena's own package {name!r}: Python finds it first. Rename it, "
                "or start the command `regarena` from another folder and without it on PYTHONPATH."
            )
