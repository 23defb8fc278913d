"""Where an address is: the country, from a file that the operator declares (IP_COUNTRY_FILE).

No such table is part of the platform: they change weekly and have licences of their own. `.mmdb` is what MaxMind, DB-IP
and IPinfo give (read by `maxminddb`, mapped and not loaded); `.csv` is for a small table of one's own, a line
`network,country` each. Without a file only ranges that are reserved for documentation have a country, so that a sandbox
can travel.
"""

import csv
from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import pairwise
from pathlib import Path
from typing import Final

import maxminddb

from risk_engine.domain.places import COUNTRIES

CountryOf = Callable[[str], str]
"""The ISO 3166 code of an address; "" for one that is not in the table, or is none."""

# RFC 5737 and 3849. 192.0.2.0/24 is left out: whole examples live there, under customers of any country.
SANDBOX: Final = (("198.51.100.0/24", "US"), ("203.0.113.0/24", "SG"), ("2001:db8::/32", "JP"))
CSV_ROWS_MAX: Final = 200_000  # 100 bytes each in every process; a whole table belongs into an .mmdb
REMEMBERED: Final = 10_000  # addresses; a look-up costs 3 us, and payers come back


class InvalidGeography(ValueError):
    """The file is not such a table; says where."""


def open_geography(file: Path | None) -> CountryOf:
    """The table of a file; without one the sandbox's. Raises OSError or InvalidGeography."""
    if file is None:
        return _remembered(_in_networks(SANDBOX))
    if file.suffix == ".csv":
        return _remembered(_in_networks(_rows_of(file)))
    try:
        reader = maxminddb.open_database(file)
    except (maxminddb.InvalidDatabaseError, ValueError) as error:
        raise InvalidGeography(f"{file.name}: {error}") from None
    return _remembered(_in_database(reader))


def _remembered(country_of: CountryOf) -> CountryOf:
    return lru_cache(maxsize=REMEMBERED)(country_of)


def _in_database(reader: maxminddb.Reader) -> CountryOf:
    def country_of(ip: str) -> str:
        try:
            record = reader.get(ip)
        except (
            ValueError,
            maxminddb.InvalidDatabaseError,
        ):  # no address; IPv6 in a table of IPv4; a damaged page
            return ""
        place = record.get("country") if isinstance(record, dict) else None
        code = place.get("iso_code") if isinstance(place, dict) else place  # IPinfo writes the code itself
        return code if isinstance(code, str) and code in COUNTRIES else ""

    return country_of


def _in_networks(rows: Iterable[tuple[str, str]]) -> CountryOf:
    """A look-up over networks that do not overlap. Raises InvalidGeography."""
    tables: dict[int, list[tuple[int, int, str]]] = {4: [], 6: []}
    for network, country in rows:
        try:
            found: IPv4Network | IPv6Network = ip_network(network)
        except ValueError as error:
            raise InvalidGeography(str(error)) from None
        if country not in COUNTRIES:
            raise InvalidGeography(f"{network}: {country!r} is no ISO 3166 code of a country")
        tables[found.version].append((int(found[0]), int(found[-1]), country))
    for table in tables.values():
        table.sort()
        if any(before[1] >= after[0] for before, after in pairwise(table)):
            raise InvalidGeography("two networks overlap")

    def country_of(ip: str) -> str:
        try:
            address = ip_address(ip)
        except ValueError:
            return ""
        table, value = tables[address.version], int(address)
        at = bisect_right(table, value, key=lambda row: row[0]) - 1
        return table[at][2] if at >= 0 and value <= table[at][1] else ""

    return country_of


def _rows_of(file: Path) -> list[tuple[str, str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.reader(lines) if row]
    if not rows or rows[0] != ["network", "country"]:
        raise InvalidGeography(f"{file.name}: the first line is network,country")
    if len(rows) > CSV_ROWS_MAX + 1:
        raise InvalidGeography(
            f"{file.name}: at most {CSV_ROWS_MAX} networks; a whole table belongs into an .mmdb"
        )
    if wrong := next((n for n, row in enumerate(rows, start=1) if len(row) != 2), None):
        raise InvalidGeography(f"{file.name}:{wrong}: two members, network,country")
    return [(network, country) for network, country in rows[1:]]
