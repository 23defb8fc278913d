"""The shapes of what the native API answers, as JSON schemas: they document, and serialise nothing.

Every member that is named is always there, unless `optional` says so; clients must bear new ones. A test holds real
answers to these schemas, with unknown members refused.
"""

from __future__ import annotations

from typing import Final

from payment_gateway.api.schemas.answers import erasures, ledger, merchants, money, payments, webhooks
from platform_kit.contract import Schema

SCHEMAS: Final[dict[str, Schema]] = {
    **payments.SCHEMAS,
    **money.SCHEMAS,
    **webhooks.SCHEMAS,
    **ledger.SCHEMAS,
    **merchants.SCHEMAS,
    **erasures.SCHEMAS,
}
