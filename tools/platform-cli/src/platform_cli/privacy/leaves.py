"""What stands in a nested value, as text: never as Python would write it, whose quoting no other program shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def text_of(value: Any) -> str:
    """All names and values within, one on each line."""
    return "\n".join(_leaves(value))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _leaves(name)
            yield from _leaves(one)
    elif isinstance(value, Iterable):
        for one in value:
            yield from _leaves(one)
    else:
        yield str(value)
