"""Shapes of what was found of the invariants."""

from __future__ import annotations

from typing import Final

from data_pipeline.domain.invariants import Invariant, Severity
from platform_kit.contract import ANYTHING, COUNT, FLAG, TIME, Schema, items, nullable, ref, shape

SCHEMAS: Final[dict[str, Schema]] = {
    "InvariantCheck": shape(
        {
            "name": {"type": "string", "enum": list(Invariant)},
            "severity": {"type": "string", "enum": list(Severity)},
            "checked_at": TIME,
            "position": nullable(COUNT),
            "is_kept": nullable(FLAG),
            "figures": ANYTHING,
        }
    ),
    "Invariants": shape({"kept": FLAG, "data": items(ref("InvariantCheck"))}),
    "InvariantHistory": shape({"data": items(ref("InvariantCheck"))}),
}
