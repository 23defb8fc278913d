"""Shapes of the archive."""

from __future__ import annotations

from typing import Final

from data_pipeline.api.answers.fields import DAY
from platform_kit.contract import COUNT, FLAG, TEXT, TIME, Schema, items, nullable, ref, shape

SCHEMAS: Final[dict[str, Schema]] = {
    "ArchivePartition": shape(
        {
            "stream": TEXT,
            "day": DAY,
            "file_count": COUNT,
            "row_count": COUNT,
            "byte_count": COUNT,
            "first_position": COUNT,
            "last_position": COUNT,
        }
    ),
    "Archive": shape(
        {
            "is_configured": FLAG,
            "keep_days": COUNT,
            "streams": items(
                shape({"stream": TEXT, "position": COUNT, "consumed": nullable(COUNT), "updated_at": TIME})
            ),
            "partitions": items(ref("ArchivePartition")),
            "would_drop": items(ref("ArchivePartition")),
        }
    ),
    "ArchiveVerification": shape({"files": COUNT, "rows": COUNT, "faults": items(TEXT)}),
}
