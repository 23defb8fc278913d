"""Where a page of a list ends, as a word of the address: a moment and an id."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from platform_kit.problems import InvalidRequest

FORM: Final = "%Y%m%dT%H%M%S.%f"


class Unclear(InvalidRequest):
    code, title = "unclear-filter", "This filter is not understood"


def key_of(at: datetime, row_id: str) -> str:
    """`20261123T120000.000000~brk_…`."""
    return f"{at.astimezone(UTC):{FORM}}~{row_id}"


def read_key(text: str, prefix: str) -> tuple[datetime, str] | None:
    """None for no key. Raises Unclear."""
    if not text:
        return None
    at, _, row_id = text.partition("~")
    try:
        if not row_id.startswith(prefix):
            raise ValueError
        return datetime.strptime(at, FORM).replace(tzinfo=UTC), row_id
    except ValueError:
        raise Unclear("Go back to the first page.") from None
