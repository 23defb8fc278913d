"""What is done to a payment: pay, confirm, capture, cancel, void, refund."""

import hashlib
import time
from contextlib import suppress
from typing import Annotated, Any

import typer

from platform_cli.daily.amounts import minor_units, written
from platform_cli.daily.gateway import Gateway, NoAnswer, NothingRuns, new_key
from platform_cli.daily.payments import PaymentId, show_payment
from platform_cli.daily.telling import (
    REFUSED,
    Json,
    Key,
    Unclear,
    console,
    errors,
    merchant_gateway,
    print_json,
)

WAITING = frozenset({"processing", "unknown"})
REFUSALS = frozenset({"declined", "failed"})
WAIT_MAX_S = 90.0  # an outcome that is not known is found out within a minute
LOOK_EVERY_S = 0.5

Amount = Annotated[str | None, typer.Option(help="a part of it, such as 4.20; all by default")]
Card = Annotated[str | None, typer.Option(help="a test token (docs/channels.md)")]
Wallet = Annotated[str | None, typer.Option(help="a wallet, such as qr")]
Bank = Annotated[str | None, typer.Option(help="a bank transfer, such as sepa")]
Saved = Annotated[str | None, typer.Option("--method", help="a saved payment method, pm_…")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="until the outcome is known")]


def pay(
    amount: Annotated[str, typer.Argument(help="such as 12.50")],
    currency: Annotated[str, typer.Argument()] = "EUR",
    card: Card = None,
    wallet: Wallet = None,
    bank: Bank = None,
    method: Saved = None,
    manual: Annotated[bool, typer.Option("--manual", help="hold only; capture later")] = False,
    later: Annotated[bool, typer.Option("--no-confirm", help="create only; confirm later")] = False,
    reference: Annotated[str | None, typer.Option()] = None,
    metadata: Annotated[list[str] | None, typer.Option(help="name=value; may be repeated")] = None,
    wait: Wait = True,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Pay (by a new test card if nothing else is said) and wait for the outcome. Exit 1 when it is refused."""
    currency = currency.upper()
    key = key or new_key()
    body = {
        "amount_minor": minor_units(amount, currency),
        "currency": currency,
        "capture": "manual" if manual else "automatic",
        "confirm": not later,
        "reference": reference,
        "metadata": pairs_of(metadata) if metadata else None,
        **(_by(card, wallet, bank, method) or _by(new_card(key))),
    }
    gateway = merchant_gateway()
    _show_outcome(gateway, gateway.post("/v1/payments", body, key), wait, as_json)


def confirm(
    payment: PaymentId,
    card: Card = None,
    wallet: Wallet = None,
    bank: Bank = None,
    method: Saved = None,
    wait: Wait = True,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Charge a payment that was created with --no-confirm, or whose last try was refused."""
    gateway = merchant_gateway()
    made = gateway.post(f"/v1/payments/{payment}/confirm", _by(card, wallet, bank, method), key)
    _show_outcome(gateway, made, wait, as_json)


def capture(
    payment: PaymentId,
    amount: Amount = None,
    final: Annotated[bool, typer.Option("--final", help="give up the rest of the hold")] = False,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Take what is held, or a part of it."""
    gateway = merchant_gateway()
    body = {"amount_minor": _part(gateway, payment, amount), "final": final}
    show_payment(gateway.post(f"/v1/payments/{payment}/capture", body, key), as_json)


def cancel(payment: PaymentId, key: Key = None, as_json: Json = False) -> None:
    """Give up a payment of which nothing is captured."""
    show_payment(merchant_gateway().post(f"/v1/payments/{payment}/cancel", {}, key), as_json)


def void(payment: PaymentId, key: Key = None, as_json: Json = False) -> None:
    """Give up what is held and not captured."""
    show_payment(merchant_gateway().post(f"/v1/payments/{payment}/void", {}, key), as_json)


def refund(
    payment: PaymentId,
    amount: Amount = None,
    reason: Annotated[str | None, typer.Option()] = None,
    metadata: Annotated[list[str] | None, typer.Option(help="name=value; may be repeated")] = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Give back what was captured, or a part of it. Exit 1 when the channel refuses."""
    gateway = merchant_gateway()
    body = {
        "amount_minor": _part(gateway, payment, amount),
        "reason": reason,
        "metadata": pairs_of(metadata) if metadata else None,
    }
    made = gateway.post(f"/v1/payments/{payment}/refunds", body, key)
    if as_json:
        print_json(made)
    else:
        console.print(f"{made['id']}  {written(made['amount_minor'], made['currency'])}  {made['status']}")
    if made["status"] in REFUSALS:
        raise typer.Exit(REFUSED)


def new_card(key: str) -> str:
    """A good test card that is the same whenever this key is repeated: risk counts by card, and would soon refuse one
    that all payments are made with."""
    return f"tok_visa_{hashlib.blake2b(key.encode(), digest_size=4).hexdigest()}"


def _by(
    card: str | None = None, wallet: str | None = None, bank: str | None = None, saved: str | None = None
) -> dict[str, Any]:
    """The members of the body that say how it is paid. Raises Unclear for more than one way."""
    ways: list[dict[str, Any]] = []
    if card is not None:
        ways.append({"method": {"type": "card", "card": {"token": card}}})
    if wallet is not None:
        ways.append({"method": {"type": "wallet", "wallet": {"provider": wallet}}})
    if bank is not None:
        ways.append({"method": {"type": "bank", "bank": {"scheme": bank}}})
    if saved is not None:
        ways.append({"payment_method": saved})
    if len(ways) > 1:
        raise Unclear("Say one of --card, --wallet, --bank and --method.")
    return ways[0] if ways else {}


def pairs_of(texts: list[str]) -> dict[str, str]:
    """`name=value`, each. Raises Unclear for a text that is none."""
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise Unclear(f"{text!r} is no name=value; try order=1001")
        pairs[name] = value
    return pairs


def _part(gateway: Gateway, payment: str, amount: str | None) -> int | None:
    """The minor units of a part, which needs the payment's currency."""
    if amount is None:
        return None
    return minor_units(amount, str(gateway.get(f"/v1/payments/{payment}")["currency"]))


def _show_outcome(gateway: Gateway, payment: dict[str, Any], wait: bool, as_json: bool) -> None:
    """Exit 1 when it is no, or still not known after all the waiting."""
    if wait:
        try:
            payment = _settled(gateway, payment)
        except KeyboardInterrupt:  # ends the waiting, not the payment
            show_payment(payment, as_json)
            raise
    show_payment(payment, as_json)
    if payment["status"] in REFUSALS or (wait and payment["status"] in WAITING):
        raise typer.Exit(REFUSED)


def _settled(gateway: Gateway, payment: dict[str, Any]) -> dict[str, Any]:
    """The payment once its outcome is known, or as it is after a minute and a half."""
    if payment["status"] not in WAITING:
        return payment
    give_up_at = time.monotonic() + WAIT_MAX_S
    with errors.status(f"{payment['id']}: the channel has not answered, finding out"):
        while payment["status"] in WAITING and time.monotonic() < give_up_at:
            time.sleep(LOOK_EVERY_S)
            with suppress(NothingRuns, NoAnswer):  # the payment is made: its id must not get lost here
                payment = gateway.get(f"/v1/payments/{payment['id']}")
    return payment
