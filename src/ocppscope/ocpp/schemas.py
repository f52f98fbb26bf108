"""Payload validation for OCPP 1.6 (with the security actions), 2.0.1 and 2.1.

The schemas come out of the installed `ocpp` package as data files; the package itself is never imported. Each
validator is built when it is first asked for. A payload is tried with a compiled acceptor (`typed`), and only what
that declines is read exactly (`conformance`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from ocppscope.model import Problem, Version
from ocppscope.ocpp import overlay
from ocppscope.ocpp.conformance import Checker
from ocppscope.ocpp.jsontext import read
from ocppscope.ocpp.typed import Acceptors
from ocppscope.ocpp.versions import ACTIONS, SEND_ACTIONS

_FOLDERS = {Version.V16: "v16", Version.V201: "v201", Version.V21: "v21"}


class Validator:
    """Checks the payloads of one action and direction in one version."""

    def __init__(self, version: Version, name: str) -> None:
        self.version = version
        self.name = name

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The schema with its tolerated deviations."""
        return overlay.apply(self.version, self.name, load(self.version, self.name))

    @cached_property
    def acceptors(self) -> Acceptors:
        """What accepts payloads and messages that certainly have no problem at all.

        Where one does not, that says only that `problems`, and the codec's `decode`, must look.
        """
        return Acceptors(self.schema)

    @cached_property
    def _checker(self) -> Checker:
        return Checker(self.schema)

    def problems(self, payload: bytes) -> tuple[Problem, ...]:
        """All `schema.*` problems of a payload, with JSON pointers into it.

        A null payload counts as an empty object. What is no JSON object at all, and how the JSON is written, is
        for the codec to say and not repeated here.
        """
        value = read(payload)
        if value is None:
            value = {}
        return self._checker.problems(value) if isinstance(value, dict) else ()


@cache
def validator(version: Version, action: str, response: bool = False) -> Validator | None:
    """The validator of an action's request (or SEND) or response payloads.

    None if the version is not covered, does not know the action, or the action has no response.
    """
    if action not in ACTIONS.get(version, ()):
        return None
    one_way = action in SEND_ACTIONS.get(version, ())
    if one_way:
        return None if response else Validator(version, action)
    if response:
        return Validator(version, f"{action}Response")
    return Validator(version, action if version is Version.V16 else f"{action}Request")


_FIRST = (
    "BootNotification", "Heartbeat", "StatusNotification", "Authorize", "StartTransaction", "StopTransaction",
    "MeterValues", "TransactionEvent",
)  # fmt: skip


def prepare() -> None:
    """Compiles what the first messages of most sessions need: some 100 ms that a live session has before them."""
    for version in _FOLDERS:
        for action in _FIRST:
            asked, answered = validator(version, action), validator(version, action, response=True)
            if asked is not None and answered is not None:
                _ = asked.acceptors.call, answered.acceptors.result


@cache
def directory(version: Version) -> Path:
    """Where the schema files of a covered version are."""
    spec = importlib.util.find_spec("ocpp")
    assert spec is not None, "the ocpp package is a dependency"
    assert spec.submodule_search_locations, "the ocpp package is a package"
    return Path(spec.submodule_search_locations[0], _FOLDERS[version], "schemas")


def load(version: Version, name: str) -> dict[str, Any]:
    """The schema file of that name as it is installed."""
    text = (directory(version) / f"{name}.json").read_text(encoding="utf-8-sig")
    schema: dict[str, Any] = json.loads(text)
    return schema


def digest(version: Version) -> str:
    """SHA-256 over a version's schema files, names and contents: a package update that changes them shows."""
    state = hashlib.sha256()
    for path in sorted(directory(version).glob("*.json")):
        state.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return state.hexdigest()
