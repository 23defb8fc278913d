"""2026-11-27: an account of the ledger is called as its merchant called it.

Before, its name began with how the platform keeps it: `ledger:mer_…:savings`, `merchant:mer_…:available`.
"""

from __future__ import annotations

from typing import Any, Final

from payment_gateway.domain.ledger import BOOKS

NEW_OF_ACCOUNT: Final = frozenset({"merchant_id", "book"})


def account_before(shown: dict[str, Any]) -> dict[str, Any]:
    if not shown.keys() >= NEW_OF_ACCOUNT:
        return shown
    kept = {name: value for name, value in shown.items() if name not in NEW_OF_ACCOUNT}
    return kept | {"name": f"{BOOKS[shown['book']]}:{shown['merchant_id']}:{shown['name']}"}


STEP_BACK: Final = {"account": account_before}
