"""For tests: every event in a database against the schema of its type, with members that it does not name refused."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

import asyncpg
import orjson
from jsonschema import Draft202012Validator

INVENTED: Final = {"invented": True}
"""Member of the data of an event that a test made up itself: it happened to nobody."""


class EventWitness:
    """Knows the schemas of one producer's event types, and what its events are."""

    def __init__(self, schemas: Mapping[str, Mapping[str, Any]]) -> None:
        self._validators = {kind: Draft202012Validator(_closed(schema)) for kind, schema in schemas.items()}

    async def faults_in(self, admin_url: str, schema: str) -> list[str]:
        """What the events of the outbox in this database schema have that their contract does not, or the other way
        round."""
        connection = await asyncpg.connect(admin_url)
        try:
            happened = [orjson.loads(row[0]) for row in await connection.fetch(_happened(schema))]
        finally:
            await connection.close()
        return sorted({fault for event in happened for fault in self.faults_of(event)})

    def faults_of(self, event: Mapping[str, Any]) -> list[str]:
        """The faults of one event, each as its type and the JSON pointer at fault."""
        kind = event["type"]
        if kind not in self._validators:
            return [f"{kind}: has no contract"]
        return [
            f"{kind} /{'/'.join(map(str, fault.absolute_path))}: {fault.message}"
            for fault in self._validators[kind].iter_errors(event)
        ]


def _happened(schema: str) -> str:
    return f"""
        SELECT jsonb_build_object(
            'id', id, 'type', type, 'aggregate_id', aggregate_id, 'merchant_id', merchant_id, 'data', data,
            'traceparent', traceparent, 'occurred_at', to_char(occurred_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        )::text
        FROM {schema}.outbox_event WHERE NOT data ? 'invented' ORDER BY seq
    """  # noqa: S608 - a name of ours


def _closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    closed = copy.deepcopy(dict(schema))
    _close(closed)
    return closed


def _close(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node:
            node.setdefault("additionalProperties", False)
        for value in node.values():
            _close(value)
    elif isinstance(node, list):
        for value in node:
            _close(value)
