"""Whose personal data it is: the subjects' keys, made and found in the vault, and remembered for a minute.

A process may seal with a key that it remembers for up to `remember_s` seconds after the subject was closed. So a
subject is closed first and erased later (`operations/erase_subjects.py`): what was sealed in between dies with the key.
A closed subject's key is used and not remembered, so that nobody reads by it once it is destroyed.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from payment_gateway.domain.envelope import SealedKey, UnknownKey
from payment_gateway.domain.personal_data import Named, Subject, of_merchant, opened, subjects_in
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

Item = TypeVar("Item")
Result = TypeVar("Result")
Reference = tuple[str, str]
"""Merchant id, and the keyed fingerprint of what it calls somebody."""

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
        self._by_itself: AsyncEngine | None = None
        self._by_reference: _Remembered = _Remembered(remember_s)
        self._by_id: _Remembered = _Remembered(remember_s)
        self._asking: Together[Wanted, Subject] = Together(
            self._find_or_add, batch_max=TOGETHER_MAX, lanes=POOL_SIZE
        )
        self._looking: Together[Reference, Subject | None] = Together(
            self._find, batch_max=TOGETHER_MAX, lanes=POOL_SIZE
        )

    @property
    def let_go_after(self) -> timedelta:
        """How long after a subject is closed no process has its key in memory: twice what it is remembered, for it may
        have been taken just before the close, and a request may outlive the memory."""
        return timedelta(seconds=2 * self._remember_s)

    async def of(self, merchant_id: str, reference: str) -> Subject:
        """The open subject of a merchant's reference, made if there is none. One statement of the vault, shared with
        all who wait, unless this process has just had it. Raises VaultClosed, VaultBusy, VaultKeyMissing."""
        _, keyring = self._vault.opened()
        hidden = keyring.reference(merchant_id, reference)
        known = self._by_reference.get(hidden)
        if known is not None:
            return known
        return await _in_time(self._asking, Wanted(merchant_id, hidden, keyring.new_key(new_id("sub"))))

    async def find(self, merchant_id: str, reference: str) -> Subject | None:
        """The open subject of a merchant's reference, or None for somebody new. Asks as `of` does, and adds nobody."""
        hidden = self.hidden(merchant_id, reference)
        known = self._by_reference.get(hidden)
        return known if known is not None else await _in_time(self._looking, (merchant_id, hidden))

    async def by_id(self, merchant_id: str, ids: Collection[str]) -> Mapping[str, Subject]:
        """Those of this merchant that have not been erased. Raises VaultClosed, VaultKeyMissing."""
        return of_merchant(await self.of_all([(merchant_id, one) for one in ids]), merchant_id)

    async def of_all(self, named: Collection[Named]) -> Mapping[Named, Subject]:
        """The same for several merchants' at once, each by whose it is."""
        found = {one: known for one in named if (known := self._by_id.get("/".join(one)))}
        if missing := set(named) - found.keys():
            async with self._at_once().connect() as connection:
                held = await subjects.of_ids(connection, missing)
            found |= {
                (one.merchant_id, one.key.id): self._opened(
                    one.merchant_id, one.key, remembered=not one.is_closed
                )
                for one in held
            }
        return found

    async def opened(self, merchant_id: str, value: Any) -> Any:
        """A merchant's answer with all that is sealed in it opened, and what was erased marked as such."""
        ids = subjects_in(value)
        return opened(value, await self.by_id(merchant_id, ids)) if ids else value

    def hidden(self, merchant_id: str, value: str) -> str:
        """What a value is looked up by without being kept: a keyed fingerprint. Raises VaultClosed."""
        return self._vault.opened()[1].reference(merchant_id, value)

    async def known(self, merchant_id: str, references: Iterable[str]) -> Sequence[str]:
        """The ids of the subjects behind references, those too that are being erased. Raises VaultClosed."""
        engine, keyring = self._vault.opened()
        hidden = [keyring.reference(merchant_id, reference) for reference in references]
        async with engine.connect() as connection:
            return await subjects.of_references(connection, hidden)

    async def known_as(self, hidden: Sequence[str]) -> Sequence[str]:
        """The same of any merchants, by what `hidden` made of their references. Raises VaultClosed."""
        async with self._vault.opened()[0].connect() as connection:
            return await subjects.of_references(connection, hidden)

    async def close(self, merchant_id: str, ids: Collection[str]) -> None:
        """Seal nothing new under these, from `remember_s` seconds on in every process."""
        engine, _ = self._vault.opened()
        async with engine.begin() as connection:
            await subjects.close(connection, merchant_id, ids)
        self._forget(ids)

    async def erase(self, merchant_id: str, ids: Collection[str]) -> None:
        """Destroy the keys of a merchant's subjects. Not to be taken back; doing it again changes nothing."""
        engine, _ = self._vault.opened()
        async with engine.begin() as connection:
            await subjects.erase(connection, merchant_id, ids)
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
        found: dict[str, SealedKey] = {}
        for _ in range(TRIES_MAX):
            missing = [one for one in wanted if one.reference not in found]
            if not missing:
                break
            async with self._at_once().connect() as connection:
                found |= await subjects.find_or_add(connection, missing)
        return [
            self._known(one.merchant_id, one.reference, found[one.reference])
            if one.reference in found
            else VaultBusy()
            for one in wanted
        ]

    async def _find(self, wanted: Sequence[Reference]) -> Sequence[Subject | Exception | None]:
        async with self._at_once().connect() as connection:
            found = await subjects.find(connection, {hidden for _, hidden in wanted})
        return [
            self._known(merchant_id, hidden, found[hidden]) if hidden in found else None
            for merchant_id, hidden in wanted
        ]

    def _at_once(self) -> AsyncEngine:
        """For single statements, on the way of a payment. Kept: to make it takes longer than some of the statements."""
        if self._by_itself is None:
            self._by_itself = each_by_itself(self._vault.opened()[0])
        return self._by_itself

    def _known(self, merchant_id: str, hidden: str, key: SealedKey) -> Subject | Exception:
        """An open subject, remembered by both of its names."""
        try:
            subject = self._opened(merchant_id, key, remembered=True)
        except VaultKeyMissing as error:
            return error
        self._by_reference.put(hidden, subject)
        return subject

    def _opened(self, merchant_id: str, key: SealedKey, *, remembered: bool) -> Subject:
        try:
            subject = Subject(key.id, self._vault.opened()[1].open_key(key))
        except UnknownKey as error:
            log.error("vault key missing", subject=key.id, key_id=error.key_id)
            raise VaultKeyMissing() from None
        if remembered:
            self._by_id.put(f"{merchant_id}/{subject.id}", subject)
        return subject

    def _forget(self, ids: Collection[str]) -> None:
        self._by_id.drop(ids)
        self._by_reference.drop(ids)


async def _in_time(together: Together[Item, Result], item: Item) -> Result:
    try:
        return await together.call(item, WAIT_MAX_S)
    except TimeoutError:
        raise VaultBusy() from None


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
