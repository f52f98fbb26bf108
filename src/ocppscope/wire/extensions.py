"""Reads `Sec-WebSocket-Extensions` and holds what was chosen against what was offered (RFC 6455 §9.1, RFC 7692 §7.1).

Text in, `Deflate` and Problems out. In OCPP the station is the client, so `client_*` parameters are the
station's and `server_*` the CSMS's. It may not inflate anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ocppscope.model import Deflate, Problem

DEFLATE = "permessage-deflate"
MAX_EXTENSIONS = 64
"""Extensions of one header that are looked at; no real peer offers more than a few."""

_ITEM = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+')
_PART = re.compile(r'(?:[^";]|"(?:[^"\\]|\\.)*"?)+')
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_BITS = re.compile(r"[89]|1[0-5]")
_FLAGS = frozenset({"server_no_context_takeover", "client_no_context_takeover"})
_WINDOWS = frozenset({"server_max_window_bits", "client_max_window_bits"})


class Extension(NamedTuple):
    """One element of the header: its name, its parameters in order, and the text that it was."""

    name: str
    parameters: tuple[tuple[str, str | None], ...]
    text: str
    malformed: bool = False

    @property
    def values(self) -> dict[str, str | None]:
        """Parameters by name; of a repeated one the first."""
        return dict(reversed(self.parameters))


def parse_extensions(values: Iterable[str]) -> tuple[Extension, ...]:
    """The elements of all `Sec-WebSocket-Extensions` headers of a head together, in order."""
    texts = (text.strip(" \t") for value in values for text in _ITEM.findall(value))
    return tuple(_parse(text) for text in texts if text)[:MAX_EXTENSIONS]


def _parse(text: str) -> Extension:
    name, *rest = [part.strip(" \t") for part in _PART.findall(text)] or [""]
    parameters = tuple(_parse_parameter(part) for part in rest if part)
    bad = not _TOKEN.fullmatch(name) or any(not _well_formed(*parameter) for parameter in parameters)
    return Extension(name, parameters, text, bad or text.count(";") > len(parameters))


def _parse_parameter(part: str) -> tuple[str, str | None]:
    name, equals, value = part.partition("=")
    value = value.strip(" \t")
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    return name.strip(" \t"), value if equals else None


def _well_formed(name: str, value: str | None) -> bool:
    return bool(_TOKEN.fullmatch(name)) and (value is None or bool(_TOKEN.fullmatch(value)))


def judge_offers(offers: Sequence[Extension]) -> list[Problem]:
    """What is wrong with the station's offers."""
    problems = _malformed(offers, "station")
    for number, offer in enumerate(offers, 1):
        if offer.name == DEFLATE:
            problems += _illegal(offer, f"the station's offer {number}", response=False)
    return problems


def _malformed(extensions: Sequence[Extension], who: str) -> list[Problem]:
    count = sum(extension.malformed for extension in extensions)
    text = (
        f"{count} of the {len(extensions)} extensions named by the {who} break the header's grammar (RFC 6455 §9.1)"
    )
    return [Problem("http.extension-malformed", text)] if count else []


def _illegal(extension: Extension, where: str, *, response: bool) -> list[Problem]:
    faults = [fault for parameter in extension.parameters if (fault := _fault(*parameter, response=response))]
    names = [name for name, _ in extension.parameters]
    faults += [f"{name} is repeated" for name in sorted(_FLAGS | _WINDOWS) if names.count(name) > 1]
    return [
        Problem("http.deflate-parameter", f"{where} of {DEFLATE}: {fault} (RFC 7692 §7.1)") for fault in faults[:8]
    ]


def _fault(name: str, value: str | None, *, response: bool) -> str:
    if name in _FLAGS:
        return "" if value is None else f"{name} takes no value"
    if name not in _WINDOWS:
        return "it has a parameter that is not defined"
    if value is None:
        return "" if name.startswith("client") and not response else f"{name} lacks its value"
    return "" if _BITS.fullmatch(value) else f"{name} is not a number from 8 to 15"


def agree(offers: Sequence[Extension] | None, chosen: Sequence[Extension]) -> tuple[Deflate | None, list[Problem]]:
    """What holds after the CSMS chose, and what is wrong with the choice; `offers` is None where none were seen."""
    problems = _malformed(chosen, "CSMS")
    if offers is not None:
        strange = len({c.name for c in chosen} - {o.name for o in offers})
        if strange:
            text = f"the CSMS chose {strange} extension(s) that the station did not offer (RFC 6455 §4.1)"
            problems.append(Problem("http.extension-not-offered", text))
    deflates = [extension for extension in chosen if extension.name == DEFLATE]
    if not deflates:
        return None, problems
    if len(deflates) > 1:
        problems.append(Problem("http.deflate-parameter", f"the CSMS chose {DEFLATE} {len(deflates)} times"))
    problems += _illegal(deflates[0], "the CSMS's choice", response=True)
    problems += _unoffered(deflates[0], [o for o in offers or () if o.name == DEFLATE])
    return _understood(deflates[0]), problems


def _unoffered(chosen: Extension, offers: Sequence[Extension]) -> list[Problem]:
    """The CSMS must fit one of the offers; where it fits none, the first that it breaks is the one to name."""
    breaches = [_breach(chosen.values, offer.values) for offer in offers]
    if not breaches or not all(breaches):
        return []
    return [Problem("http.deflate-not-offered", f"the CSMS's choice of {DEFLATE} fits no offer: {breaches[0]}")]


def _breach(chosen: dict[str, str | None], offer: dict[str, str | None]) -> str:
    """Why `chosen` is no answer to `offer` (RFC 7692 §7.1.1, §7.1.2), "" if it is one."""
    if "server_no_context_takeover" in offer and "server_no_context_takeover" not in chosen:
        return "server_no_context_takeover was asked for and is missing (RFC 7692 §7.1.1.1)"
    if "client_max_window_bits" in chosen and "client_max_window_bits" not in offer:
        return "client_max_window_bits was not offered (RFC 7692 §7.1.2.2)"
    if _bits(chosen.get("server_max_window_bits")) > _bits(offer.get("server_max_window_bits")):
        return "server_max_window_bits is missing or greater than offered (RFC 7692 §7.1.2.1)"
    return ""


def _bits(value: str | None) -> int:
    return int(value) if value is not None and _BITS.fullmatch(value) else 15


def _understood(chosen: Extension) -> Deflate:
    values = chosen.values
    return Deflate(
        station_no_context_takeover="client_no_context_takeover" in values,
        csms_no_context_takeover="server_no_context_takeover" in values,
        station_window_bits=_bits(values.get("client_max_window_bits")),
        csms_window_bits=_bits(values.get("server_max_window_bits")),
    )
