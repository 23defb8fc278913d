"""No merchant aims our servers at our own network (reliability.md 4, row SSRF; OWASP API7:2023)."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from lying_server import LyingServer, answer, run_lying_server

from payment_gateway.clients import egress
from payment_gateway.clients.egress import NotAllowed, check_address, check_url
from payment_gateway.clients.webhooks import WebhookSender

# One JSON string a line, so that control characters and look-alikes can be seen.
REFUSED_URLS = [
    json.loads(line) for line in (Path(__file__).parent / "refused_urls.jsonl").read_text().splitlines()
]

ALLOWED_URLS = [
    "https://example.com",
    "https://example.com/",
    "https://example.com:443/hooks?x=1&y=[2]",
    "https://hooks.example.com:80/a%20b",
    "https://a-b.example.co.uk/",
    "https://xn--bcher-kva.com/",
    "https://93.184.215.14/",
    "https://[2606:2800:21f:cb07::1]/",
    "https://1.com/",
    "https://_dmarc.example.com/",
]


def test_the_catalogue_of_refused_urls_is_whole() -> None:
    assert len(set(REFUSED_URLS)) == 107


@pytest.mark.parametrize("url", REFUSED_URLS, ids=ascii)
def test_a_url_that_could_lead_inside_is_refused_before_any_lookup(url: str) -> None:
    with pytest.raises(NotAllowed):
        check_url(url, allow_private=False)


@pytest.mark.parametrize("url", ALLOWED_URLS)
def test_an_ordinary_url_passes(url: str) -> None:
    check_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/h",
        "https://[::1]:1/",
        "http://10.1.2.3/",
        "http://localhost:9/",
        "http://receiver:80/",
    ],
)
def test_a_local_stack_may_allow_private_places(url: str) -> None:
    check_url(url, allow_private=True)
    with pytest.raises(NotAllowed):
        check_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://0.0.0.0/", "http://224.0.0.1/",
            "ftp://127.0.0.1/", "http://user@127.0.0.1/", "http://127.0.0.1:0/", "http://127.1/"],
)  # fmt: skip
def test_metadata_services_and_odd_spellings_stay_closed_even_then(url: str) -> None:
    with pytest.raises(NotAllowed):
        check_url(url, allow_private=True)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:8.8.8.8"]
)
def test_addresses_of_the_internet_pass(address: str) -> None:
    check_address(address, allow_private=False)


@pytest.mark.parametrize("address", ["", "localhost", "1", "8.8.8.8.8", "2606:4700::1111%eth0", "08.8.8.8"])
def test_what_is_no_plain_address_is_refused(address: str) -> None:
    with pytest.raises(NotAllowed):
        check_address(address, allow_private=True)


class StubbornDns:
    """Stands in for the resolver: answers each lookup with the next of its answers (the last one for ever)."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in addresses
        ]


@pytest.fixture
async def inside() -> AsyncIterator[LyingServer]:
    """A server of our own that no webhook may reach."""
    async with run_lying_server(answer(b"")) as server:
        yield server


def use(monkeypatch: pytest.MonkeyPatch, dns: StubbornDns) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", dns.getaddrinfo, raising=True)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["93.184.215.14", "127.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["169.254.169.254"],
        ["2606:4700::1111", "::1"],
    ],
    ids=str,
)
async def test_a_name_that_points_inside_is_never_dialled(
    monkeypatch: pytest.MonkeyPatch, inside: LyingServer, addresses: list[str]
) -> None:
    dns = StubbornDns(addresses)
    use(monkeypatch, dns)
    monkeypatch.setattr(egress, "PORTS", {int(inside.url.rpartition(":")[2])})
    async with WebhookSender(timeout_s=20, allow_private=False) as sender:
        url = inside.url.replace("http://127.0.0.1", "https://hooks.example.com")
        assert (await sender.send(url, {}, b"{}")).error == "not-allowed"
    assert dns.asked == ["hooks.example.com"], "the guard was reached, not something before it"
    assert inside.requests == []


@pytest.mark.parametrize("addresses", [[], [f"8.8.8.{number}" for number in range(9)]], ids=["none", "nine"])
async def test_a_name_with_no_address_or_a_crowd_of_them_is_not_dialled(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    use(monkeypatch, StubbornDns(addresses))
    with pytest.raises(NotAllowed):
        await egress.resolve("hooks.example.com", 443, allow_private=False)


async def test_a_name_server_that_does_not_answer_is_waited_for_a_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    monkeypatch.setattr(egress, "RESOLVE_TIMEOUT_S", 0.05)
    with pytest.raises(TimeoutError):
        await egress.resolve("hooks.example.com", 443, allow_private=False)


async def test_a_name_that_changes_its_mind_is_asked_once_and_its_first_answer_is_what_is_dialled(
    monkeypatch: pytest.MonkeyPatch, inside: LyingServer
) -> None:
    """DNS rebinding: harmless when it is checked, inside when it is dialled. Here both are one lookup."""
    dns = StubbornDns(["10.255.255.1"], ["127.0.0.1"])
    use(monkeypatch, dns)
    url = inside.url.replace("127.0.0.1", "hooks.example.com")
    async with WebhookSender(timeout_s=0.3, allow_private=True) as sender:
        assert (await sender.send(url, {}, b"{}")).error in ("timeout", "refused")
    assert dns.asked == ["hooks.example.com"]
    assert inside.requests == []


async def test_every_new_connection_is_checked_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    dns = StubbornDns(["127.0.0.1"], ["169.254.169.254"])
    use(monkeypatch, dns)
    closing = run_lying_server(answer(b"", Connection="close"))
    async with closing as server, WebhookSender(timeout_s=20, allow_private=True) as sender:
        url = server.url.replace("127.0.0.1", "hooks.example.com")
        assert (await sender.send(url, {}, b"{}")).status == 200
        assert (await sender.send(url, {}, b"{}")).error == "not-allowed"
        assert len(server.requests) == 1


async def test_a_redirect_is_an_answer_and_is_not_followed(inside: LyingServer) -> None:
    redirecting = run_lying_server(answer(b"", 302, Location=inside.url))
    async with redirecting as outside, WebhookSender(timeout_s=20, allow_private=True) as sender:
        assert (await sender.send(outside.url, {}, b"{}")).status == 302
    assert inside.requests == []


async def test_a_proxy_of_the_environment_is_not_used(
    monkeypatch: pytest.MonkeyPatch, inside: LyingServer
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, inside.url)
    async with (
        run_lying_server(answer(b"")) as outside,
        WebhookSender(timeout_s=20, allow_private=True) as sender,
    ):
        assert (await sender.send(outside.url, {}, b"{}")).status == 200
    assert inside.requests == []
