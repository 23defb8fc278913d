"""Shapes of people."""

from typing import Final

from platform_kit.contract import TEXT, TIME, Schema, items, nullable, ref, shape
from risk_engine.api.answers.fields import named
from risk_engine.domain.staff import Role

STAFF: Final = {
    "id": TEXT,
    "object": named("staff"),
    "name": TEXT,
    "role": {"type": "string", "enum": [role.value for role in Role]},
    "created_at": TIME,
    "ended_at": nullable(TIME),
}

SCHEMAS: Final[dict[str, Schema]] = {
    "Staff": shape(STAFF),
    "AdmittedStaff": shape({**STAFF, "token": TEXT | {"description": "shown this once"}}),
    "StaffList": shape({"data": items(ref("Staff"))}),
}
