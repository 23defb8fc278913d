"""What is remembered of a payer beyond the windows: since when a card, customer, device or e-mail address is known,
where its last payment was, and which others it was seen with.

The Lua program in `clients/links.py` keeps the same in Redis; here is the plain meaning that tests hold it to. Whatever
the order in which payments come, the same is remembered of them, so a rebuild ends where the live path had been.

Linked is who was seen in one payment within 30 days. Two hops are looked at: the card of this payment, the device it
was used on, the other cards of that device. Addresses are no links: too many people share one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from risk_engine.domain.places import distance_km, speed_kmh
from risk_engine.domain.velocity import DAY_MS

KINDS: Final = ("card", "customer", "device", "email")
TRAVELLERS: Final = ("card", "customer")  # whose place is followed: a device or a mailbox may be shared
LINK_MS: Final = 30 * DAY_MS
ONCE_MS: Final = 37 * DAY_MS  # who was seen on one day only; a rebuild replays as much
REMEMBERED_MS: Final = 365 * DAY_MS  # who came back, after the last payment; then who comes back is new
# Of one entity, the newest. Two hops read 4 x 16 entities and 1,024 links at most. Nobody but a ring or a shared
# counter has so many within a month, and `links_saturated` says so.
NEIGHBOURS_MAX: Final = 16
FRAUD: Final = "fraud"  # the kind of a link to a payment that was called fraud

AGES: Final[Mapping[str, type]] = {f"{kind}_age_days": int for kind in KINDS} | {
    f"{kind}_is_new": bool for kind in KINDS
}
TRAVELS: Final[Mapping[str, type]] = {
    f"{kind}_travel_{unit}": int for kind in TRAVELLERS for unit in ("km", "kmh")
}
LINKS: Final[Mapping[str, type]] = {
    **{f"linked_{kind}s": int for kind in (*KINDS, FRAUD)},
    "links_saturated": bool,
}
FACTS: Final[Mapping[str, type]] = {**AGES, **TRAVELS, **LINKS}


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a payment was: `country` by its address."""

    at_ms: int
    id: str
    country: str


@dataclass(frozen=True, slots=True)
class Remembered:
    """Of one entity. `first` is (time, id) of its first payment; `places` are its newest two, oldest first; `links` say
    when each neighbour was last seen with it."""

    first: tuple[int, str] | None = None
    places: tuple[Place, ...] = ()
    links: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """What an entity's memory says at one payment: `age_ms` since its first one, and the payment before, if it had a
    place."""

    age_ms: int = 0
    is_new: bool = False
    came_from: str = ""
    elapsed_ms: int = 0


Memory = dict[str, Remembered]  # by name: card:<fingerprint>


def remember_payment(memory: Memory, own: Iterable[str], place: Place) -> None:
    """Keep what one payment shows of its own entities; `place.country` is "" when nobody knows."""
    names = tuple(own)
    for name in names:
        kept = memory.get(name, Remembered())
        first = (place.at_ms, place.id)
        others = {other: place.at_ms for other in names if other != name}
        memory[name] = replace(
            kept,
            first=min(kept.first, first) if kept.first else first,
            places=_placed(kept.places, place) if place.country else kept.places,
            links=_linked(kept.links, others, place.at_ms),
        )


def remember_fraud(memory: Memory, own: Iterable[str], at_ms: int, payment: str) -> None:
    """Keep that a payment of these entities, made at `at_ms`, was called fraud."""
    for name in own:
        kept = memory.get(name, Remembered())
        memory[name] = replace(kept, links=_linked(kept.links, {f"{FRAUD}:{payment}": at_ms}, at_ms))


def forget_fraud(memory: Memory, own: Iterable[str], payment: str) -> None:
    """The label was taken back: the payment is no fraud any more."""
    for name in own:
        kept = memory.get(name, Remembered())
        links = {other: at_ms for other, at_ms in kept.links.items() if other != f"{FRAUD}:{payment}"}
        memory[name] = replace(kept, links=links)


def _placed(places: tuple[Place, ...], place: Place) -> tuple[Place, ...]:
    if any(known.id == place.id for known in places):  # a retried decision has been there once
        return places
    return tuple(sorted((*places, place))[-2:])


def _linked(links: Mapping[str, int], others: Mapping[str, int], now_ms: int) -> dict[str, int]:
    merged = {name: max(links.get(name, 0), others.get(name, 0)) for name in links.keys() | others.keys()}
    fresh = [(at, name) for name, at in merged.items() if at > now_ms - LINK_MS]
    return {name: at for at, name in sorted(fresh)[-NEIGHBOURS_MAX:]}


def seen(kept: Remembered, now_ms: int, payment: str) -> Seen:
    """What is remembered of an entity, asked by a payment of its own that was remembered already."""
    first_at, first_id = kept.first or (now_ms, payment)
    before = [place for place in kept.places if place.id != payment and place.at_ms <= now_ms]
    return Seen(
        age_ms=max(0, now_ms - first_at),
        is_new=first_id == payment,
        came_from=before[-1].country if before else "",
        elapsed_ms=now_ms - before[-1].at_ms if before else 0,
    )


def reach(memory: Mapping[str, Remembered], own: Iterable[str], now_ms: int) -> dict[str, int | bool]:
    """Who is within two hops of a payment, its own entities among them: one count per kind."""
    found = dict.fromkeys(own, True)
    frontier, is_saturated = list(found), False
    for _ in range(2):
        met: list[str] = []
        for name in frontier:
            links = memory.get(name, Remembered()).links
            fresh = sum(at_ms > now_ms - LINK_MS for at_ms in links.values())
            is_saturated = is_saturated or fresh >= NEIGHBOURS_MAX
            for other, at_ms in links.items():
                if now_ms - LINK_MS < at_ms <= now_ms and other not in found:
                    found[other] = True
                    met.append(other)
        frontier = [name for name in met if not name.startswith(FRAUD)]
    return {
        **{f"linked_{kind}s": sum(name.startswith(f"{kind}:") for name in found) for kind in (*KINDS, FRAUD)},
        "links_saturated": is_saturated,
    }


_NOTHING: Final[dict[str, int | bool]] = {name: kind() for name, kind in FACTS.items()}


def no_memory() -> dict[str, int | bool]:
    """Every fact at its default: nothing is remembered."""
    return _NOTHING.copy()


def no_news() -> dict[str, int | bool]:
    """Nobody is called new: for who has no memory to say so from."""
    return {f"{kind}_is_new": False for kind in KINDS}


def facts_of(entities: Mapping[str, Seen], country: str) -> dict[str, int | bool]:
    """The facts of what was seen, by kind of entity; `country` is where this payment is, "" when nobody knows."""
    facts: dict[str, int | bool] = {}
    for kind, one in entities.items():
        facts |= {f"{kind}_age_days": one.age_ms // DAY_MS, f"{kind}_is_new": one.is_new}
        if kind in TRAVELLERS:
            km = distance_km(one.came_from, country)
            facts |= {
                f"{kind}_travel_km": km,
                f"{kind}_travel_kmh": speed_kmh(km, one.elapsed_ms) if km else 0,
            }
    return facts
