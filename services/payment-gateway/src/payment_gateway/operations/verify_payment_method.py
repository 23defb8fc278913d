"""Ask whether a saved payment method works, without money: what a setup intent does before it succeeds."""

from __future__ import annotations

from payment_gateway.domain.cards import TEST_CARDS
from payment_gateway.domain.customer import Verification, verification_of_token
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.manage_payment_methods import usable_payment_method


async def verify_payment_method(deps: Deps, merchant_id: str, payment_method_id: str) -> Verification:
    """Succeeded, action required, or declined with a code; the sandbox's issuer answers by the card's number.

    Raises NotFound, PaymentMethodDetached, and what the vault raises for a card that it cannot open.
    """
    method = await usable_payment_method(deps, merchant_id, payment_method_id)
    if method.type != "card":
        return Verification("succeeded")
    if method.vault_card is None:
        return verification_of_token(str(method.method["token"]))
    card = await deps.vault.reveal(method.vault_card)
    test_card = TEST_CARDS[card.number]
    if test_card.refusal:
        return Verification("declined", test_card.refusal)
    return Verification("action_required" if test_card.needs_action else "succeeded")
