"""Files at any fsspec location: a directory by default, an object store by setting (`s3://…`, with s3fs installed).

fsspec is imported when a file is first touched. All calls block: run them in a thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

CHUNK_BYTES: Final = 256 * 1024
WRITING: Final = ".writing"
"""Ends the name of a file that is not whole yet; one that a crash left keeps it."""


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """What lies below `url`. Names are relative to it. A file is written beside its name and then renamed: whoever
    lists the directory sees whole files only."""

    url: str

    def put(self, local: Path, name: str) -> None:
        """The local file under this name."""
        files, path = self._begun(name)
        files.put_file(str(local), f"{path}{WRITING}")
        files.mv(f"{path}{WRITING}", path)

    def put_bytes(self, content: bytes, name: str) -> None:
        """The same of what is in memory."""
        files, path = self._begun(name)
        files.pipe_file(f"{path}{WRITING}", content)
        files.mv(f"{path}{WRITING}", path)

    def read(self, name: str) -> Iterator[bytes]:
        """The file in chunks. Raises FileNotFoundError before the first one."""
        files, path = self._at(name)
        with files.open(path, "rb") as opened:
            while chunk := opened.read(CHUNK_BYTES):
                yield chunk

    def read_whole(self, name: str) -> bytes:
        """Raises FileNotFoundError."""
        files, path = self._at(name)
        content: bytes = files.cat_file(path)
        return content

    def has(self, name: str) -> bool:
        files, path = self._at(name)
        return bool(files.exists(path))

    def remove(self, name: str) -> None:
        """No matter whether it is there."""
        files, path = self._at(name)
        if files.exists(path):
            files.rm_file(path)

    def names(self) -> list[str]:
        """All files, whoever wrote them; none where the location is not there yet."""
        files, base = self._open()
        files.invalidate_cache()  # an object store's listing may be remembered from before
        return sorted(name.removeprefix(base).lstrip("/") for name in files.find(base))

    def written_at(self, name: str) -> datetime:
        """When the file was last written, by the clock of where it lies."""
        files, path = self._at(name)
        at: datetime = files.modified(path)
        return at if at.tzinfo else at.replace(tzinfo=UTC)

    def _begun(self, name: str) -> tuple[Any, str]:
        files, path = self._at(name)
        files.makedirs(path.rpartition("/")[0], exist_ok=True)
        return files, path

    def _at(self, name: str) -> tuple[Any, str]:
        files, base = self._open()
        return files, f"{base.rstrip('/')}/{name}"

    def _open(self) -> tuple[Any, str]:
        import fsspec

        return fsspec.core.url_to_fs(self.url)  # type: ignore[no-any-return]
