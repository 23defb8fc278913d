"""A channel reports by itself: verified over the raw bytes, stored once, told through the one transition function."""

from __future__ import annotations

from collections.abc import Mapping

from payment_gateway.clients.callbacks import InvalidSignature, verify_callback
from payment_gateway.clients.channel_answers import outcome_of
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.record_answer import record
from payment_gateway.store import attempts, payments
from payment_gateway.store.commit import ChannelEventReceived
from platform_kit import canonical
from platform_kit.problems import NotFound


async def receive_channel_event(deps: Deps, channel: str, headers: Mapping[str, str], raw: bytes) -> None:
    """Durable when this returns. A duplicate changes nothing.

    Raises InvalidSignature, StaleTimestamp, or NotFound for an attempt that is not ours.
    """
    secret = deps.settings.channel_secret.get_secret_value()
    if not secret:
        raise InvalidSignature("No CHANNEL_SECRET is set here, so no report can be believed.")
    event_id, body = verify_callback(secret, headers, raw)
    canonical.add(channel=channel, channel_event_id=event_id)
    async with deps.engine.connect() as connection:
        attempt = await attempts.get(connection, str(body["channel_key"]))
        payment = await payments.get(connection, attempt.payment_id, merchant_id=None) if attempt else None
    if attempt is None or payment is None or attempt.channel != channel:
        raise NotFound("No attempt of ours has this channel key.")
    received = ChannelEventReceived(channel, event_id, attempt.id, raw)
    await record(deps, payment.merchant_id, attempt, outcome_of(body), received=received)
