"""Real receivers: web servers and a mail server of the test's own, well, wrong and silent."""

import asyncio
import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from aiosmtpd.controller import Controller
from alert_rig import SECRET, Receiver, a_webhook, receiving
from pydantic import SecretStr
from risk_rig import NOON
from standardwebhooks import Webhook

from risk_engine.clients.alert_channels import AlertSender, InvalidChannels, read_channels
from risk_engine.domain.alert_message import trial_message

pytestmark = pytest.mark.timing

MESSAGE = trial_message("ops", "ada", NOON)


def now_s() -> int:
    """The public library accepts what is at most five minutes old: the time of the import would be too early."""
    return int(time.time())


ONE = '{"name": "a", "kind": "apprise", "url": "json://SECRETHOST"}'


def sender(*channels: dict[str, Any], timeout_s: float = 3.0) -> AlertSender:
    return AlertSender(read_channels(SecretStr(orjson.dumps(channels).decode())), timeout_s=timeout_s)


class Mailbox:
    """A mail server that keeps what it is given."""

    def __init__(self) -> None:
        self.letters: list[Any] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.letters.append(envelope)
        return "250 taken"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, port
    controller.stop()


def a_mail(port: int, **changes: Any) -> dict[str, Any]:
    url = f"mailto://127.0.0.1:{port}/?from=risk@pay.example&to=oncall@pay.example&mode=insecure"
    return {"name": "mail", "kind": "apprise", "url": url} | changes


async def test_a_webhook_is_signed_so_that_the_public_library_accepts_it() -> None:
    async with receiving(Receiver()) as receiver, sender(a_webhook(url=receiver.url)) as out:
        assert await out.send("ops", "adl_1", now_s(), MESSAGE) is None
    headers, body = receiver.heard[0]
    assert Webhook(SECRET).verify(body, {name.lower(): value for name, value in headers.items()}) == MESSAGE
    assert headers["webhook-id"] == "adl_1"


@pytest.mark.parametrize("status", [301, 400, 410, 500])
async def test_what_is_no_success_is_told_by_its_status(status: int) -> None:
    async with receiving(Receiver(status=status)) as receiver, sender(a_webhook(url=receiver.url)) as out:
        assert await out.send("ops", "adl_1", now_s(), MESSAGE) == f"status-{status}"


async def test_nobody_there_is_a_word_too() -> None:
    async with sender(a_webhook()) as out:
        assert await out.send("ops", "adl_1", now_s(), MESSAGE) == "refused"
        assert await out.ping("http://127.0.0.1:1/") == "refused"


async def test_a_receiver_that_hangs_costs_its_timeout_and_no_more() -> None:
    async with (
        receiving(Receiver(hangs=True)) as receiver,
        sender(a_webhook(url=receiver.url), timeout_s=0.2) as out,
    ):
        began_s = time.perf_counter()
        assert await out.send("ops", "adl_1", now_s(), MESSAGE) == "timeout"
        assert await out.ping(receiver.url) == "timeout"
        assert time.perf_counter() - began_s < 2


async def test_a_letter_arrives_with_subject_and_text(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    async with sender(a_mail(port)) as out:
        assert await out.send("mail", "adl_1", now_s(), MESSAGE) is None
    (letter,) = box.letters
    assert letter.rcpt_tos == ["oncall@pay.example"]
    assert b"Subject: [INFO] trial trial" in letter.content
    assert b"ada tries the channel ops" in letter.content


async def test_chat_goes_by_apprise_as_well() -> None:
    async with receiving(Receiver(status=200)) as receiver:
        url = receiver.url.replace("http://", "mmost://").replace("/hook/SECRETPATH", f"/{'x' * 26}")
        async with sender({"name": "chat", "kind": "apprise", "url": url}) as out:
            assert await out.send("chat", "adl_1", now_s(), MESSAGE) is None
    assert b"ada tries the channel ops" in receiver.heard[0][1]


async def test_a_mail_server_that_hangs_holds_its_own_threads_and_no_others(
    mailbox: tuple[Mailbox, int],
) -> None:
    box, port = mailbox
    async with sender(
        a_mail(port, name="first")
    ) as out:  # Apprise is loaded by the first message of a process
        await out.send("first", "adl_0", now_s(), MESSAGE)
    with socket.socket() as silent:  # it accepts and never greets
        silent.bind(("127.0.0.1", 0))
        silent.listen(20)
        hanging = a_mail(silent.getsockname()[1], name="hanging")
        async with sender(hanging, a_mail(port), timeout_s=0.7) as out:
            began_s = time.perf_counter()
            stuck = [asyncio.create_task(out.send("hanging", f"adl_{n}", now_s(), MESSAGE)) for n in range(6)]
            assert await out.send("mail", "adl_9", now_s(), MESSAGE) is None
            assert set(await asyncio.gather(*stuck)) <= {"timeout", "not-taken"}
            assert time.perf_counter() - began_s < 5
    assert len(box.letters) == 2


async def test_secrets_of_addresses_are_in_no_log(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    channels = [
        a_webhook("hook", "http://127.0.0.1:1/hook/SECRETPATH?key=SECRETKEY"),
        {
            "name": "mail",
            "kind": "apprise",
            "url": "mailto://user:SECRETWORD@127.0.0.1:1/?from=a@b.example&to=a@b.example&mode=insecure",
        },
        {"name": "chat", "kind": "apprise", "url": f"mmost://127.0.0.1:1/{'SECRETWORD'.lower() + 'x' * 16}"},
        {"name": "json", "kind": "apprise", "url": "json://user:SECRETWORD@127.0.0.1:1/SECRETPATH"},
        {"name": "odd", "kind": "apprise", "url": "nosuch://SECRETWORD"},
    ]
    async with sender(*channels) as out:
        errors = {one["name"]: await out.send(one["name"], "adl_1", now_s(), MESSAGE) for one in channels}
    assert errors == {
        "hook": "refused",
        "mail": "not-taken",
        "chat": "not-taken",
        "json": "not-taken",
        "odd": "not-an-apprise-url",
    }
    written = capfd.readouterr()
    told = caplog.text + written.out + written.err + repr(out._channels)
    for word in ("secretpath", "secretkey", "secretword"):
        assert word not in told.lower()


@pytest.mark.parametrize(
    ("channels", "where"),
    [
        ('{"name": "x"}', "the list"),
        ("[", "the list"),
        ('[{"name": "Ops", "kind": "webhook", "url": "https://SECRETHOST"}]', "0/name"),
        ('[{"name": "ops", "kind": "pigeon", "url": "https://SECRETHOST"}]', "0/kind"),
        ('[{"name": "ops", "kind": "webhook", "url": "ftp://SECRETHOST"}]', "begins with https://"),
        ('[{"name": "ops", "kind": "webhook", "url": "https://SECRETHOST", "secret": "short"}]', "whsec_"),
        ('[{"name": "ops", "kind": "apprise", "url": "SECRETHOST"}]', "Apprise"),
        ('[{"name": "ops", "kind": "apprise", "url": "json://SECRETHOST", "level": 9}]', "0/level"),
        (f"[{', '.join([ONE] * 2)}]", "differ"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_place_and_without_its_values(channels: str, where: str) -> None:
    with pytest.raises(InvalidChannels, match=where) as refused:
        read_channels(SecretStr(channels))
    assert "SECRETHOST" not in str(refused.value)


def test_no_setting_is_no_channel() -> None:
    assert read_channels(SecretStr("")) == read_channels(SecretStr("[]")) == ()
