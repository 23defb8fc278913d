"""The journal is a judge: it forgets nothing that was answered, and it never guesses."""

from pathlib import Path

import pytest

from payment_gateway.clients.simulators.journal import Journal, JournalUnusable


def written(path: Path, *names: str) -> None:
    journal = Journal(path)
    assert list(journal.replay()) is not None
    for name in names:
        journal.append({"key": name})
    journal.close()


def keys(path: Path) -> list[str]:
    journal = Journal(path)
    found = [line["key"] for line in journal.replay()]
    journal.close()
    return found


def test_lines_are_there_again_in_order(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "card_sim.jsonl"
    written(path, "a", "b")
    written(path, "c")
    assert keys(path) == ["a", "b", "c"]


def test_a_last_line_that_a_crash_cut_off_is_dropped_and_its_number_used_again(tmp_path: Path) -> None:
    path = tmp_path / "card_sim.jsonl"
    written(path, "a", "b")
    path.write_bytes(path.read_bytes() + b'{"seq":3,"key":"cut')
    written(path, "c")
    assert keys(path) == ["a", "b", "c"]
    assert path.read_bytes().splitlines()[-1] == b'{"seq":3,"key":"c"}'


@pytest.mark.parametrize("damage", [b"not json\n", b'{"seq":9,"key":"x"}\n'])
def test_damage_anywhere_else_stops_the_start(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "card_sim.jsonl"
    written(path, "a")
    path.write_bytes(path.read_bytes() + damage + b'{"seq":3,"key":"c"}\n')
    with pytest.raises(JournalUnusable):
        keys(path)


def test_a_second_writer_is_turned_away(tmp_path: Path) -> None:
    path = tmp_path / "card_sim.jsonl"
    first = Journal(path)
    with pytest.raises(JournalUnusable, match="another process"):
        Journal(path)
    first.close()
    Journal(path).close()


def test_a_line_that_finds_no_room_is_refused_and_not_counted() -> None:
    journal = Journal(Path("/dev/full"))
    with pytest.raises(JournalUnusable):
        journal.append({"key": "a"})
    assert journal.head == 0
    journal.close()


def test_reading_gives_the_raw_lines_behind_a_number(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "card_sim.jsonl")
    for number in range(5):
        journal.append({"key": str(number)})
    assert journal.read(1, 2) == [b'{"seq":2,"key":"1"}', b'{"seq":3,"key":"2"}']
    assert len(journal.read(0, 100)) == 5
    assert journal.read(5, 10) == []
    journal.close()
