"""The scripts of the page, and a content security policy with which a browser runs only these.

Text from rows and plug-ins is on the page as escaped text or as data, never in a script. If a bug turned such text into
markup, the policy would still block it: only scripts with known digests run, nothing is fetched, no form is submitted,
and no base URL can be set. Styles are not restricted, because the charts set some; they can neither run code nor fetch
anything under this policy.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from markupsafe import Markup

LIBRARY = ("library/d3-7.9.0.min.js", "library/plot-0.6.17.min.js")  # Observable Plot, and D3, which it needs
_OWN = ("tables.js", "charts.js")


def texts() -> list[str]:
    """The scripts in their order, with line ends as a browser normalizes them: digests are computed after that."""
    folder = files("analysis.page")
    read = [folder.joinpath(name).read_text(encoding="utf-8") for name in (*LIBRARY, *_OWN)]
    return [text.replace("\r\n", "\n").replace("\r", "\n") for text in read]


def policy(scripts: Sequence[str]) -> str:
    """The content security policy of a page that has these scripts."""
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts) or "'none'"
    return (
        f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def as_markup(script: str) -> Markup:
    """One of our scripts as unescaped markup.

    Raises:
        ValueError: if it contains text that would end its element.
    """
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("A script may not hold </script or <!--, which end or change its element.")
    return Markup(script)  # constants of ours and the libraries


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
