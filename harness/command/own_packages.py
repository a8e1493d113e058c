"""The check that Python finds regarena's own packages, and no others of the same names.

A folder `tasks` or a file `analysis.py` is common in projects, and Python looks in the folder of a script, or in the
current one, before it looks where regarena is installed.
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
        BadInput: if a package is missing, or another file or folder of its name is found first.
    """
    for name in NAMES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise BadInput(f"regarena's package {name!r} is not in {_ROOT} with the others; install regarena again.")
        found = Path(spec.origin).resolve()
        if found.parent.parent != _ROOT:
            in_the_way = found.parent if found.name == "__init__.py" else found
            raise BadInput(
                f"Python finds {in_the_way} in place of regarena's own package {name!r}. Rename it, or run `regarena` "
                "from another folder and without it on PYTHONPATH."
            )
