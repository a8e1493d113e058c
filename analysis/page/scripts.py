"""The scripts of the page, and the policy by which a browser runs them and nothing else.

What rows and plug-ins say stands on the page as text or as data, never in a script. Should text of theirs become
markup by a fault of ours, the policy still refuses it: scripts run by their digests alone, nothing is fetched, no form
is sent, and links are not resolved elsewhere. Styles are not restricted, since plotly makes some; they can neither run
code nor fetch anything here.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from markupsafe import Markup

DRAW = """
for (const place of document.querySelectorAll("div.plot")) {
  const figure = JSON.parse(place.querySelector("script").textContent);
  place.textContent = "";
  Plotly.newPlot(place, figure.data, figure.layout, {displayModeBar: false, responsive: true});
}
"""
"""Draws each plotly figure where its data stand."""


def plotly_library() -> str:
    """The text of plotly.js, with line ends as a browser sees them: digests are of that."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("\r\n", "\n").replace("\r", "\n")


def policy(scripts: Sequence[str]) -> str:
    """The content security policy of a page that has these scripts."""
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts) or "'none'"
    return (
        f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def as_markup(script: str) -> Markup:
    """A script of ours as it stands on the page.

    Raises:
        ValueError: if it would end its own element.
    """
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("A script may not hold </script or <!--, which end or change its element.")
    return Markup(script)  # constants of ours and plotly's library


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
