"""Envelope encryption of a card or a person's data: its own data key seals it, a key-encryption key the data key.

Both by AES-256-GCM with a random nonce. The associated data binds each ciphertext to the row that it lies in and to
the key that sealed it: a ciphertext that is moved to another row does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from payment_gateway.domain.cards import CardNumber

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
PROCESS_KEYS_MAX: Final = 64  # keys of the settings whose derived forms are kept; there are a handful
TEXTS_MAX: Final = 4096  # opened texts that a process remembers
SEALED_PREFIX: Final = "sealed:"
_KEY_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_LETTERS: Final = bytes.maketrans(b"0123456789abcdef", b"abcdefghijklmnop")


class InvalidKeys(ValueError):
    """The keys in the settings are not usable. Says which and why, never a key."""


class UnknownKey(Exception):
    """A row is sealed under a key-encryption key that this process does not have: never skipped, never guessed."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        super().__init__(f"the vault has no key {key_id!r}")


class Tampered(Exception):
    """A ciphertext does not open in its row: it was changed, moved, or sealed under another key of the same id."""


@dataclass(frozen=True, slots=True)
class SealedCard:
    """A row of the vault. `wrapped_key` and `ciphertext` begin with their nonces."""

    id: str
    kek_id: str
    wrapped_key: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)
    fingerprint: str


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A data key without what it seals. `wrapped_key` begins with its nonce."""

    id: str
    kek_id: str
    wrapped_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The live key-encryption keys by id, the newest first, and the key of the fingerprints."""

    keks: dict[str, bytes] = field(repr=False)
    fingerprint_key: bytes = field(repr=False)

    @property
    def newest(self) -> str:
        return next(iter(self.keks))

    def seal(self, card_id: str, card: CardNumber) -> SealedCard:
        """A card under a data key of its own, wrapped with the newest key."""
        data_key = AESGCM.generate_key(KEY_BYTES * 8)
        text = f"{card.number}/{card.exp_month}/{card.exp_year}".encode()
        return SealedCard(
            id=card_id,
            kek_id=self.newest,
            wrapped_key=self._wrap(self.newest, card_id, data_key),
            ciphertext=seal_bytes(data_key, text, f"card {card_id}"),
            fingerprint=self.fingerprint(card.number),
        )

    def open(self, sealed: SealedCard) -> CardNumber:
        """Raises UnknownKey or Tampered."""
        text = open_bytes(self._unwrap(sealed), sealed.ciphertext, f"card {sealed.id}")
        number, month, year = text.decode().split("/")
        return CardNumber(number, int(month), int(year))

    def rewrap(self, sealed: SealedCard) -> SealedCard:
        """The same card with its data key under the newest key; the card itself is not opened.

        Raises UnknownKey or Tampered.
        """
        wrapped = self._wrap(self.newest, sealed.id, self._unwrap(sealed))
        return replace(sealed, kek_id=self.newest, wrapped_key=wrapped)

    def new_key(self, owner_id: str) -> SealedKey:
        """A new data key of its own, wrapped with the newest key."""
        data_key = AESGCM.generate_key(KEY_BYTES * 8)
        return SealedKey(owner_id, self.newest, self._wrap(self.newest, owner_id, data_key))

    def open_key(self, sealed: SealedKey) -> bytes:
        """Raises UnknownKey or Tampered."""
        return self._unwrap(sealed)

    def rewrap_key(self, sealed: SealedKey) -> SealedKey:
        """The same data key under the newest key. Raises UnknownKey or Tampered."""
        wrapped = self._wrap(self.newest, sealed.id, self._unwrap(sealed))
        return replace(sealed, kek_id=self.newest, wrapped_key=wrapped)

    def reference(self, merchant_id: str, reference: str) -> str:
        """By what a merchant's customer is found again without being named: keyed, for references can be guessed."""
        key = _purpose_key(self.fingerprint_key, b"subject")
        return hmac.digest(key, f"{merchant_id}/{reference}".encode(), "sha256").hex()

    def fingerprint(self, number: str) -> str:
        """The same for the same number, on the whole platform. Keyed: numbers are few enough to hash them all. Letters
        only, so that no filter takes it for a card number."""
        digest = hmac.new(self.fingerprint_key, b"card " + number.encode(), hashlib.sha256)
        return "fp_" + digest.hexdigest()[:32].encode().translate(_LETTERS).decode()

    def request_fingerprint(self, path: str, body: bytes) -> bytes:
        """Tells requests apart that hold a card number: a plain hash of one could be searched for the number."""
        key = _purpose_key(self.fingerprint_key, b"request")
        return hmac.digest(key, path.encode() + b"\0" + body, "sha256")

    @property
    def sealed_by_newest(self) -> str:
        """How each text begins that `seal_text` makes now."""
        return f"{SEALED_PREFIX}{self.newest}:"

    def seal_text(self, bound_to: str, text: str) -> str:
        """A short secret under the newest key itself: a data key of its own would be no shorter than what it guards."""
        sealed = seal_bytes(self.keks[self.newest], text.encode(), f"text {self.newest} {bound_to}")
        return self.sealed_by_newest + base64.b64encode(sealed).decode()

    def open_text(self, bound_to: str, sealed: str) -> str:
        """What `seal_text` was given. Raises UnknownKey or Tampered."""
        kek_id = sealing_key_of(sealed)
        kek = self.keks.get(kek_id)
        if kek is None:
            raise UnknownKey(kek_id)
        return _open_text(kek, f"text {kek_id} {bound_to}", sealed)

    def _wrap(self, kek_id: str, owner_id: str, data_key: bytes) -> bytes:
        return _seal(_kept_cipher(self.keks[kek_id]), data_key, f"key {kek_id} {owner_id}")

    def _unwrap(self, sealed: SealedCard | SealedKey) -> bytes:
        kek = self.keks.get(sealed.kek_id)
        if kek is None:
            raise UnknownKey(sealed.kek_id)
        return _open(_kept_cipher(kek), sealed.wrapped_key, f"key {sealed.kek_id} {sealed.id}")


