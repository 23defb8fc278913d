"""Shapes of lists."""

from typing import Final

from platform_kit.contract import COUNT, TEXT, TIME, Schema, items, nullable, ref, shape
from risk_engine.api.answers.fields import named
from risk_engine.domain.lists import ListType

LIST: Final = {
    "object": named("list"),
    "name": TEXT,
    "fact": TEXT | {"description": "what rules read"},
    "type": {"type": "string", "enum": [kind.value for kind in ListType]},
    "note": nullable(TEXT),
    "made_by": TEXT,
    "made_at": TIME,
    "entry_count": COUNT,
}

ENTRY: Final = {
    "id": COUNT,
    "object": named("list_entry"),
    "list": TEXT,
    "value": TEXT,
    "reason": TEXT,
    "added_by": TEXT,
    "added_at": TIME,
    "expires_at": nullable(TIME),
    "removed_by": nullable(TEXT),
    "removed_at": nullable(TIME),
    "warning": nullable(TEXT) | {"description": "why no payment can meet it: an entry of an earlier release"},
}

SCHEMAS: Final[dict[str, Schema]] = {
    "List": shape(LIST),
    "Lists": shape({"data": items(ref("List"))}),
    "Entry": shape(ENTRY),
    "EntryPage": shape({"data": items(ref("Entry")), "next_cursor": nullable(COUNT)}),
    "AddedEntries": shape(
        {
            "data": items(
                shape(
                    {
                        "result": {"type": "string", "enum": ["added", "renewed", "refused"]},
                        "id": nullable(COUNT),
                        "detail": nullable(TEXT),
                    }
                )
            )
        }
    ),
    "HitPage": shape(
        {
            "data": items(
                shape(
                    {
                        "assessment_id": TEXT,
                        "merchant_id": TEXT,
                        "payment_id": TEXT,
                        "decision": TEXT,
                        "created_at": TIME,
                    }
                )
            ),
            "next_cursor": nullable(TEXT),
        }
    ),
}
