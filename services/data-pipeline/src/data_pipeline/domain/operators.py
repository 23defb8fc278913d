"""Who may use the console, and for what. Passwords are kept as scrypt hashes, session ids as SHA-256."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

IDLE_MAX: Final = timedelta(minutes=30)
SESSION_MAX: Final = timedelta(hours=12)
"""A shift: who works longer says once more who it is."""
PASSWORD_MIN: Final = 12
PASSWORD_MAX: Final = 200
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,39}")

# OWASP's smallest scrypt setting that takes 32 MiB (password storage cheat sheet): a pod of the API has 256 MiB.
_N, _R, _P = 2**15, 8, 3


class Role(StrEnum):
    """What a person is here for. An admin may do everything."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    FINANCE = "finance"
    ADMIN = "admin"


class Permission(StrEnum):
    """What a page asks for before it acts. Reading needs none: every operator may look at every page."""

    MOVE_MONEY = "capture, void or refund payments"
    REVIEW = "decide cases and alerts"
    CHANGE_RULES = "change rules and lists"
    CLOSE_BREAKS = "close breaks and correct the ledger"
    REPLAY = "replay events and webhooks"


_OPERATOR = frozenset({Permission.MOVE_MONEY, Permission.REVIEW, Permission.REPLAY})
_FINANCE = frozenset({Permission.MOVE_MONEY, Permission.CLOSE_BREAKS})
PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.VIEWER: frozenset(),
        Role.OPERATOR: _OPERATOR,
        Role.FINANCE: _FINANCE,
        Role.ADMIN: frozenset(Permission),
    }
)


@dataclass(frozen=True, slots=True)
class Operator:
    """A person at the console; `name` is what stands in every audit trail."""

    name: str
    role: Role

    def may(self, permission: Permission) -> bool:
        return permission in PERMISSIONS[self.role]


def is_name(name: str) -> bool:
    """2 to 40 of a-z, 0-9, dot, dash and underscore: it goes into headers and audit logs as it is."""
    return _NAME.fullmatch(name) is not None


def is_password(password: str) -> bool:
    """Length only: rules about characters make passwords worse (NIST SP 800-63B 5.1.1.2)."""
    return PASSWORD_MIN <= len(password) <= PASSWORD_MAX


def hash_password(password: str, salt: bytes) -> str:
    """`scrypt$N$r$p$salt$hash`, in hexadecimal: the parameters stay with the hash and may grow."""
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${_scrypt(password, salt, _N, _R, _P).hex()}"


def matches(password: str, kept: str) -> bool:
    """Whether `password` is the one whose hash is `kept`."""
    _, n, r, p, salt, digest = kept.split("$")
    found = _scrypt(password, bytes.fromhex(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, bytes.fromhex(digest))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


NOBODY: Final = f"scrypt${_N}${_R}${_P}${bytes(16).hex()}${bytes(32).hex()}"
"""What the password of an unknown name is held against: it takes as long as that of a known one."""


def hash_session(session_id: str) -> bytes:
    """What is kept of a session: who reads the table cannot enter."""
    return hashlib.sha256(session_id.encode()).digest()


def form_token(secret: str) -> str:
    """What a form must send back: derived from the cookie, so a page of somebody else cannot know it."""
    return hmac.new(secret.encode(), b"form of the console", hashlib.sha256).hexdigest()


def is_live(created_at: datetime, seen_at: datetime, now: datetime) -> bool:
    """Whether a session may still be used."""
    return now - seen_at <= IDLE_MAX and now - created_at <= SESSION_MAX
