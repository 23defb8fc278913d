"""Shapes of reports over roll-ups and facts."""

from __future__ import annotations

from typing import Final

from data_pipeline.api.answers.fields import DAY, MINOR, RUN, SHARE, STREAM, SUMS
from data_pipeline.domain import questions
from data_pipeline.domain.exports import PAYMENTS, ExportState, FileFormat
from data_pipeline.domain.report_definition import ReportName, Unit
from data_pipeline.domain.rollups import Grain
from platform_kit.contract import COUNT, FLAG, TEXT, TIME, Schema, items, nullable, ref, shape

_COLUMN: Final = shape(
    {
        "name": TEXT,
        "type": {"type": "string", "enum": ["text", "time", "integer", "number"]},
        "unit": nullable({"type": "string", "enum": list(Unit)}),
        "meaning": TEXT,
        "formula": nullable(TEXT),
    }
)
_NAMED: Final = {"report": {"type": "string", "enum": list(ReportName)}, "title": TEXT, "meaning": TEXT}
_AS_OF: Final = shape({"position": COUNT, "event_at": nullable(TIME)})

SCHEMAS: Final[dict[str, Schema]] = {
    "Overview": shape(
        {
            "now": TIME,
            "day": DAY,
            "streams": {"type": "object", "additionalProperties": shape({"name": TEXT, **STREAM})},
            "payment_count": COUNT,
            "approval_rate": SHARE,
            "blocked_share": SHARE,
            "p95_ms": nullable(COUNT),
            "unknown_count": COUNT,
            "oldest_unknown_at": nullable(TIME),
            "open_break_count": COUNT,
            "open_quarantine_count": COUNT,
            "volumes": items(shape({"currency": TEXT, **SUMS})),
            "decisions": items(shape({"decision": TEXT, **SUMS})),
            "minutes": items(
                shape(
                    {
                        "bucket_at": TIME,
                        "payment_count": COUNT,
                        "approved_count": COUNT,
                        "declined_count": COUNT,
                    }
                )
            ),
            "payments": items({"type": "object"}),
            "runs": items(shape(RUN)),
            "breaks": items(ref("Break")),
        }
    ),
    "Rollups": {
        "type": "object",
        "required": ["grain", "from", "to", "data", "corrections"],
        "properties": {
            "grain": {"type": "string", "enum": list(Grain)},
            "from": TIME,
            "to": TIME,
            "data": items(
                shape(
                    {
                        "bucket_at": TIME,
                        "currency": TEXT,
                        "method": TEXT,
                        "channel": TEXT,
                        "decision": TEXT,
                        **SUMS,
                    }
                )
            ),
            "corrections": items(
                shape(
                    {
                        "booked_on": DAY,
                        "corrects_on": DAY,
                        "currency": TEXT,
                        "method": TEXT,
                        "channel": TEXT,
                        "decision": TEXT,
                        **{name: {"type": "integer", "description": "signed"} for name in SUMS},
                    }
                )
            ),
        },
    },
    "ReportCatalogue": shape({"data": items(ref("ReportDefinition"))}),
    "ReportDefinition": shape(
        {
            **_NAMED,
            "facts": TEXT,
            "clock": TEXT,
            "has_grain": FLAG,
            "by": {"type": "object", "additionalProperties": TEXT},
            "filters": items(TEXT),
            "columns": items(_COLUMN),
        }
    ),
    "Report": shape(
        {
            **_NAMED,
            "from": TIME,
            "to": TIME,
            "time_zone": TEXT,
            "grain": {"type": "string", "enum": list(questions.Grain)},
            "by": items(TEXT),
            "filters": {"type": "object", "additionalProperties": TEXT},
            "columns": items(_COLUMN),
            "rows": items(
                {
                    "type": "object",
                    "additionalProperties": {
                        "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]
                    },
                }
            ),
            "has_more": FLAG,
            "as_of": {"type": "object", "additionalProperties": _AS_OF},
            "engine": {"type": "string", "enum": ["postgres", "duckdb", "spark"]},
            "snapshot": nullable(
                shape(
                    {
                        "version": COUNT,
                        "made_at": TIME,
                        "blocked": items(shape({"table": TEXT, "day": DAY})),
                        "waiting": items(shape({"table": TEXT, "day": DAY})),
                    }
                )
            ),
        }
    ),
    "Export": shape(
        {
            "id": TEXT,
            "subject": {"type": "string", "enum": [PAYMENTS, *ReportName]},
            "question": {"type": "object"},
            "format": {"type": "string", "enum": list(FileFormat)},
            "state": {"type": "string", "enum": list(ExportState)},
            "requested_by": TEXT,
            "requested_at": TIME,
            "attempt_count": COUNT,
            "progress_percent": COUNT,
            "row_count": COUNT,
            "manifest": nullable({"type": "object"}),
            "fault": nullable(TEXT),
            "finished_at": nullable(TIME),
            "expires_at": nullable(TIME),
            "download": nullable(shape({"path": TEXT, "expires_at": TIME})),
        }
    ),
    "ExportList": shape({"data": items(ref("Export"))}),
    "LedgerTotals": shape(
        {
            "currencies": items(shape({"currency": TEXT, "transfer_count": COUNT, "moved_minor": MINOR})),
            "as_of": TIME,
        }
    ),
}
