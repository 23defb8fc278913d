"""The shapes of what the pipeline answers, as JSON schemas: they document, and serialise nothing."""

from __future__ import annotations

from typing import Final

from data_pipeline.api.access import require_internal
from data_pipeline.api.answers import (
    archive,
    invariants,
    quality,
    quarantine,
    reconciliations,
    replays,
    reports,
    settlements,
    status,
)
from platform_kit.contract import Contract, Guard

CONTRACT: Final = Contract(
    guards={require_internal: Guard("internalToken", "The token that the platform's own services share.")},
    schemas={
        **reports.SCHEMAS,
        **reconciliations.SCHEMAS,
        **status.SCHEMAS,
        **quarantine.SCHEMAS,
        **invariants.SCHEMAS,
        **quality.SCHEMAS,
        **archive.SCHEMAS,
        **replays.SCHEMAS,
        **settlements.SCHEMAS,
    },
    links={"Run": {"reconciliations_show_run": ("run_id", "/id")}},
)
