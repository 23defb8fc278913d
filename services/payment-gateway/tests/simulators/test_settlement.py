"""The settlement file is made of the journal alone, to the byte."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from simulator_rig import RunningSimulators, run_simulators

from data_pipeline.domain.layouts import read_file
from data_pipeline.domain.settlement import SettlementFile
from payment_gateway.clients.simulators.running import PLACES
from payment_gateway.clients.simulators.settlement import HEADER


def today() -> str:
    return datetime.now(UTC).date().isoformat()


async def the_file(simulators: RunningSimulators, day: str, channel: str = "card_sim") -> bytes:
    status, content = await simulators.get("/settlement", channel=channel, date=day)
    assert status == 200
    return content


async def test_a_day_lists_what_moved_money_and_its_fees(simulators: RunningSimulators) -> None:
    day = today()
    _, sale = await simulators.authorise("att_1", amount_minor=10_000)
    await simulators.hold("att_2", 2_000)
    capture = await simulators.act("captures", "cap_2", "att_2", 1_500)
    refund = await simulators.act("refunds", "ref_1", "att_1", 4_000)
    await simulators.authorise("att_3", "tok_declined")
    await simulators.authorise("att_4", "tok_3ds")
    assert today() == day, "midnight came in between: run it again"
    assert (await the_file(simulators, day)).decode().splitlines() == [
        HEADER,
        f"card_sim,{sale['channel_reference']},att_1,charge,10000,EUR,165,{day}",
        f"card_sim,{capture['channel_reference']},cap_2,charge,1500,EUR,46,{day}",
        f"card_sim,{refund['channel_reference']},ref_1,refund,4000,EUR,0,{day}",
        "END,3,15500",
    ]


async def test_the_second_card_channel_has_the_batch_layout_and_the_pipeline_reads_it(
    simulators: RunningSimulators,
) -> None:
    day = today()
    assert await the_file(simulators, day, "card_sim_2") == f"HDR,batch/1,card_sim_2,{day},0,0,0,0\n".encode()
    body = {
        "token": "tok_visa",
        "amount_minor": 10_000,
        "currency": "EUR",
        "capture": True,
        "challenge": False,
    }
    _, sale = await simulators.post("/card2/authorisations", "att_1", **body)
    back = {"original": "att_1", "amount_minor": 4_000, "currency": "EUR"}
    _, refund = await simulators.post("/card2/refunds", "ref_1", **back)
    assert today() == day, "midnight came in between: run it again"
    batch = f"card_sim_2-{day.replace('-', '')}-EUR"
    raw = await the_file(simulators, day, "card_sim_2")
    assert raw.decode().splitlines() == [
        f"HDR,batch/1,card_sim_2,{day},2,0,0,1",
        f"TX,Settled,{sale['channel_reference']},att_1,EUR,,100.00,EUR,,98.40,1,0.16,0.32,0.80,0.32,{batch}",
        f"TX,Refunded,{refund['channel_reference']},ref_1,EUR,40.00,,EUR,40.00,,1,0.00,0.00,0.00,0.00,{batch}",
        f"PAY,MerchantPayout,EUR,58.40,,{batch}",
    ]
    read = read_file(raw, channel="card_sim_2", day=date.fromisoformat(day))
    assert isinstance(read, SettlementFile)
    assert [(one.amount_minor, one.fee_minor) for one in read.lines] == [(10_000, 160), (4_000, 0)]


async def test_the_same_day_gives_the_same_bytes_also_after_a_restart(tmp_path: Path) -> None:
    day = today()
    async with run_simulators(tmp_path) as simulators:
        for number in range(20):
            await simulators.authorise(f"att_{number}", amount_minor=100 + number)
        first = await the_file(simulators, day)
        assert await the_file(simulators, day) == first
    async with run_simulators(tmp_path) as simulators:
        assert await the_file(simulators, day) == first


async def test_a_day_without_business_is_an_empty_file_that_says_so(simulators: RunningSimulators) -> None:
    assert await the_file(simulators, "2020-02-29", "wallet_sim") == f"{HEADER}\nEND,0,0\n".encode()


@pytest.mark.parametrize(
    "query", [{"channel": "card_sim"}, {"channel": "card_sim", "date": "today"}, {"date": "2026-01-01"}]
)
async def test_a_file_needs_a_channel_and_a_day(simulators: RunningSimulators, query: dict[str, str]) -> None:
    assert (await simulators.get("/settlement", **query))[0] == 422


@pytest.mark.parametrize(
    ("amount_minor", "currency", "fee"),
    [
        (10_000, "EUR", 165),  # 1.4 % = 140, and 25
        (1_250, "EUR", 43),  # 17.5 rounds up
        (1_249, "EUR", 42),  # 17.486 rounds down
        (1, "EUR", 25),
        (10_000, "JPY", 170),
        (10_000, "KWD", 240),
    ],
)
def test_a_fee_is_a_share_rounded_half_up_and_a_fixed_part(
    amount_minor: int, currency: str, fee: int
) -> None:
    assert PLACES["card"][2].fee_minor(amount_minor, currency) == fee
