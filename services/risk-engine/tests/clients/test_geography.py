"""Where an address is, by the tables that people have."""

from pathlib import Path

import pytest

from risk_engine.clients.geography import InvalidGeography, open_geography


def a_table(directory: Path, *lines: str) -> Path:
    file = directory / "countries.csv"
    file.write_text("\n".join(("network,country", *lines)) + "\n", encoding="utf-8")
    return file


def test_a_sandbox_can_travel_without_a_file() -> None:
    country_of = open_geography(None)
    assert [country_of(ip) for ip in ("198.51.100.7", "203.0.113.255", "2001:db8::7")] == ["US", "SG", "JP"]
    assert [country_of(ip) for ip in ("192.0.2.1", "203.0.114.0", "2001:db9::", "a word", "")] == [""] * 5


def test_a_csv_says_networks_of_both_kinds(tmp_path: Path) -> None:
    file = a_table(tmp_path, "192.0.2.128/25,FR", "192.0.2.0/25,DE", "2001:db8:1::/48,BR")
    country_of = open_geography(file)
    assert [country_of(ip) for ip in ("192.0.2.0", "192.0.2.127", "192.0.2.128", "192.0.2.255")] == [
        "DE",
        "DE",
        "FR",
        "FR",
    ]
    assert [country_of(ip) for ip in ("192.0.1.255", "192.0.3.0", "2001:db8:1:ffff::", "2001:db8:2::")] == [
        "",
        "",
        "BR",
        "",
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("192.0.2.1/24,DE", "host bits"),
        ("192.0.2.0/24,Germany", "no ISO 3166 code"),
        ("192.0.2.0/24,DE,Berlin", "two members"),
        ("198.51.100.0/25,DE\n198.51.100.64/26,FR", "overlap"),
    ],
)
def test_a_csv_that_is_wrong_is_refused_with_the_reason(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(InvalidGeography, match=why):
        open_geography(a_table(tmp_path, line))


def test_a_file_without_its_first_line_and_a_broken_mmdb_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "countries.csv"
    file.write_text("192.0.2.0/24,DE\n", encoding="utf-8")
    with pytest.raises(InvalidGeography, match="first line"):
        open_geography(file)
    broken = tmp_path / "countries.mmdb"
    broken.write_bytes(b"not a database")
    with pytest.raises(InvalidGeography, match=r"countries\.mmdb"):
        open_geography(broken)
    with pytest.raises(FileNotFoundError):
        open_geography(tmp_path / "absent.mmdb")


def mmdb_of_one_network(country: str) -> bytes:
    """A database in which every address whose first bit is 0 is in `country`, and no other: one node of 24-bit records
    (https://maxmind.github.io/MaxMind-DB/)."""

    def text(value: str) -> bytes:
        return bytes([0b010_00000 | len(value)]) + value.encode()

    def number(kind: int, value: int) -> bytes:
        return bytes([kind << 5 | 1, value])

    record = b"\xe1" + text("country") + b"\xe1" + text("iso_code") + text(country)
    found, nothing = (1 + 16).to_bytes(3, "big"), (1).to_bytes(3, "big")
    metadata = b"\xe9" + b"".join(
        (
            text("node_count") + number(6, 1),
            text("record_size") + number(5, 24),
            text("ip_version") + number(5, 4),
            text("database_type") + text("Test-Country"),
            text("binary_format_major_version") + number(5, 2),
            text("binary_format_minor_version") + number(5, 0),
            text("build_epoch") + b"\x01\x02\x01",
            text("languages") + b"\x00\x04",
            text("description") + b"\xe0",
        )
    )
    return found + nothing + bytes(16) + record + b"\xab\xcd\xefMaxMind.com" + metadata


def test_an_mmdb_says_the_country_of_an_address(tmp_path: Path) -> None:
    file = tmp_path / "countries.mmdb"
    file.write_bytes(mmdb_of_one_network("DE"))
    country_of = open_geography(file)
    assert [country_of(ip) for ip in ("1.2.3.4", "200.2.3.4", "2001:db8::1", "a word")] == ["DE", "", "", ""]
    file.write_bytes(mmdb_of_one_network("ZZ"))
    assert open_geography(file)("1.2.3.4") == ""
