"""Signing keys at rest: none in a dump of the database, and deliveries that verify, through key changes."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from webhook_rig import WebhookRig, run_webhook_rig, status

from payment_gateway.domain.envelope import Tampered, UnknownKey
from payment_gateway.domain.webhook_keys import PUBLIC_PREFIX, verify_v1a
from payment_gateway.operations.deliver_webhooks import deliver_webhooks
from payment_gateway.operations.manage_webhook_endpoints import (
    get_webhook_endpoint,
    list_webhook_endpoints,
    rotate_webhook_secret,
    update_webhook_endpoint,
)
from payment_gateway.operations.webhook_secrets import opened, rotate_webhook_secrets
from payment_gateway.store import webhook_endpoints
from platform_cli.embedded.testing import FreshDatabase

OLD, NEW = (f"{name}:" + base64.b64encode(name.encode() * 16).decode() for name in ("k1", "k2"))
HOUR = timedelta(hours=1)


class Runs:
    """Gateways on one database, each with keys of its own."""

    def __init__(self, database: Any) -> None:
        self.database = database

    def __call__(self, keys: str) -> Any:
        vault = {
            "vault_keys": keys,
            "vault_database_url": self.database.url("vault_app"),
            "vault_fingerprint_key": "fingerprint-key-of-tests-32-bytes-long",
        }
        return run_webhook_rig(self.database.app_url, **(vault if keys else {}))


@pytest.fixture
async def runs(fresh_database: FreshDatabase) -> Runs:
    return Runs(await fresh_database("payments"))


async def dump(rig: WebhookRig) -> str:
    """Every row of every table of the schema, as text."""
    found: list[str] = []
    async with rig.deps.engine.connect() as connection:
        tables = await connection.execute(
            text(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'payments'"
                " AND has_table_privilege(format('%I.%I', schemaname, tablename), 'SELECT')"
            )
        )
        for name in tables.scalars().all():
            found += (
                (await connection.execute(text(f"SELECT CAST(t AS text) FROM {name} AS t"))).scalars().all()
            )
    return "\n".join(found)


def verify(rig: WebhookRig, path: str, endpoint: dict[str, Any]) -> None:
    """The last message to a path is signed with the secret and the private key of `endpoint`."""
    assert rig.receiver.events(path, endpoint["secret"])
    headers, body = rig.receiver.heard[path][-1]
    signed = headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"]
    assert endpoint["public_keys"][0].startswith(PUBLIC_PREFIX)
    verify_v1a(endpoint["public_keys"][0], *signed, body)


async def test_no_secret_is_in_a_dump_and_deliveries_verify(runs: Runs) -> None:
    async with runs(OLD) as rig:
        merchant = await rig.a_merchant()
        first, _ = await rig.due(merchant, "/hook")
        made = await dump(rig)
        second = await rotate_webhook_secret(rig.deps, merchant, first["id"], HOUR)
        rotated = await dump(rig)
        await update_webhook_endpoint(rig.deps, merchant, first["id"], {"description": "the canary's row"})
        await deliver_webhooks(rig.deps)
        verify(rig, "/hook", second)
        assert rig.receiver.events("/hook", first["secret"]), "the replaced secret signs too"
        dumped = made + rotated + await dump(rig)  # each act by itself: the next one seals anew
        assert "the canary's row" in dumped
        for canary in (
            "whsec_",
            "whsk_",
            *(one["secret"].removeprefix("whsec_") for one in (first, second)),
        ):
            assert canary not in dumped
        shown = await get_webhook_endpoint(rig.deps, merchant, first["id"])
        assert shown["public_keys"] == second["public_keys"]
        assert (await list_webhook_endpoints(rig.deps, merchant)).endpoints == [shown]


async def test_plain_rows_of_before_work_and_the_rotation_seals_them(runs: Runs) -> None:
    async with runs("") as rig:
        merchant = await rig.a_merchant()
        first = await rig.an_endpoint(merchant, "/hook")
        second = await rotate_webhook_secret(rig.deps, merchant, first["id"], HOUR)
        assert second["secret"] in await dump(rig), "the canary can sing"
        assert await rotate_webhook_secrets(rig.deps.vault, rig.deps.engine) == 0
    async with runs(OLD) as rig:
        shown = await get_webhook_endpoint(rig.deps, merchant, first["id"])
        assert shown["public_keys"] == second["public_keys"]
        assert await rotate_webhook_secrets(rig.deps.vault, rig.deps.engine) == 1
        assert await rotate_webhook_secrets(rig.deps.vault, rig.deps.engine) == 0
        dumped = await dump(rig)
        assert not [canary for canary in ("whsec_", "whsk_") if canary in dumped]
        assert await get_webhook_endpoint(rig.deps, merchant, first["id"]) == shown


async def test_a_row_with_only_an_old_retiring_secret_is_sealed_too(runs: Runs) -> None:
    async with runs(OLD) as rig:
        merchant = await rig.a_merchant()
        endpoint = await rig.an_endpoint(merchant, "/hook")
        await rig.execute(
            "UPDATE payments.webhook_endpoint SET retiring = jsonb_build_array(jsonb_build_object('secret',"
            " 'whsec_b2xk', 'private_key', NULL, 'expires_at', '2099-01-01T00:00:00.000000Z')) WHERE id = :id",
            id=endpoint["id"],
        )
        assert await rotate_webhook_secrets(rig.deps.vault, rig.deps.engine) == 1
        assert "whsec_" not in await dump(rig)


async def test_a_new_key_takes_over_and_the_old_one_can_go(runs: Runs) -> None:
    async with runs(OLD) as rig:
        merchant = await rig.a_merchant()
        endpoint = await rig.an_endpoint(merchant, "/hook")
    async with runs(NEW) as rig:
        with pytest.raises(UnknownKey, match="k1"):
            await rotate_webhook_secrets(rig.deps.vault, rig.deps.engine)
    async with runs(f"{NEW},{OLD}") as rig:
        assert await rotate_webhook_secrets(rig.deps.vault, rig.deps.engine) == 1
    async with runs(NEW) as rig:
        shown = await get_webhook_endpoint(rig.deps, merchant, endpoint["id"])
        assert shown["public_keys"] == endpoint["public_keys"]


async def test_a_delivery_without_the_key_waits_for_its_next_attempt_and_says_so(runs: Runs) -> None:
    async with runs(OLD) as rig:
        merchant = await rig.a_merchant()
        await rig.due(merchant, "/hook")
    async with runs("") as rig:
        await deliver_webhooks(rig.deps)
        (delivery,) = await rig.deliveries()
        assert (delivery.status, delivery.last_error) == ("due", "not-rendered")
        assert rig.receiver.heard == {}


async def test_a_sealed_secret_does_not_open_in_another_row(runs: Runs) -> None:
    async with runs(OLD) as rig:
        merchant = await rig.a_merchant()
        one, other = [await rig.an_endpoint(merchant, f"/{path}") for path in ("one", "other")]
        await rig.execute(
            "UPDATE payments.webhook_endpoint SET secret ="
            " (SELECT secret FROM payments.webhook_endpoint WHERE id = :one) WHERE id = :other",
            one=one["id"],
            other=other["id"],
        )
        async with rig.deps.engine.connect() as connection:
            moved = await webhook_endpoints.get(connection, merchant, other["id"])
        assert moved is not None
        with pytest.raises(Tampered):
            opened(rig.deps.vault, moved)


async def test_an_endpoint_that_is_gone_is_announced_with_its_public_key(runs: Runs) -> None:
    async with runs(OLD) as rig:
        merchant = await rig.a_merchant()
        endpoint, _ = await rig.due(merchant, "/gone")
        rig.receiver.answers["/gone"] = status(410)
        await deliver_webhooks(rig.deps)
        async with rig.deps.engine.connect() as connection:
            data = (
                await connection.execute(
                    text("SELECT data FROM payments.outbox_event WHERE type = 'webhook_endpoint.disabled.v1'")
                )
            ).scalar_one()
        assert data["webhook_endpoint"]["public_keys"] == endpoint["public_keys"]
