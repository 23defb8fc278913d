"""What a scan must not find once somebody is erased, gathered while it can still be read.

Twice: when the erasure is asked for, because saved customers are emptied right then, and just before the keys are
destroyed, because until then payments are sealed by processes that remember a key, and evidence is added to disputes.
What was gathered the first time is kept, so the second may be repeated after a crash, when nothing opens any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from payment_gateway.domain.erasure import sought_in, sought_reference
from payment_gateway.domain.personal_data import method_reference
from payment_gateway.store import erasures, payment_methods
from payment_gateway.store.tenancy import as_merchant

if TYPE_CHECKING:
    from payment_gateway.operations.deps import Deps


async def with_billing_details(deps: Deps, merchant_id: str, subjects: Sequence[str]) -> Sequence[str]:
    """The tokens, and those of billing details, which are subjects of their own: of the saved payment methods of the
    customers that these subjects are."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        saved = await erasures.customers_of(connection, merchant_id, subjects)
        methods = [one for row in saved for one in await payment_methods.ids_of_customer(connection, row.id)]
    return sorted({*subjects, *await deps.subjects.known(merchant_id, map(method_reference, methods))})


async def gather_sought(
    deps: Deps,
    merchant_id: str,
    erasure_id: str,
    subjects: Sequence[str],
    before: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:
    """What is held of these subjects and was gathered `before`, sealed under a key of this erasure's own."""
    async with deps.engine.connect() as connection:
        told = [
            *await erasures.payers(connection, subjects),
            *(row.personal for row in await erasures.customers_of(connection, merchant_id, subjects)),
            *await erasures.billing_of(connection, merchant_id, subjects),
            *(row.evidence for row in await erasures.disputes_of(connection, subjects)),
            *([before] if before else []),
        ]
    values = sought_in([await deps.subjects.opened(merchant_id, one) for one in told if one])
    keeper = await deps.subjects.of(merchant_id, sought_reference(erasure_id))
    return keeper.seal({"values": values})
