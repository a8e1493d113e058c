"""The libraries of the page are the ones that are said."""

import hashlib
import re
from importlib.resources import files

from analysis.page import scripts

FOLDER = files("analysis.page").joinpath("library")
ROWS = re.findall(
    r"^\| `(\S+)` \| (\S+) \| (\S+) \| (\S+) \| ([0-9a-f]{64}) \|$",
    FOLDER.joinpath("README.md").read_text(),
    re.MULTILINE,
)


def test_every_library_has_its_version_licence_and_digest():
    assert {f"library/{name}" for name, *_ in ROWS} == set(scripts.LIBRARY)
    for name, package, version, licence, digest in ROWS:
        content = FOLDER.joinpath(name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
        assert version in content[:200].decode()
        assert licence == "ISC"
        assert "Permission to use" in FOLDER.joinpath(f"{package.rpartition('/')[2]}.LICENSE").read_text()
