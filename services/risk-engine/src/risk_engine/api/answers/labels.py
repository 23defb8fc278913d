"""Shapes of labels."""

from typing import Final

from platform_kit.contract import TEXT, TIME, Schema, items, nullable, ref, shape
from risk_engine.api.answers.fields import named
from risk_engine.domain.labels import LabelKind, LabelSource

_LABEL: Final = shape(
    {
        "id": TEXT,
        "object": named("label"),
        "payment_id": TEXT,
        "assessment_id": nullable(TEXT),
        "kind": {"type": "string", "enum": [kind.value for kind in LabelKind]},
        "source": {"type": "string", "enum": [source.value for source in LabelSource]},
        "payment_at": nullable(TIME),
        "event_at": TIME,
        "labelled_at": TIME | {"description": "when it became known: use it for nothing earlier"},
        "actor": TEXT,
    }
)

SCHEMAS: Final[dict[str, Schema]] = {
    "LabelPage": shape({"data": items(_LABEL), "next_cursor": nullable(TEXT)}),
    "UploadedLabels": shape(
        {
            "data": items(
                {
                    "oneOf": [
                        shape(
                            {
                                "status": {"type": "integer", "enum": [200, 201]},
                                "label_id": nullable(TEXT),
                            }
                        ),
                        shape({"status": {"type": "integer", "minimum": 400}, "problem": ref("Problem")}),
                    ]
                }
            )
        }
    ),
}
