"""Which layout a channel's settlement file has: whatever it is, the matcher gets the same journal lines."""

from __future__ import annotations

from datetime import date

from data_pipeline.domain import batch_layout, settlement
from data_pipeline.domain.settlement import RefusedFile, SettlementFile


def read_file(raw: bytes, *, channel: str, day: date) -> SettlementFile | RefusedFile:
    """Read a file by its first bytes; nothing but the layouts that are known is taken."""
    if not raw.startswith(b"HDR,"):
        return settlement.parse(raw, channel=channel, day=day)
    read = batch_layout.parse(raw, channel=channel, day=day)
    return read if isinstance(read, RefusedFile) else batch_layout.journal(read)
