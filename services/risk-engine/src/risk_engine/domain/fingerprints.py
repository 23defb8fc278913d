"""Names for what a person may be known by (e-mail, address, device) that nobody finds by trying all of them out.

There are four thousand million addresses, and a hash of each is made in minutes: so a name is keyed. It is the hash
without a key (`facts.fingerprint`), hashed again under each key in turn, the oldest first, and says which came last:
`k2.3f2a…`. Whatever was written before there was a key, or under an older one, is therefore brought up to date without
the value (`upgraded`), and a new key breaks no window and no list.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

from risk_engine.domain.facts import fingerprint

KEYED: Final = frozenset({"email", "ip", "device"})
"""What can be guessed. A card's token and the payer's are random: who tries those out finds nothing."""
LENGTH_MIN: Final = 32  # characters of a key
_KEY_ID: Final = re.compile(r"[a-z0-9]{1,16}")


class InvalidFingerprintKeys(ValueError):
    """The keys in the settings are not usable. Says which and why, never a key."""


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """How this process names what it must not keep. `keys` by id, the oldest first; without any, names can be
    guessed."""

    keys: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)

    @property
    def newest(self) -> str:
        """Id of the key that names end with; "" without one."""
        return self.keys[-1][0] if self.keys else ""

    def of(self, kind: str, value: str) -> str:
        """The name of a value; "" stays ""."""
        name = fingerprint(kind, value)
        return self.upgraded(name) if kind in KEYED else name

    def upgraded(self, name: str) -> str:
        """A name of before under all keys that came since; one of a key that is not known here stays as it is."""
        held, _, digest = name.rpartition(".")
        ids = [key_id for key_id, _ in self.keys]
        if not name or (held and held not in ids):
            return name
        since = self.keys[ids.index(held) + 1 if held else 0 :]
        for _, key in since:
            digest = hashlib.blake2b(digest.encode(), key=key, digest_size=12).hexdigest()
        return f"{since[-1][0]}.{digest}" if since else name

    def upgraded_entity(self, entity: str) -> str:
        """The same for `<kind>:<name>`."""
        kind, _, name = entity.partition(":")
        return f"{kind}:{self.upgraded(name)}" if kind in KEYED else entity

    def forms_of(self, kind: str, value: str) -> list[str]:
        """All names that a value has had, the newest first."""
        older = [Fingerprints(self.keys[:count]) for count in range(len(self.keys), -1, -1)]
        return list(dict.fromkeys(one.of(kind, value) for one in older))


def fingerprints_of(keys: str) -> Fingerprints:
    """`keys` is `id:secret,id:secret`, the newest first. Raises InvalidFingerprintKeys."""
    found: dict[str, bytes] = {}
    for number, entry in enumerate(filter(None, (part.strip() for part in keys.split(","))), 1):
        key_id, _, secret = entry.partition(":")
        if not _KEY_ID.fullmatch(key_id) or key_id in found:
            raise InvalidFingerprintKeys(f"fingerprint key {number}: its id must be new, of a-z and 0-9")
        if len(secret) < LENGTH_MIN:
            raise InvalidFingerprintKeys(f"fingerprint key {key_id!r} has fewer than {LENGTH_MIN} characters")
        found[key_id] = hashlib.sha256(secret.encode()).digest()
    return Fingerprints(tuple(reversed(found.items())))
