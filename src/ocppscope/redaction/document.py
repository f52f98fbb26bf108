"""The page about redaction as Markdown, made from the table of fields: docs/redaction.md is this text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.redaction.blanks import RANGES
from ocppscope.redaction.detectors import Sign
from ocppscope.redaction.fields import BY_OWNER, REDACTED, STAYS, Field

if TYPE_CHECKING:
    from collections.abc import Iterator

_DONE = {
    Field.TOKEN: "pseudonym",
    Field.EQUIPMENT: "pseudonym; may be switched off",
    Field.HASH: "pseudonym",
    Field.NETWORK: "pseudonym; may be switched off",
    Field.FILE: "pseudonym; the extension stays",
    Field.URL: "pseudonyms for host and path; no credentials, no query",
    Field.SECRET: "blank",
    Field.CUSTOMER: "blank",
    Field.SIM: "blank",
    Field.PLACE: "blank",
    Field.SIGNED: "blank; may be switched off",
    Field.CERTIFICATE: "`sha256:` and its fingerprint",
    Field.DATA: "JSON inside is redacted by its names, other text searched",
    Field.FREE: "searched; blank if wanted",
    Field.SCAN: "searched",
    Field.SETTING: "as the name of its key or variable says",
    Field.MEASURED: "blank if its format is SignedData",
}
_INTRODUCTION = """\
# Redaction

What leaves for others leaves without secrets, and without what names a person, a customer or a place. What a
reader needs in order to follow a session stays: order and times of messages, states, values of meters, vendors and
models, and *which* tag, station or address is the same as which other. A diagnosis of the redacted messages says
what one of the real ones says.

## How

- **Pseudonyms** take the place of identifiers: of the same length, digits for digits, letters for letters of the
  same case, hex for hex. The same value has the same pseudonym in every message, header, URL, note and finding, in
  whichever case it is written. Which one it is depends on a secret key. Without a key file each export has a key
  of its own, which is thrown away; with the same key file two exports have the same pseudonyms, and can be
  compared. Who has the key can test guesses: do not hand it out. A key file is made with mode 0600 where there is
  none.
- **Addresses** keep their prefixes: two addresses of one network still are. Private ones stay private, public ones
  public. Loopback, unspecified and documentation addresses stay as they are. Names of hosts are replaced label by
  label; the last one (`.com`) stays.
- **Secrets** are blanked. A blank tells in which of these ranges the length was, since a password that is too
  short is worth knowing: {ranges}. A key of 32 to 40 hex digits becomes `b1a4ced0…` of 36.
- **Certificates**, requests for them and what else is encoded become the SHA-256 fingerprint of what they stood
  for.
- **Free texts** are searched for all that is known by then and for what looks like a secret: {signs};
  `name=value`, `name: value` and `<name>value</name>` with a name from the table or one that sounds like it. JSON
  inside strings is opened, as deep as it goes.
- **Malformed messages** stay malformed in the same way. What of them can be read is redacted as usual; what stands
  where no JSON can be, and what is no text, has its letters and digits replaced by `x`, `X` and `0`.
- **Nothing else changes**: white space, order, spelling of numbers and keys that stand twice are as they were. A
  value stays within the limit of its schema if it was, so that no message becomes valid or invalid.

At the end the finished export is searched for everything that was redacted and for the signs above. If something
is found, there is no export, but a list of the places.

## What is not hidden

Transaction times together with a tag's pseudonym show when somebody charged: shift the times, and use a new key
for each export that goes to somebody else. The shift is the same for all times, in messages and headers, too;
times that are written as bare numbers in vendors' data stay. Vendor, model and firmware stay, as do connectors,
transaction ids, message ids and meter values. Words of a path that are no identity (`/ocpp/north/`) stay unless
they read like a token.

## HTTP

The last part of the path gets the pseudonym of the station, other parts only if they read like tokens; queries
become `?***`. Of `Authorization` the scheme stays, of Basic also whether the user is the station and the range of
the password's length. `Cookie`, `Set-Cookie`, `Proxy-Authorization`, `X-Api-Key`, `X-Forwarded-For`, `X-Real-IP`,
`Forwarded` and headers whose names sound like a secret become `***`. `Host`, `Origin` and `Location` get
pseudonyms. `Sec-WebSocket-Key` and `-Accept` stay: they are random, and secure nothing.
"""


def markdown() -> str:
    """The whole page."""
    ranges = ", ".join(f"`{one.text.rstrip('*')}`" for one in RANGES)
    signs = ", ".join(dict.fromkeys(str(one) for one in Sign))
    introduction = _INTRODUCTION.replace("{ranges}", ranges).replace("{signs}", signs)
    return "\n".join([introduction, *_redacted(), "", *_staying(), ""])


def _redacted() -> Iterator[str]:
    yield "## Elements that are redacted"
    yield ""
    yield "Of payloads of OCPP 1.6, 2.0.1 and 2.1. What no schema has is judged by the words of its name."
    yield ""
    yield "| what | what is done | elements |"
    yield "|---|---|---|"
    for field in Field:
        names = sorted(name for name, one in REDACTED.items() if one is field)
        names += [f"{name} (in {owner})" for (owner, name), one in BY_OWNER.items() if one is field]
        if names and field in _DONE:
            yield f"| {field} | {_DONE[field]} | {', '.join(f'`{name}`' for name in names)} |"


def _staying() -> Iterator[str]:
    yield "## Elements that stay"
    yield ""
    yield "Identifiers that are known from elsewhere get their pseudonyms in these, too."
    yield ""
    yield "| why | elements |"
    yield "|---|---|"
    reasons: dict[str, list[str]] = {}
    for name, reason in STAYS.items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        yield f"| {reason} | {', '.join(f'`{name}`' for name in names)} |"
