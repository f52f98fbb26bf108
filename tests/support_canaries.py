"""Something unique in each text of a schema that must be redacted, and the search for what survived."""

from __future__ import annotations

import base64
import json
import random

from ocppscope.redaction.fields import Field, decided
from support_payloads import Leaf, Subject, fill

STAYING = {Field.STAYS, Field.SCAN, Field.MEASURED, Field.TIME}


class Canaries:
    """Gives each text of a schema a value of a plausible shape, and remembers what must not be seen again."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.count = 0
        self.planted: list[str] = []

    def unique(self, size: int, alphabet: str = "ABCDEFGHJKLMNPQRSTUVWXYZ") -> str:
        self.count += 1
        rng = random.Random(f"{self.seed} {self.count}")
        return "".join(rng.choice(alphabet) for _ in range(size))

    def plant(self, text: str) -> str:
        self.planted.append(text)
        return text

    def text(self, leaf: Leaf) -> str:
        if leaf.schema.get("format") == "date-time":
            return "2026-01-02T03:04:05Z"
        field = decided(leaf.owner, leaf.name)
        assert field is not None
        made = self.of(field, leaf)
        limit = leaf.schema.get("maxLength", len(made))
        if len(made) > limit:
            made = self.plant(self.unique(limit))
        return made

    def of(self, field: Field, leaf: Leaf) -> str:
        if field in STAYING:
            return leaf.name[: leaf.schema.get("maxLength", 99)]
        if field is Field.SETTING:
            return "300"  # what it is, its key says: see below
        if field is Field.TOKEN:
            return self.plant(self.unique(14, "0123456789ABCDEF"))
        if field is Field.SIM:
            return self.plant("89" + self.unique(17, "0123456789"))
        if field is Field.URL:
            host, user, word, path, token = (self.plant(self.unique(9)) for _ in range(5))
            return f"ftp://{user}:{word}@{host}.de:21/up/{path}.zip?sig={token}"
        if field is Field.FILE:
            return f"{self.plant(self.unique(8))}.tar.gz"
        if field is Field.NETWORK:
            return f"{self.plant(self.unique(9))}.net"
        if field is Field.CERTIFICATE:
            body = base64.b64encode(self.unique(240).encode()).decode()
            self.plant(body[10:40])
            return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
        if field in (Field.FREE, Field.DATA):
            return f"sim {self.plant('89' + self.unique(17, '0123456789'))}"
        return self.plant(f"{self.unique(3)}-{self.unique(6, 'abcdefgh')}{self.unique(3, '0123456789')}")


def canaries(subject: Subject) -> tuple[str, list[str]]:
    found = Canaries(str(subject))
    payload = fill(subject, found.text, number=73_519)
    return json.dumps(payload), found.planted


def survivors(text: bytes, planted: list[str]) -> list[str]:
    low = text.decode("utf-8", "surrogateescape").lower()
    return [one for one in planted if one.lower() in low]
