"""Who administered what: a merchant's own entries, or all of them for the administrator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from payment_gateway.domain.audit import StoredEntry, audit_object, for_merchant
from payment_gateway.operations.deps import Deps
from payment_gateway.store import audit_log
from payment_gateway.store.tenancy import as_merchant


@dataclass(frozen=True, slots=True)
class AuditPage:
    """`next_before` is the id to continue before; None at the end."""

    entries: Sequence[dict[str, Any]]
    next_before: str | None


async def list_own_audit_log(
    deps: Deps, merchant_id: str, *, before: str | None, action: str | None, limit: int
) -> AuditPage:
    """A merchant's entries, the newest first."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        found = await audit_log.page(connection, merchant_id, before=before, action=action, limit=limit + 1)
    return _page([for_merchant(entry) for entry in found], limit)


async def list_audit_log(
    deps: Deps, *, merchant_id: str | None, before: str | None, action: str | None, limit: int
) -> AuditPage:
    """Entries of all merchants, or of one, the newest first."""
    async with deps.engine.connect() as connection:
        found = await audit_log.page(connection, merchant_id, before=before, action=action, limit=limit + 1)
    return _page(found, limit)


def _page(found: Sequence[StoredEntry], limit: int) -> AuditPage:
    shown = [audit_object(entry) for entry in found[:limit]]
    return AuditPage(shown, found[limit - 1].id if len(found) > limit else None)
