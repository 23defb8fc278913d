"""`run.json`: what a generator is told; also what a master sends to its workers."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.profile import Profile, parse_profile


@dataclass(frozen=True, slots=True)
class Order:
    """Send `profile` to `gateway_url` as the merchant of `api_key`. `run`: letters that are this run's own."""

    profile: Profile
    gateway_url: str
    api_key: str
    run: str
    closed: bool = False
    receiver_url: str | None = None


def to_json(order: Order) -> str:
    return json.dumps(asdict(order))


def from_json(text: str) -> Order:
    found: dict[str, Any] = json.loads(text)
    profile = found.pop("profile")
    name = profile.pop("name")
    return Order(profile=parse_profile(name, profile, "run.json"), **found)
