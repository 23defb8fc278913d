"""wallet_sim: the payer decides after a while, and the wallet reports it until somebody takes note."""

import asyncio
from pathlib import Path

import pytest
from simulator_rig import RunningSimulators, eventually, run_hearer, run_simulators
from standardwebhooks import Webhook

from payment_gateway.clients.simulators.faults import Delays

pytestmark = pytest.mark.timing

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEVER = Delays(decide_least_s=60, decide_most_s=60)


async def pay(
    simulators: RunningSimulators, key: str, provider: str = "qr", **changes: object
) -> dict[str, object]:
    body = {"provider": provider, "amount_minor": 990, "currency": "EUR", "capture": True}
    return (await simulators.post("/wallet/payments", key, **body | changes))[1]


async def charged(simulators: RunningSimulators) -> int:
    return sum(line.get("charged_minor", 0) for line in await simulators.journal("wallet_sim"))


async def test_a_payment_shows_a_code_and_moves_nothing_yet(tmp_path: Path) -> None:
    async with run_simulators(tmp_path, NEVER) as simulators:
        answer = await pay(simulators, "att_1")
        assert answer["outcome"] == "action_required"
        assert set(answer["next_action"]) == {"type", "payload", "url", "expires_at"}
        assert await charged(simulators) == 0


@pytest.mark.parametrize(
    ("provider", "outcome", "code", "taken"),
    [
        ("qr", "succeeded", None, 990),
        ("qr_declined", "declined", "wallet_declined", 0),
        ("qr_abandoned", "declined", "payer_abandoned", 0),
    ],
)
async def test_the_payer_decides_and_the_wallet_reports(
    tmp_path: Path, provider: str, outcome: str, code: str | None, taken: int
) -> None:
    async with run_hearer() as gateway, run_simulators(tmp_path) as simulators:
        await pay(simulators, "att_1", provider, callback_url=f"{gateway.url}/reports")
        await eventually(lambda: gateway.heard)
        headers, body = gateway.heard[0]
        report = Webhook(SECRET).verify(body, headers)
        assert (report["type"], report["code"]) == (f"authorisation.{outcome}", code)
        assert (report["channel_key"], report["amount_minor"], report["currency"]) == ("att_1", 990, "EUR")
        assert await charged(simulators) == taken


async def test_a_report_is_repeated_until_it_is_taken_and_then_never_again(tmp_path: Path) -> None:
    async with run_hearer(500, 503, 202) as gateway, run_simulators(tmp_path) as simulators:
        await pay(simulators, "att_1", callback_url=gateway.url + "/r")
        await eventually(lambda: len(gateway.heard) == 3)
        assert len({headers["webhook-id"] for headers, _ in gateway.heard}) == 1
        path = tmp_path / "wallet_sim.jsonl"
        await eventually(lambda: len(path.read_bytes().splitlines()) == 3)
        lines = await simulators.journal("wallet_sim")
        assert [line["type"] for line in lines] == ["authorisation", "result", "reported"]
    async with run_hearer() as gateway, run_simulators(tmp_path):
        assert gateway.heard == []


async def test_a_result_goes_to_the_gateway_when_the_request_names_no_place(tmp_path: Path) -> None:
    async with run_hearer() as gateway, run_simulators(tmp_path, gateway_url=gateway.url) as simulators:
        await pay(simulators, "att_1")
        await eventually(lambda: gateway.heard)
        assert gateway.paths == ["/internal/channel-events/wallet_sim"]


async def test_a_report_may_come_twice(tmp_path: Path) -> None:
    async with run_hearer() as gateway, run_simulators(tmp_path) as simulators:
        await pay(simulators, "att_1", "qr_twice", callback_url=gateway.url + "/r")
        await eventually(lambda: len(gateway.heard) == 2)
        assert gateway.heard[0][1] == gateway.heard[1][1]
        assert await charged(simulators) == 990


async def test_a_restart_forgets_neither_a_waiting_payer_nor_an_untold_result(tmp_path: Path) -> None:
    async with run_simulators(tmp_path, NEVER) as simulators:
        await pay(simulators, "att_1", callback_url="http://127.0.0.1:9/nobody")
    async with run_simulators(tmp_path) as simulators:  # now the payer decides, and nobody hears
        path = tmp_path / "wallet_sim.jsonl"
        await eventually(lambda: b"charged_minor" in path.read_bytes())
    async with run_hearer() as gateway:
        path.write_bytes(path.read_bytes().replace(b"http://127.0.0.1:9", gateway.url.encode()))
        async with run_simulators(tmp_path) as simulators:
            await eventually(lambda: gateway.heard)
            assert gateway.bodies()[0]["outcome"] == "succeeded"
            assert await charged(simulators) == 990


async def test_a_voided_payment_is_never_taken(tmp_path: Path) -> None:
    slow = Delays(decide_least_s=0.8, decide_most_s=0.8)
    async with run_simulators(tmp_path, slow) as simulators:
        await pay(simulators, "att_1")
        status, _ = await simulators.post(
            "/wallet/voids", "v1", original="att_1", amount_minor=990, currency="EUR"
        )
        assert status == 200
        await asyncio.sleep(1.0)
        assert await charged(simulators) == 0
        assert (await simulators.operation("att_1", "wallet") or {})["code"] == "voided"


async def test_a_wallet_holds_nothing(simulators: RunningSimulators) -> None:
    assert (await pay(simulators, "att_1", capture=False))["code"] == "holds_not_supported"
    assert (await pay(simulators, "att_2", "paypigeon"))["code"] == "unknown_provider"


async def test_a_wallet_gives_back_what_it_took_and_no_more(tmp_path: Path) -> None:
    async with run_hearer() as gateway, run_simulators(tmp_path) as simulators:
        await pay(simulators, "att_1", callback_url=gateway.url + "/r")
        await eventually(lambda: gateway.heard)
        refund = {"original": "att_1", "currency": "EUR"}
        assert (await simulators.post("/wallet/refunds", "r1", amount_minor=900, **refund))[1][
            "outcome"
        ] == "succeeded"
        assert (await simulators.post("/wallet/refunds", "r2", amount_minor=91, **refund))[1][
            "outcome"
        ] == "declined"


async def test_a_payer_takes_the_same_time_for_the_same_key(tmp_path: Path) -> None:
    from payment_gateway.clients.simulators.book import Operation
    from payment_gateway.clients.simulators.wallet import decided_after_s

    def after(key: str) -> float:
        operation = Operation(
            key, "authorisation", "", "action_required", None, "wl_1", 1, "EUR", "", provider="qr"
        )
        return decided_after_s(operation, Delays(decide_least_s=0.3, decide_most_s=1.0))

    pauses = [after(f"att_{number}") for number in range(200)]
    assert after("att_1") == after("att_1")
    assert all(0.3 <= pause <= 1.0 for pause in pauses)
    assert min(pauses) < 0.4
    assert max(pauses) > 0.9
