"""Shapes of drift."""

from typing import Final

from platform_kit.contract import COUNT, TEXT, TIME, Schema, items, shape
from risk_engine.api.answers.fields import named

DRIFT_REFERENCE: Final = {
    "id": COUNT,
    "object": named("drift_reference"),
    "model": TEXT,
    "pinned_by": TEXT,
    "pinned_at": TIME,
}

SCHEMAS: Final[dict[str, Schema]] = {
    "DriftReference": shape(DRIFT_REFERENCE),
    "Drift": shape(
        {
            "object": named("drift"),
            "reference": shape(DRIFT_REFERENCE),
            "sample_size": COUNT,
            "columns": items(shape({"name": TEXT, "psi": {"type": "number"}, "ks": {"type": "number"}})),
        }
    ),
}
