"""TCP conversations as text, for tests: a line a segment, and what a stream made of them, a line an event.

    > S 100            the station's SYN, sequence number 100
    < SA 500           the answer; what is acknowledged is what the other side has sent so far, unless told
    > 101 "abc"        three bytes
    > 104 x5           five bytes, each told by its sequence number, so that copies of them agree
    < 501 a109         an ACK of its own choice; `a-` for a segment without ACK
    > 109 x5 -95       five bytes captured, another 95 cut off by the snap length
    > 204 x5 @50       milliseconds since the beginning (one microsecond after the line before, unless told)
    > R 204            RST;  `> F 204` FIN;  `end` the end of the capture;  `expire @60` time goes on

Flags are letters of S, A, F, R; ACK is set unless `a-` or a bare `S` says otherwise.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from ocppscope.model import Problem
from ocppscope.wire.link import ACK, FIN, RST, SYN
from ocppscope.wire.tcp import Assembler, Segment

FLAGS = {"S": SYN, "A": ACK, "F": FIN, "R": RST}
ALPHABET = b"abcdefghijklmnopqrstuvwxyz"
OPEN = "> S 99\n< SA 499\n> 100\n"
"""A connection whose first bytes are 100 (station) and 500 (CSMS)."""


def octets(seq: int, count: int) -> bytes:
    """`count` bytes that tell their sequence numbers."""
    start = seq % 26
    return (ALPHABET * (count // 26 + 2))[start : start + count]


class Recorder:
    """A stream that writes down what it is given; runs of bytes of one direction become one."""

    def __init__(self) -> None:
        self.events: list[tuple[int, str, bytes | int | str]] = []
        self.times: list[int] = []
        self.packets: list[int] = []

    def data(self, direction: int, data: bytes, time_ns: int, packet: int) -> None:
        assert data, "no empty deliveries"
        self.packets.append(packet)
        if self.events and self.events[-1][:2] == (direction, "data"):
            earlier = self.events.pop()[2]
            assert isinstance(earlier, bytes)
            data = earlier + bytes(data)
            self.times.pop()
        self._add(direction, "data", bytes(data), time_ns)

    def gap(self, direction: int, lost: int, time_ns: int, why: str) -> None:
        assert lost > 0
        assert why
        self._add(direction, "gap", lost, time_ns)

    def problem(self, direction: int, problem: Problem, time_ns: int) -> None:
        self._add(direction, "problem", problem.code, time_ns)

    def closed(self, direction: int, how: str, time_ns: int, packet: int) -> None:
        self._add(direction, how, "", time_ns)

    def _add(self, direction: int, what: str, value: bytes | int | str, time_ns: int) -> None:
        self.events.append((direction, what, value))
        self.times.append(time_ns)

    @property
    def lines(self) -> list[str]:
        return [line(*event) for event in self.events]


def line(direction: int, what: str, value: bytes | int | str) -> str:
    arrow = "><"[direction]
    if isinstance(value, bytes):
        return f"{arrow} {value.decode('latin-1')}"
    return f"{arrow} {what} {value}".rstrip()


def parse(script: str) -> Iterable[Segment | str | int]:
    """The segments of a conversation; "end" and the nanoseconds of `expire` lines between them."""
    following = [0, 0]  # what each side has sent so far
    time_ns = 0
    number = 0
    for text in script.splitlines():
        words = shlex.split(text, posix=False)
        if not words:
            continue
        time_ns += 1000
        for word in words:
            if word.startswith("@"):
                time_ns = int(word[1:]) * 1_000_000
        if words[0] == "end":
            yield "end"
        elif words[0] == "expire":
            yield time_ns
        else:
            number += 1
            yield _segment(words, following, time_ns, number)


def _segment(words: list[str], following: list[int], time_ns: int, number: int) -> Segment:
    direction = "><".index(words[0])
    seq, ack, flags, data, missing = following[direction], None, 0, b"", 0
    for word in words[1:]:
        if re.fullmatch("[SAFR]+", word):
            for letter in word:
                flags |= FLAGS[letter]
        elif re.fullmatch(r"\d+", word):
            seq = int(word)
        elif word[0] == "a":
            ack = -1 if word == "a-" else int(word[1:])
        elif word[0] == "x":
            data = octets(seq + bool(flags & SYN), int(word[1:]))
        elif word[0] == '"':
            data = word[1:-1].encode()
        elif word[0] == "-":
            missing = int(word[1:])
    if ack == -1 or flags == SYN:
        ack = 0
    else:
        flags |= ACK
        ack = following[1 - direction] if ack is None else ack
    sent = seq + len(data) + missing + bool(flags & (SYN | FIN))
    if flags & SYN or (sent - following[direction]) & 0xFFFFFFFF < 1 << 31 or not following[direction]:
        following[direction] = sent & 0xFFFFFFFF
    return Segment(direction, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, flags, data, missing, time_ns, number)


def converse(script: str) -> Recorder:
    """What an assembler makes of a conversation."""
    recorder = Recorder()
    play(Assembler(recorder), script)
    return recorder


def play(assembler: Assembler, script: str) -> None:
    time_ns = 0
    for step in parse(script):
        if isinstance(step, Segment):
            time_ns = step.time_ns
            assembler.add(step)
        elif isinstance(step, int):
            time_ns = step
            assembler.expire(step)
        else:
            assembler.finish(time_ns)
