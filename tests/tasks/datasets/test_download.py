"""What `--download` fetches is unpacked only if it is the official release."""

import io
import tarfile

import pytest
import torchvision.datasets.utils

from tasks.datasets import DATASETS
from tasks.errors import DataError


def hostile_archive(folder):
    """Members that would lie above the folder, and behind a link that leads there."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name in ("../above", str(folder.parent / "absolute")):
            archive.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo("cifar-10-batches-py")
        link.type, link.linkname = tarfile.SYMTYPE, str(folder.parent)
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("cifar-10-batches-py/through-a-link"))
    return content.getvalue()


@pytest.mark.parametrize("came_from", ["the network", "the data folder"])
def test_an_archive_that_is_not_the_official_one_is_not_unpacked(tmp_path, monkeypatch, came_from):
    folder = tmp_path / "data"
    folder.mkdir()
    archive = folder / "cifar-10-python.tar.gz"

    def fetched(url, filename, *_):
        if came_from == "the data folder":
            raise OSError("no network")
        archive.write_bytes(hostile_archive(folder))

    monkeypatch.setattr(torchvision.datasets.utils, "_urlretrieve", fetched)
    if came_from == "the data folder":
        archive.write_bytes(hostile_archive(folder))
    with pytest.raises(DataError, match="Fetching them failed"):
        DATASETS["cifar10"].check(folder, download=True)
    assert {path.name for path in tmp_path.rglob("*")} <= {"data", "cifar-10-python.tar.gz"}
