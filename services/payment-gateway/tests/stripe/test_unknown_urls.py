"""What the facade does not have is refused in Stripe's shape, so that the client says what is wrong."""

from __future__ import annotations

import pytest
import stripe
from stripe_rig import Shop


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/v1/terminal/readers"),
        ("post", "/v1/subscriptions"),
        ("delete", "/v1/charges"),
        # docs/stripe.md says so: no channel of ours raises a hold
        ("post", "/v1/payment_intents/pi_unraised/increment_authorization"),
        ("get", "/v2/core"),
    ],
)
async def test_an_unknown_url_is_an_invalid_request_that_names_it(shop: Shop, method: str, path: str) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=r"Unrecognized request URL") as refused:
        await shop.do(lambda client: client.raw_request(method, path))
    assert refused.value.http_status == 404
    assert path in str(refused.value)
    assert refused.value.headers
    assert refused.value.headers["request-id"] == refused.value.request_id


async def test_a_card_number_in_an_unknown_url_is_not_sent_back(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.do(lambda client: client.raw_request("get", "/v1/cards/4242424242424242"))
    assert "4242424242424242" not in str(refused.value)
