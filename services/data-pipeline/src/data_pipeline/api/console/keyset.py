"""Where a page of a list ends, as a word of the address: a moment and an id."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from platform_kit.problems import InvalidRequest

FORM: Final = "%Y%m%dT%H%M%S.%f"


class Unclear(InvalidRequest):
    code, title = "unclear-filter", "This filter is not understood"


def key_of(at: datetime, *rest: str | int) -> str:
    """`20261123T120000.000000~brk_…`."""
    return "~".join((f"{at.astimezone(UTC):{FORM}}", *map(str, rest)))


def moment_of(word: str) -> datetime:
    """The first word of a key. Raises ValueError."""
    return datetime.strptime(word, FORM).replace(tzinfo=UTC)


def read_key(text: str, form: str) -> tuple[datetime, str] | None:
    """None for no key; `form` is the pattern of the list's ids. Raises Unclear."""
    if not text:
        return None
    at, _, row_id = text.partition("~")
    try:
        if not re.fullmatch(form, row_id):
            raise ValueError
        return moment_of(at), row_id
    except ValueError:
        raise Unclear("Go back to the first page.") from None
