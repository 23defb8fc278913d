"""Files at any fsspec location: a directory by default, an object store by setting (`s3://…`, with s3fs installed).

fsspec is imported when a file is first touched. All calls block: run them in a thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

CHUNK_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """What lies below `url`."""

    url: str

    def put(self, local: Path, name: str) -> None:
        """The file under its name, whole or not at all: it is written beside it and renamed."""
        files, path = self._at(name)
        files.makedirs(path.rpartition("/")[0], exist_ok=True)
        files.put_file(str(local), f"{path}.part")
        files.mv(f"{path}.part", path)

    def read(self, name: str) -> Iterator[bytes]:
        """The file in chunks. Raises FileNotFoundError before the first one."""
        files, path = self._at(name)
        with files.open(path, "rb") as opened:
            while chunk := opened.read(CHUNK_BYTES):
                yield chunk

    def has(self, name: str) -> bool:
        files, path = self._at(name)
        return bool(files.exists(path))

    def remove(self, name: str) -> None:
        """No matter whether it is there."""
        files, path = self._at(name)
        if files.exists(path):
            files.rm_file(path)

    def _at(self, name: str) -> tuple[Any, str]:
        import fsspec

        files, base = fsspec.core.url_to_fs(self.url)
        return files, f"{base.rstrip('/')}/{name}"
