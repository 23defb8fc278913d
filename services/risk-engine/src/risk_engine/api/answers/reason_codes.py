"""Shapes of reason codes."""

from typing import Final

from platform_kit.contract import TEXT, Schema, items, shape
from risk_engine.api.answers.fields import named
from risk_engine.domain.reason_codes import Source

SCHEMAS: Final[dict[str, Schema]] = {
    "ReasonCodeList": shape(
        {
            "data": items(
                shape(
                    {
                        "code": TEXT,
                        "object": named("reason_code"),
                        "source": {"type": "string", "enum": [source.value for source in Source]},
                        "reviewer": TEXT,
                        "merchant": TEXT,
                    }
                )
            )
        }
    ),
}
