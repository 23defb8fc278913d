"""OpenLineage events: to a file by default, to a collector (Marquez and others) by an address.

The client is imported with the first event. Whoever collects may be away: a job never fails for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

from data_pipeline.domain.lineage import Job
from platform_kit.logging import get_logger

NAMESPACE: Final = "data-pipeline"
PRODUCER: Final = "https://github.com/OpenLineage/OpenLineage/tree/main/client/python"
TIMEOUT_S: Final = 5.0
FILE_MAX_BYTES: Final = 16 * 1024 * 1024  # about a day of all jobs

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A table or store as others name it, with its columns where it has some."""

    namespace: str
    name: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class LineageEvents:
    """Where runs are told: `file:///…` (a line an event), `http(s)://…`, or nowhere when empty."""

    url: str

    def new_run(self) -> str:
        """A run's id as OpenLineage wants it: a UUID that sorts by time."""
        if not self.url:
            return ""
        from openlineage.client.uuid import generate_new_uuid

        return str(generate_new_uuid())

    async def tell(
        self,
        kind: str,
        run_id: str,
        job: Job,
        at: datetime,
        inputs: Sequence[Dataset],
        outputs: Sequence[Dataset],
        fault: str | None = None,
    ) -> None:
        """One event of a run: START, then COMPLETE or FAIL."""
        if not self.url:
            return
        try:
            await asyncio.to_thread(self._emit, kind, run_id, job, at, inputs, outputs, fault)
        except Exception as error:  # another's program, whatever it raises
            log.warning("lineage not told", job=job.name, kind=kind, error=repr(error))

    def _emit(
        self,
        kind: str,
        run_id: str,
        job: Job,
        at: datetime,
        inputs: Sequence[Dataset],
        outputs: Sequence[Dataset],
        fault: str | None,
    ) -> None:
        from openlineage.client.event_v2 import InputDataset, OutputDataset, Run, RunEvent
        from openlineage.client.event_v2 import Job as LineageJob
        from openlineage.client.generated.base import EventType
        from openlineage.client.generated.error_message_run import ErrorMessageRunFacet

        facets: dict[str, Any] = {}
        if fault is not None:
            facets["errorMessage"] = ErrorMessageRunFacet(message=fault, programmingLanguage="PYTHON")
        self._turn_over()
        self._client.emit(
            RunEvent(
                eventType=EventType[kind],
                eventTime=at.isoformat(),
                run=Run(runId=run_id, facets=facets),
                job=LineageJob(namespace=NAMESPACE, name=job.name),
                inputs=[InputDataset(one.namespace, one.name, facets=_schema(one)) for one in inputs],
                outputs=[OutputDataset(one.namespace, one.name, facets=_schema(one)) for one in outputs],
                producer=PRODUCER,
            )
        )

    @cached_property
    def _client(self) -> Any:
        from openlineage.client import OpenLineageClient
        from openlineage.client.transport.file import FileConfig, FileTransport
        from openlineage.client.transport.http import HttpConfig, HttpTransport

        if self.url.startswith(("http://", "https://")):
            return OpenLineageClient(transport=HttpTransport(HttpConfig(url=self.url, timeout=TIMEOUT_S)))
        self._file.parent.mkdir(parents=True, exist_ok=True)
        return OpenLineageClient(
            transport=FileTransport(FileConfig(log_file_path=str(self._file), append=True))
        )

    @property
    def _file(self) -> Path:
        return Path(self.url.removeprefix("file://"))

    def _turn_over(self) -> None:
        """A full file makes room, and the one before it goes."""
        if (
            self.url.startswith("file://")
            and self._file.exists()
            and self._file.stat().st_size > FILE_MAX_BYTES
        ):
            self._file.replace(self._file.with_name(f"{self._file.name}.1"))


@cache
def lineage_to(url: str) -> LineageEvents:
    """One client for each place in a process."""
    return LineageEvents(url)


def _schema(dataset: Dataset) -> dict[str, Any]:
    from openlineage.client.generated.schema_dataset import SchemaDatasetFacet, SchemaDatasetFacetFields

    if not dataset.columns:
        return {}
    fields = [SchemaDatasetFacetFields(name=name, type=kind) for name, kind in dataset.columns.items()]
    return {"schema": SchemaDatasetFacet(fields=fields)}
