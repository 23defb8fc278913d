"""The client that `make client` generates from the committed document, against a gateway: what it types, it gets.

Level: process. The generator is fetched by uv at its first use, as `make bootstrap` fetches everything else.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from gateway_rig import RunningGateway

from platform_cli.write_client import PACKAGE, write_client


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The package's name, importable while the tests of this module run."""
    into = tmp_path_factory.mktemp("client")
    write_client(into)
    sys.path.insert(0, str(into))
    yield PACKAGE
    sys.path.remove(str(into))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@asynccontextmanager
async def client_of(package: str, gateway: RunningGateway, key: str) -> AsyncIterator[Any]:
    made = importlib.import_module(package).AuthenticatedClient(base_url=gateway.url, token=key)
    async with made as client:
        yield client


async def test_it_pays_repeats_refunds_and_reads_refusals(package: str, gateway: RunningGateway) -> None:
    models = importlib.import_module(f"{package}.models")
    payments = importlib.import_module(f"{package}.api.payments")
    create = importlib.import_module(f"{package}.api.payments.payments_create").asyncio_detailed
    refund = importlib.import_module(f"{package}.api.payments.payments_refund").asyncio_detailed
    listed = importlib.import_module(f"{package}.api.payments.payments_list_all").asyncio
    assert payments.__doc__
    card = models.CardMethod(type_="card", card=models.Card(token="tok_visa"))
    body = models.CreatePaymentBody(amount_minor=1250, currency="EUR", method=card)
    async with client_of(package, gateway, gateway.key) as client:
        first = await create(client=client, body=body, idempotency_key="order-1")
        again = await create(client=client, body=body, idempotency_key="order-1")
        assert (first.status_code, first.parsed.status, first.parsed.captured_minor) == (
            201,
            "captured",
            1250,
        )
        assert again.parsed == first.parsed
        assert again.headers["Idempotent-Replayed"] == "true"
        back = await refund(
            first.parsed.id, client=client, body=models.RefundBody(amount_minor=250), idempotency_key="back-1"
        )
        assert (back.status_code, back.parsed.amount_minor, back.parsed.status) == (201, 250, "succeeded")
        more = await refund(
            first.parsed.id,
            client=client,
            body=models.RefundBody(amount_minor=5000),
            idempotency_key="back-2",
        )
        assert isinstance(more.parsed, models.Problem)
        assert (more.status_code, more.parsed.type_) == (422, "/problems/amount-exceeds-remaining")
        page = await listed(client=client)
        assert [(one.id, one.refunded_minor) for one in page.data] == [(first.parsed.id, 250)]


async def test_it_moves_money_in_the_ledger_by_itself(package: str, gateway: RunningGateway) -> None:
    """One transfer and a journal of several are two types of answer; the client tells them apart."""
    models = importlib.import_module(f"{package}.models")
    account = importlib.import_module(f"{package}.api.ledger.ledger_open_one").asyncio_detailed
    move = importlib.import_module(f"{package}.api.ledger.ledger_transfer").asyncio
    line = {"debit_account": "world", "credit_account": "till", "amount_minor": 700, "currency": "EUR"}
    async with client_of(package, gateway, gateway.key) as client:
        for name in ("world", "till"):
            opened = await account(client=client, body=models.AccountBody(name=name, currency="EUR"))
            assert opened.status_code in (200, 201), opened.content
        one = await move(client=client, body=models.TransferBody(**line), idempotency_key="move-1")
        both = models.LinkedTransfersBody(
            transfers=[models.LinkedTransfersBody.from_dict({"transfers": [line]}).transfers[0]] * 2
        )
        two = await move(client=client, body=both, idempotency_key="move-2")
    assert (type(one), one.amount_minor) == (models.SingleTransfer, 700)
    assert (type(two), len(two.transfers)) == (models.JournalTransfer, 2)
