"""The scripts of the page, and a content security policy with which a browser runs only these.

Text from rows and plug-ins is on the page as escaped text or as data, never in a script. If a bug turned such text into
markup, the policy would still block it: only scripts with known digests run, nothing is fetched, no form is submitted,
and no base URL can be set. Styles are not restricted, because plotly creates some; they can neither run code nor fetch
anything under this policy.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from markupsafe import Markup

DRAW = """
const near = new IntersectionObserver((entries) => {
  for (const { target: place, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(place);
    const figure = JSON.parse(place.querySelector("script").textContent);
    place.textContent = "";
    Plotly.newPlot(place, figure.data, figure.layout, {displayModeBar: false, responsive: true});
  }
}, {rootMargin: "1000px"});
for (const place of document.querySelectorAll("div.plot")) near.observe(place);
"""
"""Draws each plotly figure where its data stand, when it comes near the window: a long page opens sooner."""


def plotly_library() -> str:
    """The text of plotly.js with line ends as a browser normalizes them, because digests are computed after that."""
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
    """One of our scripts as unescaped markup.

    Raises:
        ValueError: if it contains text that would end its element.
    """
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("A script may not hold </script or <!--, which end or change its element.")
    return Markup(script)  # constants of ours and plotly's library


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
