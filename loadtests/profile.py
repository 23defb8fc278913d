"""A profile: how many arrivals when, and what each of them does. Data in `profiles/*.yaml`, read strictly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from loadtests.journey_names import JOURNEYS
from loadtests.strict import WrongFile, check_keys, known, number, read_mapping, text

DIRECTORY = Path(__file__).parent / "profiles"
STEPS_MAX = 4  # requests of the longest journey: it may wait for each of them
VICTIMS = ("gateway-api", "gateway-worker", "gateway-relay", "risk-api", "redis", "postgres")


class Arrivals(StrEnum):
    """How arrivals follow each other."""

    POISSON = "poisson"  # independent customers: bursts and pauses, as in life
    CONSTANT = "constant"  # one every 1/rate seconds


@dataclass(frozen=True, slots=True)
class Stage:
    """`rate` arrivals a second for `seconds`; with `to_rate` it goes there in a straight line."""

    name: str
    rate: float
    seconds: float
    arrivals: Arrivals = Arrivals.POISSON
    to_rate: float | None = None

    @property
    def last_rate(self) -> float:
        return self.rate if self.to_rate is None else self.to_rate


@dataclass(frozen=True, slots=True)
class Fault:
    """`at_s` seconds after the start the process `kill` is killed with SIGKILL (in a cluster: its pod, by force)."""

    at_s: float
    kill: str


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of load. `mix`: journey -> weight. A request is given up after `timeout_s`."""

    name: str
    about: str
    stages: tuple[Stage, ...]
    mix: Mapping[str, float]
    seed: int = 1
    timeout_s: float = 10.0
    closed_users: int = 8  # of `--closed`: so many shops, each waiting for its answer
    faults: tuple[Fault, ...] = ()
    finds_knee: bool = False  # stages are steps of a ramp: the report names the last one that was kept

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    @property
    def peak_rate(self) -> float:
        return max(max(stage.rate, stage.last_rate) for stage in self.stages)

    @property
    def in_flight_max(self) -> int:
        """So many journeys can be on their way at once, however slow the platform is: each request times out."""
        return int(self.peak_rate * self.timeout_s * STEPS_MAX * 1.5) + 50

    def starts(self) -> list[float]:
        """When each stage begins, in seconds since the start."""
        begun, starts = 0.0, []
        for stage in self.stages:
            starts.append(begun)
            begun += stage.seconds
        return starts

    def scaled(self, rate: float = 1.0, time: float = 1.0) -> "Profile":
        """The same shape, higher or lower, longer or shorter."""
        if rate == time == 1.0:
            return self
        stages = tuple(
            replace(
                stage,
                rate=stage.rate * rate,
                to_rate=None if stage.to_rate is None else stage.to_rate * rate,
                seconds=stage.seconds * time,
            )
            for stage in self.stages
        )
        faults = tuple(replace(fault, at_s=fault.at_s * time) for fault in self.faults)
        return replace(self, stages=stages, faults=faults)


def names() -> list[str]:
    """Of all profiles that come with the platform."""
    return sorted(file.stem for file in DIRECTORY.glob("*.yaml"))


def read_profile(name: str) -> Profile:
    """The profile `name`, or that of a file of yours. Raises WrongFile."""
    file = Path(name)
    if file.suffix in {".yaml", ".yml"}:
        if not file.is_file():
            raise WrongFile(f"there is no file {name}")
        return parse_profile(file.stem, read_mapping(file), file.name)
    known(name, names(), "PROFILE", "profile")
    file = DIRECTORY / f"{name}.yaml"
    return parse_profile(name, read_mapping(file), file.name)


def parse_profile(name: str, found: Mapping[str, Any], where: str) -> Profile:
    """A profile of what the file `where` says. Raises WrongFile naming the place and the nearest key."""
    if "name" in found:
        raise WrongFile(f"{where}: the file's name is the profile's; take 'name' out")
    found = check_keys({**found, "name": name}, Profile, where)
    mix = found["mix"]
    if not isinstance(mix, dict) or not mix:
        raise WrongFile(f"{where}: mix: journeys with their weights are expected")
    stages = _items(found["stages"], f"{where}: stages")
    made = Profile(
        name=text(found["name"], f"{where}: name"),
        about=text(found["about"], f"{where}: about"),
        stages=tuple(_stage(stage, f"{where}: stages[{i}]") for i, stage in enumerate(stages)),
        mix={
            known(journey, JOURNEYS, f"{where}: mix", "journey"): number(
                weight, f"{where}: mix: {journey}", above=0
            )
            for journey, weight in mix.items()
        },
        seed=int(number(found.get("seed", 1), f"{where}: seed")),
        timeout_s=number(found.get("timeout_s", 10.0), f"{where}: timeout_s", above=0),
        closed_users=int(number(found.get("closed_users", 8), f"{where}: closed_users", least=1)),
        faults=tuple(
            _fault(fault, f"{where}: faults[{i}]")
            for i, fault in enumerate(_items(found.get("faults", []), f"{where}: faults"))
        ),
        finds_knee=_flag(found.get("finds_knee", False), f"{where}: finds_knee"),
    )
    if not made.stages:
        raise WrongFile(f"{where}: stages: at least one is needed")
    if len({stage.name for stage in made.stages}) < len(made.stages):
        raise WrongFile(f"{where}: stages: two have the same name")
    late = [fault for fault in made.faults if fault.at_s >= made.seconds]
    if late:
        raise WrongFile(f"{where}: faults: {late[0].kill} at {late[0].at_s:g} s is after the end")
    return made


def _stage(found: object, where: str) -> Stage:
    keys = check_keys(found, Stage, where)
    arrivals = known(
        keys.get("arrivals", "poisson"),
        [process.value for process in Arrivals],
        f"{where}: arrivals",
        "process",
    )
    to_rate = keys.get("to_rate")
    return Stage(
        name=text(keys["name"], f"{where}: name"),
        rate=number(keys["rate"], f"{where}: rate", least=0),
        seconds=number(keys["seconds"], f"{where}: seconds", above=0),
        arrivals=Arrivals(arrivals),
        to_rate=None if to_rate is None else number(to_rate, f"{where}: to_rate", least=0),
    )


def _fault(found: object, where: str) -> Fault:
    keys = check_keys(found, Fault, where)
    return Fault(
        number(keys["at_s"], f"{where}: at_s", least=0),
        known(keys["kill"], VICTIMS, f"{where}: kill", "process"),
    )


def _items(found: object, where: str) -> Sequence[object]:
    if not isinstance(found, list):
        raise WrongFile(f"{where}: a list is expected")
    return found


def _flag(found: object, where: str) -> bool:
    if not isinstance(found, bool):
        raise WrongFile(f"{where}: true or false is expected, not {found!r}")
    return found
