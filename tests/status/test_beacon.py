"""The counter of a host: seen at once, never lost, found again when its file was replaced."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pki.beacon import Beacon
from pki.errors import Unavailable
from tests.store import processes

COUNT = """
import sys
from pathlib import Path
from pki.beacon import Beacon
beacon = Beacon(Path(sys.argv[1]))
for _ in range(500):
    beacon.count_up()
"""


def test_everybody_sees_a_count_at_once(tmp_path: Path) -> None:
    one, other = Beacon(tmp_path / "run" / "changes"), Beacon(tmp_path / "run" / "changes")
    assert (one.value(), other.value()) == (0, 0)
    one.count_up()
    assert (one.value(), other.value()) == (1, 1)
    other.count_up()
    assert (one.value(), other.value()) == (2, 2)
    assert Beacon(tmp_path / "run" / "changes").value() == 2


def test_no_count_of_processes_and_threads_at_once_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "changes"
    beacon = Beacon(file)
    running = [processes.start(COUNT, str(file)) for _ in range(3)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: beacon.count_up(), range(1000)))
    assert [process.communicate(timeout=60)[1] for process in running] == [""] * 3
    assert beacon.value() == 2500


def test_a_file_that_was_replaced_is_found_by_the_next_look_and_count(tmp_path: Path) -> None:
    file = tmp_path / "changes"
    looks, counts, other = Beacon(file), Beacon(file), Beacon(file)
    counts.count_up()
    assert (looks.value(), counts.value()) == (1, 1)
    file.unlink()
    other.count_up()
    assert looks.look() == looks.value() == 1
    counts.count_up()
    assert (looks.value(), counts.value(), other.value()) == (2, 2, 2)


def test_a_place_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    beacon = Beacon(tmp_path / "file" / "changes")
    for use in (beacon.value, beacon.look, beacon.count_up):
        with pytest.raises(Unavailable) as refused:
            use()
        assert refused.value.code == "beacon_unavailable"


def test_what_cannot_be_announced_is_told_and_heard_by_whoever_mapped_the_file(
    tmp_path: Path,
) -> None:
    place = tmp_path / "run"
    one, other, late = (Beacon(place / "changes") for _ in range(3))
    assert (one.value(), other.value()) == (0, 0)
    place.rename(tmp_path / "elsewhere")
    place.touch()
    failures: list[int] = []
    one.listen(lambda: failures.append(1))
    one.announce()
    late.announce()
    assert (one.value(), other.value(), failures) == (1, 1, [1])
