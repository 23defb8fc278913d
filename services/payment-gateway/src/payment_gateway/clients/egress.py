"""Where our servers may go on behalf of a merchant: the guard against server-side request forgery.

A URL is checked when it is saved, and its addresses are checked each time they are dialled: a name that is harmless
today may point inside tomorrow. The connector asks the resolver here, dials what it returned and nothing else, so
there is no second lookup that could answer differently (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

URL_LENGTH_MAX: Final = 2048
ADDRESSES_MAX: Final = 8  # of one name; more is no web server that we want to try one by one
RESOLVE_TIMEOUT_S: Final = 3.0
PORTS: Final = frozenset({80, 443})

_VISIBLE_ASCII: Final = re.compile(
    r"[!-\[\]-~]+"
)  # no space, control character or backslash: parsers differ there
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")

# Names that only mean something inside (RFC 6761, 6762, 8375, 9476; Kubernetes; the clouds' metadata services).
_INSIDE: Final = frozenset(
    {
        "localhost", "local", "localdomain", "internal", "intranet", "corp", "home", "lan", "svc", "test", "invalid",
        "example", "alt", "onion", "arpa",
    }
)  # fmt: skip

# IANA special-purpose registries (RFC 6890 and later entries), and one address that a cloud keeps for itself.
_REFUSED_V4: Final = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",
    )
)  # fmt: skip
# Of IPv6 only what is given out for the Internet; without the ranges that carry IPv4 inside (6to4, Teredo).
_GLOBAL_V6: Final = ip_network("2000::/3")
_REFUSED_V6: Final = tuple(
    ip_network(block)
    for block in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
# What WEBHOOK_ALLOW_PRIVATE opens: this machine and private networks, never link-local (metadata services).
_PRIVATE: Final = tuple(
    ip_network(block)
    for block in ("10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)


class NotAllowed(OSError):
    """We do not go there. The message is a slug, not an address: a merchant must not map our inside with it."""


def check_url(url: str, *, allow_private: bool) -> None:
    """Check all that can be told without the network. Raises NotAllowed."""
    if not 0 < len(url) <= URL_LENGTH_MAX or not _VISIBLE_ASCII.fullmatch(url):
        raise NotAllowed("malformed-url")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise NotAllowed("malformed-url") from None
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise NotAllowed("scheme-not-allowed")
    if "@" in parts.netloc or parts.fragment:
        raise NotAllowed("malformed-url")
    if port is not None and port not in PORTS and not (allow_private and port):
        raise NotAllowed("port-not-allowed")
    _check_host(host, bracketed="[" in parts.netloc, allow_private=allow_private)


def check_address(address: str, *, allow_private: bool) -> None:
    """Raises NotAllowed unless `address` is one of the open Internet (or private, where that is allowed)."""
    try:
        ip = ip_address(address)
    except ValueError:
        raise NotAllowed("address-not-allowed") from None
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if not (_is_public(ip) or (allow_private and any(ip in network for network in _PRIVATE))):
        raise NotAllowed("address-not-allowed")


async def resolve(host: str, port: int, *, allow_private: bool) -> list[ResolveResult]:
    """Every address of a name, all of them checked: one that points inside spoils the whole answer.

    Raises NotAllowed, or OSError when there is no answer.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(RESOLVE_TIMEOUT_S):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys((family, str(where[0])) for family, _, _, _, where in found))
    for _, address in addresses:
        check_address(address, allow_private=allow_private)
    if not addresses or len(addresses) > ADDRESSES_MAX:
        raise NotAllowed("address-not-allowed")
    return [_result(host, address, port, family) for family, address in addresses]


class GuardedResolver(AbstractResolver):
    """What aiohttp's connector dials: the addresses that passed, numerically."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return await resolve(host, port, allow_private=self._allow_private)

    async def close(self) -> None:
        """Nothing is held."""


def _check_host(host: str, *, bracketed: bool, allow_private: bool) -> None:
    """A public name or an address that passes, in its one usual spelling."""
    labels = host.split(".")
    if bracketed or _NUMBER.fullmatch(labels[-1]):  # WHATWG: a host that ends in a number is an IPv4 address
        check_address(host, allow_private=allow_private)
        return
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise NotAllowed("malformed-host")
    if allow_private:
        return
    if len(labels) < 2 or labels[-1] in _INSIDE:
        raise NotAllowed("host-not-allowed")


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _REFUSED_V4)
    return ip.scope_id is None and ip in _GLOBAL_V6 and not any(ip in network for network in _REFUSED_V6)


def _result(host: str, address: str, port: int, family: Any) -> ResolveResult:
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )  # fmt: skip
