"""Lists and their entries."""

from typing import Annotated

from pydantic import Field

from risk_engine.api.schemas.fields import Body, ListName, Moment, Sentence, Text
from risk_engine.domain.lists import ListType

ENTRIES_PER_REQUEST_MAX = 1_000


class NewList(Body):
    """POST /v1/lists."""

    name: ListName
    type: Annotated[ListType, Field(strict=False)]
    note: Sentence | None = None


class NewEntry(Body):
    """One of a batch; a card is named by its token."""

    value: Text
    reason: Sentence
    expires_at: Moment | None = None


class NewEntries(Body):
    """POST /v1/lists/{name}/entries."""

    data: Annotated[list[NewEntry], Field(min_length=1, max_length=ENTRIES_PER_REQUEST_MAX)]
