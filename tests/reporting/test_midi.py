"""A MIDI file, read byte by byte as the standard says, holds the notes of the roll."""

import struct

import pytest
import torch

from vae_runner.data.space import Space
from vae_runner.reporting.midi import is_playable, midi, save


def read(content: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """(ticks since the beginning, message) of each event, and the ticks of a quarter note."""
    kind, size, form, tracks, division = struct.unpack(">4sIHHH", content[:14])
    assert (kind, size, form, tracks) == (b"MThd", 6, 0, 1)
    name, length = struct.unpack(">4sI", content[14:22])
    assert (name, length) == (b"MTrk", len(content) - 22)
    events, at, now = [], 22, 0
    while at < len(content):
        wait = 0
        while True:
            wait, more, at = wait * 128 + content[at] % 128, content[at] >= 128, at + 1
            if not more:
                break
        now += wait
        size = 3 + content[at + 2] if content[at] == 0xFF else 3
        events.append((now, content[at : at + size]))
        at += size
    return events, division


def notes(content: bytes) -> list[tuple[float, float, int]]:
    """(beginning, end, key) in quarter notes, in the order of their ends."""
    events, division = read(content)
    sounding, found = {}, []
    for now, message in events:
        if message[0] == 0x90:
            assert message[1] not in sounding
            assert 0 < message[2] < 128
            sounding[message[1]] = now
        elif message[0] == 0x80:
            found.append((sounding.pop(message[1]) / division, now / division, message[1]))
    assert not sounding
    return found


def roll(steps: int, *keys: tuple[int, int]) -> torch.Tensor:
    roll = torch.zeros(steps, 88)
    for step, key in keys:
        roll[step, key] = 1
    return roll


def test_a_key_held_down_is_one_note():
    assert notes(midi(roll(5, (1, 39), (2, 39), (3, 39)))) == [(1, 4, 60)]


def test_a_key_struck_again_after_a_rest_is_two_notes():
    assert notes(midi(roll(5, (0, 0), (2, 0), (4, 0)))) == [(0, 1, 21), (2, 3, 21), (4, 5, 21)]


def test_keys_sound_together():
    assert notes(midi(roll(3, (0, 10), (0, 20), (1, 20), (1, 30)))) == [(0, 1, 31), (0, 2, 41), (1, 2, 51)]


def test_every_note_of_a_random_roll_is_there():
    drawn = (torch.rand(300, 88) < 0.2).float()
    heard = torch.zeros(300, 88)
    for start, end, key in notes(midi(drawn)):
        heard[int(start) : int(end), key - 21] += 1
    assert torch.equal(heard, drawn)


def test_a_rest_of_any_length_is_kept():
    events, division = read(midi(roll(3000, (2999, 5))))
    assert [now / division for now, _ in events] == [0, 2999, 3000, 3000]
    assert events[-1][1] == b"\xff\x2f\x00"


@pytest.mark.parametrize(("tempo", "microseconds"), [(60, 1_000_000), (120, 500_000), (7, 8_571_429)])
def test_the_tempo_is_steps_per_minute(tempo, microseconds):
    (_, message), *_ = read(midi(roll(2, (0, 1)), tempo=tempo))[0]
    assert message[:3] == b"\xff\x51\x03"
    assert int.from_bytes(message[3:], "big") == microseconds


def test_a_probability_above_one_half_is_a_note():
    assert notes(midi(roll(3, (0, 3)) * 0.49 + roll(3, (1, 4)) * 0.51)) == [(1, 2, 25)]


def test_a_file_holds_the_same_bytes(tmp_path):
    path = save(tmp_path / "samples" / "0.mid", roll(4, (1, 1)))
    assert path.read_bytes() == midi(roll(4, (1, 1)))


def test_piano_rolls_can_be_played_and_series_cannot():
    assert is_playable(Space((160, 88), "binary"))
    assert not is_playable(Space((160, 88), "real"))
    assert not is_playable(Space((160,), "categorical"))
    assert not is_playable(Space((88,), "binary"))
