"""Makes captures of known content: `python -m bench.generate plain 200k`.

The same variant, size and seed give the same bytes. Beside each capture stands a JSON file with the truth: how many
messages of which kind, how many connections and packets, and a checksum over all texts. Files are made once and kept
in `bench/data/`; a change of this code makes them again.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import sys
import zlib
from collections import Counter
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.noise import Noise
from bench.packets import Capture
from bench.session import CLEAN, MS, PING, PONG, Line, Place, Session
from bench.stations import CSMS, RESULT, STATION, Exchange, Station

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parent / "data"
START_NS = 1_795_000_000 * 1_000_000_000
SECOND = 1000 * MS
SEED = 16
CSMS_ADDRESSES = ("10.0.0.1", "fd00:c5::1")
CSMS_PORT = 9000
LOSSY = Line(split=0.02, swap=0.5, retransmit=0.01, double=0.01)


class Variant(NamedTuple):
    """One kind of capture."""

    about: str
    deflate: bool = False
    line: Line = CLEAN
    unrelated: float = 0.0  # share of packets that have nothing to do with OCPP


VARIANTS = {
    "plain": Variant("OCPP only, in order"),
    "deflate": Variant("permessage-deflate with context takeover", deflate=True),
    "lossy": Variant("segments swapped, retransmitted and captured twice, about 1 % each", line=LOSSY),
    "mixed70": Variant("70 % of the packets unrelated", unrelated=0.70),
    "mixed95": Variant("95 % of the packets unrelated", unrelated=0.95),
    "holes": Variant("the capture misses 0.1 % of the segments", line=Line(missing=0.001)),
}


def number(text: str) -> int:
    """`20k` is 20,000, `1M` a million."""
    factor = {"k": 1000, "m": 1_000_000}.get(text[-1].lower(), 1)
    return int(text[:-1] if factor > 1 else text) * factor


def label(messages: int) -> str:
    """The other way round."""
    for factor, letter in ((1_000_000, "M"), (1000, "k")):
        if messages % factor == 0:
            return f"{messages // factor}{letter}"
    return str(messages)


class _Charger:
    """A station with its present connection."""

    def __init__(self, index: int, world: _World) -> None:
        self.station = Station(index, "2.0.1" if index % 5 >= 3 else "1.6", world.rng)
        self.script = self.station.script()
        self.index = index
        self.world = world
        self.port = world.rng.randrange(32768, 60000)
        self.session: Session | None = None

    def step(self, now: int) -> int:
        """Connect, or say the next thing; gives the time of the next step."""
        self.station.now_ns = now
        if self.session is None:
            return self._connect(now) + self.world.rng.randrange(30, 400) * MS
        luck = self.world.rng.random()
        if luck < 0.0006:
            self.session.close(now, by=int(luck < 0.0003), abrupt=luck < 0.0001)
            self.session = None
            return now + self.world.rng.randrange(5, 60) * SECOND
        if luck > 0.99:
            return self._ping(now)
        return self._talk(now, crossing=0.98 < luck < 0.99)

    def _connect(self, now: int) -> int:
        six = self.index % 10 == 9
        high, low = divmod(self.index, 250)
        address = f"fd00:17::{self.index + 1:x}" if six else f"10.1.{high}.{low + 1}"
        self.port = self.port + 1 if self.port < 60999 else 32768
        bits = (12, 15)[self.index % 2] if self.world.variant.deflate else 0
        place = Place(address, CSMS_ADDRESSES[six], self.port, CSMS_PORT)
        world = self.world
        self.session = Session(place, world.rng, world.emit, line=world.variant.line, window_bits=bits)
        password = f"{self.index:020x}" if self.index % 2 else ""
        world.connections += 1
        return self.session.handshake(now, self.station.identity, f"ocpp{self.station.version}", password)

    def _ping(self, now: int) -> int:
        assert self.session
        self.session.control(STATION, PING, b"", now)
        self.session.control(CSMS, PONG, b"", now + MS)
        self.session.settle(now + SECOND)
        return now + SECOND

    def _talk(self, now: int, *, crossing: bool) -> int:
        exchange = next(self.script)
        if crossing and exchange.side == STATION and self.world.left() >= 4:
            return self._cross(now, exchange)
        call, answer = self._texts(exchange)
        self._say(exchange.side, call, now)
        at = now + self._think(exchange.side)
        self._say(1 - exchange.side, answer, at)
        return self._pause(at, exchange.pause)

    def _cross(self, now: int, exchange: Exchange) -> int:
        """The CSMS has a question of its own before it answers; its two messages may follow each other closely."""
        asked = Exchange(CSMS, "TriggerMessage", '{"requestedMessage":"Heartbeat"}', '{"status":"Accepted"}')
        call, answer = self._texts(exchange)
        other_call, other_answer = self._texts(asked)
        self._say(STATION, call, now)
        at = now + self._think(STATION)
        if self.world.rng.random() < 0.5:
            self._say(CSMS, other_call, at, answer)
        else:
            self._say(CSMS, other_call, at)
            self._say(CSMS, answer, at + 2 * MS)
        at += self._think(CSMS)
        self._say(STATION, other_answer, at)
        return self._pause(at, exchange.pause)

    def _texts(self, exchange: Exchange) -> tuple[str, str]:
        digits = f"{self.world.rng.getrandbits(128):032x}"
        ident = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
        call = f'[2,"{ident}","{exchange.action}",{exchange.request}]'
        answer = f'[{exchange.kind},"{ident}",{exchange.reply}]'
        if exchange.side == STATION:
            return self._style(call), answer
        return call, self._style(answer)

    def _style(self, text: str) -> str:
        if not self.station.spaced:
            return text
        return text.replace(',"', ', "').replace('":', '": ').replace("},{", "}, {").replace(",{", ", {")

    def _say(self, side: int, text: str, at: int, *more: str) -> None:
        assert self.session
        texts = (text, *more)
        self.world.count(side, texts)
        if self.session.say(side, texts, at):
            self.world.hit += len(texts)

    def _think(self, caller: int) -> int:
        """How long the callee takes, the way through the network included (ns)."""
        rng = self.world.rng
        slow = rng.random()
        base = 3.0 if caller == STATION else 45.0
        return int((base + rng.expovariate(1 / 25) + (slow > 0.995) * 4000 * rng.random()) * MS)

    def _pause(self, at: int, seconds: float) -> int:
        assert self.session
        after = at + int((seconds + 0.001) * SECOND)
        self.session.settle(after)
        return after


class _World:
    """All stations, in the order of time, until enough is said."""

    def __init__(self, variant: Variant, messages: int, stations: int, seed: int) -> None:
        self.rng = Random(seed)
        self.variant = variant
        self.messages = messages
        self.connections = 0
        self.hit = 0
        self.kinds: Counter[str] = Counter()
        self.sides = [0, 0]
        self.said = 0
        self.crc_sum = 0
        self._waiting: list[tuple[int, int, bytes]] = []
        self._ties = count()
        self.chargers = [_Charger(n, self) for n in range(stations)]

    def left(self) -> int:
        return self.messages - self.said

    def emit(self, at: int, frame: bytes) -> None:
        heapq.heappush(self._waiting, (at, next(self._ties), frame))

    def count(self, side: int, texts: tuple[str, ...]) -> None:
        for text in texts:
            self.kinds[text[1]] += 1
            self.crc_sum += zlib.crc32(text.encode())
        self.sides[side] += len(texts)
        self.said += len(texts)

    def packets(self) -> Iterator[tuple[int, bytes]]:
        """`(time_ns, frame)` in the order of time."""
        starts = [(START_NS + self.rng.randrange(20_000) * MS, n) for n in range(len(self.chargers))]
        heapq.heapify(starts)
        now = START_NS
        while self.left() > 0:
            now, index = starts[0]
            yield from self._until(now)
            heapq.heapreplace(starts, (self.chargers[index].step(now), index))
        for charger in self.chargers[::2]:  # the others are still open when the capture ends
            if charger.session:
                charger.session.close(now + 10 * SECOND, by=STATION, abrupt=False)
        yield from self._until(now + 3600 * SECOND)

    def _until(self, now: int) -> Iterator[tuple[int, bytes]]:
        waiting = self._waiting
        while waiting and waiting[0][0] <= now:
            at, _, frame = heapq.heappop(waiting)
            yield at, frame


def _write(world: _World, capture: Capture, unrelated: float) -> None:
    if not unrelated:
        for at, frame in world.packets():
            capture.write(at, frame)
        return
    noise = Noise(Random(SEED + 1)).packets()
    share, owed, before = unrelated / (1 - unrelated), 0.0, START_NS
    for at, frame in world.packets():
        owed += share
        between, owed = int(owed), owed % 1
        step = max(at - before, 0) // (between + 1)
        for n in range(1, between + 1):
            capture.write(before + n * step, next(noise))
        capture.write(at, frame)
        before = at


def generate(path: Path, variant: str, messages: int, *, stations: int = 100, seed: int = SEED) -> dict[str, Any]:
    """Write one capture to `path`; gives the truth about it."""
    if messages % 2:
        raise ValueError("the number of messages must be even: every CALL is answered")
    world = _World(VARIANTS[variant], messages, stations, seed)
    capture = Capture(path)
    _write(world, capture, VARIANTS[variant].unrelated)
    capture.close()
    return {
        "variant": variant,
        "about": VARIANTS[variant].about,
        "messages": world.said,
        "messages_not_hit": world.said - world.hit,  # of which no segment is missing in the capture
        "from_station": world.sides[STATION],
        "from_csms": world.sides[CSMS],
        "calls": world.kinds["2"],
        "results": world.kinds[str(RESULT)],
        "errors": world.kinds["4"],
        "crc32_sum": world.crc_sum,
        "connections": world.connections,
        "stations": stations,
        "packets": capture.packets,
        "bytes": path.stat().st_size,
        "seed": seed,
    }


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for name in ("packets", "noise", "stations", "session", "generate"):
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return digest.hexdigest()[:16]


def cached(variant: str, messages: int) -> tuple[Path, dict[str, Any]]:
    """The capture in `bench/data/` and the truth about it; made now if it is not there."""
    DATA.mkdir(exist_ok=True)
    path = DATA / f"{variant}-{label(messages)}.pcap"
    truth_path = path.with_suffix(".truth.json")
    fingerprint = _fingerprint()
    if path.exists() and truth_path.exists():
        truth: dict[str, Any] = json.loads(truth_path.read_text())
        if truth["generator"] == fingerprint and truth["bytes"] == path.stat().st_size:
            return path, truth
    part = path.with_suffix(".part")
    truth = generate(part, variant, messages) | {"generator": fingerprint}
    part.rename(path)
    truth_path.write_text(json.dumps(truth, indent=1) + "\n")
    return path, truth


def main() -> None:
    """`VARIANT SIZE` pairs from the command line."""
    words = sys.argv[1:]
    if not words or len(words) % 2 or not set(words[::2]) <= set(VARIANTS):
        sys.exit(
            f"usage: python -m bench.generate VARIANT SIZE …   (variants: {', '.join(VARIANTS)}; sizes: 20k, 1M)"
        )
    for variant, size in zip(words[::2], words[1::2], strict=True):
        path, truth = cached(variant, number(size))
        print(path, json.dumps(truth))


if __name__ == "__main__":
    main()
