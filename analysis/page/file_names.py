"""File names made from names of tasks and regularizers, which come from rows and may contain any characters."""

from __future__ import annotations

import hashlib
import re

_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_MOST_CHARACTERS = 100  # file systems allow 255 bytes; a digest and an extension follow
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # device names on Windows


class FileNames:
    """Gives each tuple of parts a unique file name: no path, no hidden file, unique on case-insensitive file systems.

    A name that had to be changed ends with a digest of the original, so that it is the same in every report, unless two
    names collide.
    """

    def __init__(self) -> None:
        self._taken: dict[str, tuple[str, ...]] = {}  # by the name that is given, in lower case

    def of(self, *parts: str) -> str:
        """A file name without its extension.

        >>> FileNames().of("ranking", "digits-mlp", "smoke"), FileNames().of("ranking", "../../x", "smoke")
        ('ranking-digits-mlp-smoke', 'ranking-.._.._x-smoke-34211664')
        """
        original = "-".join(parts)
        plain = _UNSAFE.sub("_", original)[:_MOST_CHARACTERS].lstrip(".")
        digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
        is_changed = plain != original or not plain or _RESERVED.fullmatch(plain) is not None
        name = f"{plain}-{digest[:8]}" if is_changed else plain
        while self._taken.setdefault(name.casefold(), parts) != parts:
            digest = hashlib.sha256(digest.encode()).hexdigest()
            name = f"{plain}-{digest[:8]}"
        return name