def sealing_key_of(sealed: str) -> str:
    """The id of the key-encryption key that a text of `seal_text` is under."""
    return sealed.removeprefix(SEALED_PREFIX).partition(":")[0]


def keyring_of(keys: str, fingerprint_key: str) -> Keyring:
    """`keys` is `id:base64,id:base64`, the newest first, each of 32 bytes. Raises InvalidKeys."""
    keks: dict[str, bytes] = {}
    for number, entry in enumerate(filter(None, (part.strip() for part in keys.split(","))), 1):
        key_id, _, encoded = entry.partition(":")
        if not _KEY_ID.fullmatch(key_id) or key_id in keks:
            raise InvalidKeys(f"vault key {number}: its id must be new and of a-z, 0-9 and dashes")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise InvalidKeys(f"vault key {key_id!r} is not base64") from None
        if len(key) != KEY_BYTES:
            raise InvalidKeys(f"vault key {key_id!r} has {len(key)} bytes instead of {KEY_BYTES}")
        keks[key_id] = key
    if not keks:
        raise InvalidKeys("the vault needs at least one key")
    if len(fingerprint_key) < KEY_BYTES:
        raise InvalidKeys(f"the vault's fingerprint key needs at least {KEY_BYTES} characters")
    return Keyring(keks, fingerprint_key.encode())


@lru_cache(maxsize=TEXTS_MAX)  # an endpoint's keys are wanted for each message
def _open_text(kek: bytes, bound_to: str, sealed: str) -> str:
    try:
        ciphertext = base64.b64decode(sealed.rpartition(":")[2], validate=True)
    except binascii.Error:
        raise Tampered(f"a ciphertext of {bound_to.rpartition(' ')[2]} is not base64") from None
    return open_bytes(kek, ciphertext, bound_to).decode()


@lru_cache(maxsize=PROCESS_KEYS_MAX)
def _purpose_key(key: bytes, purpose: bytes) -> bytes:
    """A key for each purpose: what is found by one fingerprint is not found by another."""
    return hmac.digest(key, purpose, "sha256")


@lru_cache(maxsize=PROCESS_KEYS_MAX)
def _kept_cipher(kek: bytes) -> AESGCM:
    """Of a key-encryption key, which the process holds anyway: to expand a key costs as much as to use it. A data key's
    is not kept: nobody shall read by it once its row is erased."""
    return AESGCM(kek)


def seal_bytes(key: bytes, text: bytes, bound_to: str) -> bytes:
    return _seal(AESGCM(key), text, bound_to)


def open_bytes(key: bytes, sealed: bytes, bound_to: str) -> bytes:
    return _open(AESGCM(key), sealed, bound_to)


def _seal(cipher: AESGCM, text: bytes, bound_to: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, text, bound_to.encode())


def _open(cipher: AESGCM, sealed: bytes, bound_to: str) -> bytes:
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
    except InvalidTag:
        raise Tampered(f"a ciphertext of {bound_to.rpartition(' ')[2]} does not open") from None
