"""The cache folder of torch's compiler: one of this process, which is removed at its end.

By default torch creates a folder with a predictable name in the temporary folder, where other users could put code into
it, and never removes it. Importing the compiler is enough for that; the first optimizer imports it, and so does a
network on torch's `meta` device.
"""

from __future__ import annotations

import os
import tempfile

from harness.workers.temporary_folders import folder_of_this_process

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def keep_compiled_code_apart() -> None:
    """Give torch's compiler a folder of this process, for what this process and those that it starts compile.

    A folder that the user has chosen by the environment stays.
    """
    if not _is_chosen():
        os.environ[VARIABLE] = place_of_compiled_code()


def place_of_compiled_code() -> str:
    """The folder that the user has chosen, else one of this process."""
    return os.environ[VARIABLE] if _is_chosen() else f"{folder_of_this_process()}/compiled"


def _is_chosen() -> bool:
    """Whether the environment names a folder, other than the one that torch itself writes there when it is imported."""
    above, name = os.path.split(os.environ.get(VARIABLE, ""))
    return bool(name) and not (name.startswith("torchinductor_") and above == os.path.abspath(tempfile.gettempdir()))
