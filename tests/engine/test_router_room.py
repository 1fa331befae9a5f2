from __future__ import annotations

from cloudops.engine.router_room import Room


def test_bodies_are_kept_while_there_is_room() -> None:
    room = Room(100, each=60)
    with room.keep(60) as first, room.keep(41) as second, room.keep(40) as third:
        assert (first, second, third, room.free) == (True, False, True, 0)
        with room.keep(0) as empty:
            assert empty
    assert room.free == 100


def test_bodies_that_are_too_large_or_of_unknown_size_are_not_kept() -> None:
    room = Room(100, each=60)
    for size in (61, None):
        with room.keep(size) as kept:
            assert (kept, room.free) == (False, 100)


def test_small_bodies_are_kept_though_there_is_no_room() -> None:
    room = Room(100, each=60, small=10)
    with room.keep(60), room.keep(40), room.keep(10) as small, room.keep(11) as larger:
        assert (small, larger, room.free) == (True, False, 0)
    assert room.free == 100


def test_room_is_given_back_when_a_request_fails() -> None:
    room = Room(100, each=60)
    try:
        with room.keep(60):
            raise ConnectionResetError
    except ConnectionResetError:
        pass
    assert room.free == 100
