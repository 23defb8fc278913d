"""Settings files that forgive no typo: every key is known, has its type, and a wrong one is named with the nearest."""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml

T = TypeVar("T")


class WrongFile(ValueError):
    """A settings file says something that nobody understands; the text is for whoever wrote it."""


def read_mapping(file: Path) -> Mapping[str, Any]:
    """The file's one mapping. Raises WrongFile when it is none, and for a key that is there twice."""
    try:
        found = yaml.load(file.read_text(encoding="utf-8"), Loader=_NoKeyTwice)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise WrongFile(f"{file.name}: {error}") from error
    if not isinstance(found, dict):
        raise WrongFile(f"{file.name}: a mapping of keys to values is expected")
    return found


class _NoKeyTwice(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise WrongFile(f"line {node.start_mark.line + 1}: {sorted(twice)[0]!r} is there twice")
        return super().construct_mapping(node, deep)


def known(name: object, names: Collection[str], where: str, what: str) -> str:
    """`name` if it is one of `names`. Raises WrongFile with the nearest one."""
    if name in names and isinstance(name, str):
        return name
    near = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(names))}"
    raise WrongFile(f"{where}: unknown {what} {name!r}{hint}")


def number(value: object, where: str, *, above: float | None = None, least: float | None = None) -> float:
    """`value` as a finite number within its bounds. Raises WrongFile."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 1e9:
        raise WrongFile(f"{where}: {value!r} is not a number")
    if above is not None and value <= above:
        raise WrongFile(f"{where}: {value} must be above {above:g}")
    if least is not None and value < least:
        raise WrongFile(f"{where}: {value} must be at least {least:g}")
    return float(value)


def text(value: object, where: str) -> str:
    """`value` as a text that is not empty. Raises WrongFile."""
    if not isinstance(value, str) or not value.strip():
        raise WrongFile(f"{where}: {value!r} is not a text")
    return value.strip()


def check_keys(found: object, kind: type, where: str) -> Mapping[str, Any]:
    """`found` as a mapping whose keys are fields of the dataclass `kind`, none missing that has no default."""
    if not isinstance(found, dict):
        raise WrongFile(f"{where}: a mapping is expected, not {found!r}")
    names = {field.name for field in fields(kind)}
    for name in found:
        known(name, names, where, "key")
    missing = [
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING and field.name not in found
    ]
    if missing:
        raise WrongFile(f"{where}: {missing[0]!r} is missing")
    return found
