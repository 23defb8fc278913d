"""Whose personal data it is: the subjects' keys, made and found in the vault, and remembered for a minute.

A process may seal with a key that it remembers for up to `remember_s` seconds after the subject was closed. So a
subject is closed first and erased later (`operations/erase_subjects.py`): what was sealed in between dies with the key.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from payment_gateway.domain.envelope import SealedKey, UnknownKey
from payment_gateway.domain.personal_data import Subject, opened, subjects_in
from payment_gateway.operations.vault import POOL_SIZE, Vault
from payment_gateway.store.vault import subjects
from payment_gateway.store.vault.subjects import Wanted
from platform_kit.db import each_by_itself
from platform_kit.ids import new_id
from platform_kit.logging import get_logger
from platform_kit.problems import Unavailable
from platform_kit.together import Together

REMEMBERED_MAX: Final = 20_000  # of a process: some 10 MB
TOGETHER_MAX: Final = 64  # subjects of one statement
TRIES_MAX: Final = 3  # for a subject that another process adds at the same moment
WAIT_MAX_S: Final = 20.0  # within what a client waits

log = get_logger(__name__)


class VaultBusy(Unavailable):
    code, title = "vault-busy", "The vault does not answer in time"

    def __init__(self) -> None:
        super().__init__("Nothing was written. Repeat the same key.", 1)


class VaultKeyMissing(Unavailable):
    code, title = "vault-key-missing", "This process does not have the key that the data is under"

    def __init__(self) -> None:
        super().__init__("Nothing was written. A rotation of keys is not finished: see docs/vault.md.", 10)


class Subjects:
    """Keys of subjects. Whatever needs the vault raises VaultClosed in a process that has none."""

    def __init__(self, vault: Vault, remember_s: float) -> None:
        self._vault = vault
        self._remember_s = remember_s
        self._by_reference: _Remembered = _Remembered(remember_s)
        self._by_id: _Remembered = _Remembered(remember_s)
        self._asking: Together[Wanted, Subject] = Together(
            self._find_or_add, batch_max=TOGETHER_MAX, lanes=POOL_SIZE
        )

    @property
    def remember_s(self) -> float:
        return self._remember_s

    async def of(self, merchant_id: str, reference: str) -> Subject:
        """The open subject of a merchant's reference, made if there is none. One statement of the vault, shared with
        all who wait, unless this process has just had it. Raises VaultClosed, VaultBusy, VaultKeyMissing."""
        _, keyring = self._vault.opened()
        hidden = keyring.reference(merchant_id, reference)
        known = self._by_reference.get(hidden)
        if known is None:
            wanted = Wanted(merchant_id, hidden, keyring.new_key(new_id("sub")))
            try:
                known = await self._asking.call(wanted, WAIT_MAX_S)
            except TimeoutError:
                raise VaultBusy() from None
        return known

    def remembers(self, merchant_id: str, reference: str) -> bool:
        """Whether `of` would ask nobody. Raises VaultClosed."""
        return self._by_reference.get(self.hidden(merchant_id, reference)) is not None

    async def by_id(self, ids: Collection[str]) -> Mapping[str, Subject]:
        """Those that have not been erased. Raises VaultClosed, VaultKeyMissing."""
        found = {one: known for one in ids if (known := self._by_id.get(one))}
        if missing := set(ids) - found.keys():
            engine, _ = self._vault.opened()
            async with engine.connect() as connection:
                keys = await subjects.of_ids(connection, missing)
            found |= {key.id: self._remember(key) for key in keys.values()}
        return found

    async def opened(self, value: Any) -> Any:
        """An answer with all that is sealed in it opened, and what was erased marked as such."""
        ids = subjects_in(value)
        return opened(value, await self.by_id(ids)) if ids else value

    def hidden(self, merchant_id: str, value: str) -> str:
        """What a value is looked up by without being kept: a keyed fingerprint. Raises VaultClosed."""
        return self._vault.opened()[1].reference(merchant_id, value)

    async def known(self, merchant_id: str, references: Iterable[str]) -> Sequence[str]:
        """The ids of the subjects behind references, those too that are being erased. Raises VaultClosed."""
        engine, keyring = self._vault.opened()
        hidden = [keyring.reference(merchant_id, reference) for reference in references]
        async with engine.connect() as connection:
            return await subjects.of_references(connection, hidden)

    async def close(self, ids: Collection[str]) -> None:
        """Seal nothing new under these, from `remember_s` seconds on in every process."""
        engine, _ = self._vault.opened()
        async with engine.begin() as connection:
            await subjects.close(connection, ids)
        self._forget(ids)

    async def erase(self, ids: Collection[str]) -> None:
        """Destroy the keys. Not to be taken back; doing it again changes nothing."""
        engine, _ = self._vault.opened()
        async with engine.begin() as connection:
            await subjects.erase(connection, ids)
        self._forget(ids)

    async def rewrap_some(self, limit: int) -> int:
        """Bring up to `limit` keys under the newest key-encryption key; returns how many there were. Raises UnknownKey
        before anything is written."""
        engine, keyring = self._vault.opened()
        async with engine.begin() as connection:
            old = await subjects.lock_old(connection, keyring.newest, limit)
            if old:
                await subjects.rewrap(connection, [keyring.rewrap_key(key) for key in old])
        return len(old)

    async def check_keys(self) -> None:
        """Raises UnknownKey when a subject is under a key that this process does not have."""
        engine, keyring = self._vault.opened()
        async with engine.connect() as connection:
            held = await subjects.count_by_kek(connection)
        for key_id in sorted(held.keys() - keyring.keks.keys()):
            raise UnknownKey(key_id)

    async def _find_or_add(self, wanted: Sequence[Wanted]) -> Sequence[Subject | Exception]:
        engine, _ = self._vault.opened()
        found: dict[str, SealedKey] = {}
        at_once = each_by_itself(engine)
        for _ in range(TRIES_MAX):
            missing = [one for one in wanted if one.reference not in found]
            if not missing:
                break
            async with at_once.connect() as connection:
                found |= await subjects.find_or_add(connection, missing)
        return [self._found(one, found) for one in wanted]

    def _found(self, wanted: Wanted, found: Mapping[str, SealedKey]) -> Subject | Exception:
        if wanted.reference not in found:
            return VaultBusy()
        try:
            subject = self._remember(found[wanted.reference])
        except VaultKeyMissing as error:
            return error
        self._by_reference.put(wanted.reference, subject)
        return subject

    def _remember(self, key: SealedKey) -> Subject:
        try:
            subject = Subject(key.id, self._vault.opened()[1].open_key(key))
        except UnknownKey as error:
            log.error("vault key missing", subject=key.id, key_id=error.key_id)
            raise VaultKeyMissing() from None
        self._by_id.put(subject.id, subject)
        return subject

    def _forget(self, ids: Collection[str]) -> None:
        self._by_id.drop(ids)
        self._by_reference.drop(ids)


class _Remembered:
    """Subjects by some name, each for a while, the latest ones of them."""

    def __init__(self, for_s: float) -> None:
        self._for_s = for_s
        self._subjects: OrderedDict[str, tuple[float, Subject]] = OrderedDict()

    def get(self, name: str) -> Subject | None:
        until_s, subject = self._subjects.get(name, (0.0, None))
        return subject if until_s > time.monotonic() else None

    def put(self, name: str, subject: Subject) -> None:
        self._subjects[name] = (time.monotonic() + self._for_s, subject)
        self._subjects.move_to_end(name)
        if len(self._subjects) > REMEMBERED_MAX:
            self._subjects.popitem(last=False)

    def drop(self, ids: Collection[str]) -> None:
        for name in [name for name, (_, subject) in self._subjects.items() if subject.id in ids]:
            del self._subjects[name]
