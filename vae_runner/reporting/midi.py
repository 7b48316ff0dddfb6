"""Piano rolls as Standard MIDI files, format 0, as of MIDI 1.0 (1996)."""

import itertools
import struct
from pathlib import Path

from vae_runner.data.space import Space
from vae_runner.reporting.arrays import Values, as_array
from vae_runner.run_directory import write_bytes

KEYS, LOWEST = 88, 21  # of a piano, and the number of its lowest A
TICKS = 96  # of a step
VELOCITY = 80
ON, OFF = 0x90, 0x80


def is_playable(space: Space) -> bool:
    """Whether the examples are piano rolls."""
    return space.support == "binary" and space.shape[1:] == (KEYS,)


def midi(roll: Values, *, tempo: float = 120) -> bytes:
    """A roll (T, keys), a key being down where it is above 1/2, as the bytes of a MIDI file.

    tempo: steps per minute, above 3, each a quarter note. A key that is down in consecutive steps is one long note.
    """
    array = as_array(roll)
    down = [set(), *({LOWEST + int(key) for key in (step > 0.5).nonzero()[0]} for step in array), set()]
    microseconds = round(60e6 / tempo)  # of a quarter note, in three bytes
    track = [_event(0, b"\xff\x51\x03" + microseconds.to_bytes(3, "big"))]
    last = 0
    for step, (before, now) in enumerate(itertools.pairwise(down)):
        # ends come first, so that no note is cut off by the end of one before it
        for status, keys in ((OFF, before - now), (ON, now - before)):
            for key in sorted(keys):
                track.append(_event((step - last) * TICKS, bytes((status, key, VELOCITY))))
                last = step
    track.append(_event((len(array) - last) * TICKS, b"\xff\x2f\x00"))
    body = b"".join(track)
    return struct.pack(">4sIHHH4sI", b"MThd", 6, 0, 1, TICKS, b"MTrk", len(body)) + body


def save(path: Path, roll: Values, *, tempo: float = 120) -> Path:
    """Writes a MIDI file that appears whole or not at all, and returns where it is."""
    write_bytes(path, midi(roll, tempo=tempo))
    return path


def _event(wait: int, message: bytes) -> bytes:
    """A message after so many ticks, which are written seven bits at a time, the highest first."""
    groups = [wait & 0x7F]
    while wait := wait >> 7:
        groups.append(wait & 0x7F | 0x80)
    return bytes(reversed(groups)) + message
