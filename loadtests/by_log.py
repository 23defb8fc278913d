"""Results leave a pod by its log: it needs no volume, no right, and works after the pod has ended.

kubectl logs job/platform-loadgen-master-… | python -m loadtests unpack results/
"""

import base64
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

BEGIN, END = "-----BEGIN LOAD TEST RESULTS-----", "-----END LOAD TEST RESULTS-----"
WIDTH = 120
NOT_PACKED = frozenset({"run.json", "begin", "logs"})


class NoResults(ValueError):
    """The log has no results, or not all of them."""


def packed(directory: Path) -> Iterator[str]:
    """Lines: the directory as a compressed archive between two markers, with its checksum."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for file in sorted(directory.iterdir()):
            if file.is_file() and file.name not in NOT_PACKED:
                archive.add(file, file.name)
    content = buffer.getvalue()
    text = base64.b64encode(content).decode()
    yield BEGIN
    yield f"sha256 {hashlib.sha256(content).hexdigest()}"
    yield from (text[start : start + WIDTH] for start in range(0, len(text), WIDTH))
    yield END


def unpack(lines: Iterable[str], directory: Path) -> list[str]:
    """Names of the files that were written. Raises NoResults."""
    inside: list[str] | None = None
    for line in (line.rstrip("\r\n") for line in lines):
        if line == BEGIN:
            inside = []
        elif line == END:
            break
        elif inside is not None:
            inside.append(line)
    else:
        raise NoResults("the log has no results" if inside is None else "the log ends within the results")
    if not inside:
        raise NoResults("the log has no results")
    content = base64.b64decode("".join(inside[1:]))
    if inside[0] != f"sha256 {hashlib.sha256(content).hexdigest()}":
        raise NoResults("the results were changed on their way: the checksum is another")
    directory.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        archive.extractall(directory, filter="data")
        return archive.getnames()
