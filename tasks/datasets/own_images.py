"""Images of the user's own: a folder with one folder for each class, or with `train` and `val` (or `test`) of these."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tasks.datasets.dataset import Dataset, Splits, held_out
from tasks.datasets.image_files import ImageFiles, Index, index_of
from tasks.datasets.image_folders import check_images
from tasks.datasets.preprocessing import normalisation_of
from tasks.datasets.streamed import Streamed
from tasks.errors import DataError
from tasks.protocols import Augmentation, Preprocessing, Protocol


@dataclass(frozen=True, kw_only=True)
class OwnImages(Dataset):
    """Image files in folders of classes; the data folder is the folder of the images itself.

    Without a `val` or `test` folder, `test_fraction` of the images are the test set, the same for every seed.
    Validation images are held out of the others. Both draws are stratified by class.

    Args:
        index_fingerprint: of the files that the task was defined for; other files are refused.
        test_fraction: in (0, 1); 0 if there is a folder with test images.
    """

    index_fingerprint: str
    test_fraction: float
    augmentations: tuple[Augmentation, ...] = ("resized_crop", "flip")
    preprocessings: tuple[Preprocessing, ...] = ("standard", "unit")

    @property
    def kind(self) -> str:
        """Where the samples are kept, in words."""
        return "streamed from files"

    @property
    def is_streamed(self) -> bool:
        """True: images are decoded when they are needed."""
        return True

    def splits(self, data_dir: Path | None, protocol: Protocol | None = None, num_workers: int = 0) -> Splits:
        """List the files and split the list; images are read when their batch is needed."""
        if protocol is not None:
            self._check_offers(protocol)
        files, test = self._files(data_dir)
        split = protocol.split_of(self.name) if protocol else self.name
        train, validation = held_out(split, files.labels, self.held_out_fraction(protocol))

        def streamed(chosen: ImageFiles) -> Streamed:
            return Streamed(
                files=chosen,
                num_classes=self.num_classes,
                size=self.shape[1],
                preprocessing=normalisation_of(self.mean, self.std, protocol.preprocessing if protocol else "standard"),
                num_workers=num_workers,
                device_decoding=protocol is not None and protocol.switches.device_decoding,
            )

        return Splits(
            train=streamed(files.at(train)),
            validation=streamed(files.at(validation)),
            test=streamed(test),
            fingerprint=self.index_fingerprint,
        )

    def notice(self, data_dir: Path | None) -> str | None:
        """None: there is no official release. Checks once that all images can be decoded.

        Raises:
            DataError: when images cannot be decoded; the message names them.
        """
        check_images(self._index(data_dir), None)  # None: store the result in the user's cache, not among the images
        return None

    def check(self, data_dir: Path | None, download: bool = False) -> None:
        """Check that the folder holds the files that the task was defined for."""
        self._index(data_dir)

    def _files(self, data_dir: Path | None) -> tuple[ImageFiles, ImageFiles]:
        """The files for training and validation, and those of the test set."""
        index = self._index(data_dir)
        if not self.test_fraction:
            return index.train, index.val
        rest, test = held_out(f"{self.name}/test", index.train.labels, self.test_fraction)
        return index.train.at(rest), index.train.at(test)

    def _index(self, data_dir: Path | None) -> Index:
        if data_dir is None or not data_dir.is_dir():
            raise DataError(f"The images {self.name} are read from a folder, and there is none at {data_dir}.")
        index = own_index_of(data_dir)
        if index.fingerprint != self.index_fingerprint:
            raise DataError(
                f"The images in {data_dir} are not those that this campaign was planned for: files were added, removed "
                "or changed since. Restore them, or run the campaign's file again, which makes new trials."
            )
        return index


def own_index_of(folder: Path) -> Index:
    """List a folder of images: `train` with `val` or `test`, or else a folder for each class, without test images.

    Raises:
        DataError: when there are no images, or files or folders that cannot be used; one message names all of them.
    """
    parts = [name for name in ("train", "val", "test") if (folder / name).is_dir()]
    if "train" not in parts:
        return index_of(folder, "", None)
    if parts == ["train"]:
        return index_of(folder, "train", None)
    if len(parts) > 2:
        raise DataError(
            f"{folder} has the folders train, val and test; validation images are held out of train here, so move "
            "those of val into train, or name another folder."
        )
    return index_of(folder, "train", parts[1])
