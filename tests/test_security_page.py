"""What SECURITY.md promises is held by tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "SECURITY.md").read_text()


def test_every_test_that_the_page_names_exists():
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", PAGE)
    assert len(named) > 8
    assert not [name for name in named if f"def {name}(" not in sources]
    assert not [path for path in re.findall(r"`(tests/\S+)`", PAGE) if not (ROOT / path).exists()]


def test_every_promise_in_a_table_names_its_test():
    promises = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(promises) >= 10
    assert all("test" in line.split(" | ")[1] for line in promises)
