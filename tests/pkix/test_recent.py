"""The bounded memory."""

from __future__ import annotations

from pki.pkix.recent import Recent


def test_it_never_holds_more_than_its_bound() -> None:
    memory: Recent[int, int] = Recent(10)
    for number in range(100):
        memory.put(number, number)
        assert len(memory) <= 10
        assert memory.get(number) == number


def test_the_newest_half_is_always_there() -> None:
    memory: Recent[int, int] = Recent(10)
    for number in range(100):
        memory.put(number, number)
        assert [memory.get(n) for n in range(max(0, number - 4), number + 1)] == list(
            range(max(0, number - 4), number + 1)
        )


def test_what_is_asked_for_stays_and_the_rest_is_forgotten() -> None:
    memory: Recent[str, int] = Recent(10)
    memory.put("asked", 1)
    memory.put("other", 2)
    for number in range(100):
        memory.put(str(number), number)
        assert memory.get("asked") == 1
    assert memory.get("other") is None
