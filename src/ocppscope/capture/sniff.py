"""What kind of file the first bytes speak of: a capture that can be read, or the sentence that says why not.

It looks at a few bytes; it may not do I/O.
"""

from __future__ import annotations

from ocppscope.capture.annotations import Annotations
from ocppscope.capture.pcapformat import FILE_HEADER_BYTES, VARIANTS, PcapFormat
from ocppscope.capture.pcapng import PcapngFormat
from ocppscope.capture.pcapng_blocks import SECTION_MAGIC, DamagedBlockError, section_order
from ocppscope.capture.scan import Format
from ocppscope.errors import CaptureError

MAGIC_BYTES = 4
SECTION_START_BYTES = 16
SNIFFED_BYTES = 64
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_CONVERT = "Convert it first: editcap -F pcapng OLD NEW"
_UNPACK = "Unpack it first; only gzip and zstd are read as they are."
_RECORD = "Record one with `tcpdump -w FILE`; what tcpdump prints is not enough."

_OTHER_FORMATS: tuple[tuple[bytes, str, str], ...] = (
    (b"snoop\0\0\0", "a snoop capture", _CONVERT),
    (b"btsnoop\0", "a Bluetooth capture (btsnoop)", "There is no OCPP in one."),
    (b"GMBU", "a Microsoft Network Monitor capture", _CONVERT),
    (b"RTSS", "a Microsoft Network Monitor capture", _CONVERT),
    (b"TRSNIFF data", "a Sniffer capture", _CONVERT),
    (b"XCP\0", "a NetXRay capture", _CONVERT),
    (b"\x7fver", "an EtherPeek capture", _CONVERT),
    (GZIP_MAGIC, "packed twice, with gzip", _UNPACK),
    (ZSTD_MAGIC, "packed twice, with zstd", _UNPACK),
    (b"BZh", "packed with bzip2", _UNPACK),
    (b"\xfd7zXZ\0", "packed with xz", _UNPACK),
    (b"\x04\x22\x4d\x18", "packed with lz4", _UNPACK),
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"\x7fELF", "a program", ""),
    (b"%PDF", "a PDF document", ""),
    (b"SQLite format 3\0", "an SQLite database", ""),
    (b"PAR1", "a Parquet file", ""),
)
_TEXTS: tuple[tuple[bytes, str, str], ...] = (
    (b"{", "JSON", "A capture is what `tcpdump -w FILE` or `tshark -w FILE` writes."),
    (b"[", "JSON", "A capture is what `tcpdump -w FILE` or `tshark -w FILE` writes."),
    (b"<!doctype html", "an HTML page", "A download may have ended at a login page: fetch the capture again."),
    (b"<html", "an HTML page", "A download may have ended at a login page: fetch the capture again."),
    (b"<", "XML", "Packets printed as XML (PDML) are not enough: " + _RECORD),
)


def header_bytes(magic: bytes) -> int:
    """What `format_of` needs of a file that begins with `magic`; no more, since a pipe may hold no more yet."""
    if magic[:4] in VARIANTS:
        return FILE_HEADER_BYTES
    return SECTION_START_BYTES if magic[:4] == SECTION_MAGIC else MAGIC_BYTES


def format_of(name: str, head: bytes, annotations: Annotations) -> tuple[Format, int]:
    """The reader for a file that begins with `head` (`header_bytes` or more), and how many bytes of it that has had.

    Raises CaptureError with a sentence that names what the file is instead.
    """
    if not head:
        raise CaptureError(f"{name} is empty.", "Nothing may have been recorded yet; tcpdump -U writes at once.")
    if head[:4] in VARIANTS:
        if len(head) < FILE_HEADER_BYTES:
            raise CaptureError(f"{name} ends within its file header ({len(head)} of 24 bytes).", "Nothing is in it.")
        return PcapFormat(name, head[:FILE_HEADER_BYTES]), FILE_HEADER_BYTES
    if head[:4] == SECTION_MAGIC:
        if len(head) >= SECTION_START_BYTES:
            _check_section(name, head)
        return PcapngFormat(name, annotations), 0
    raise CaptureError(*_something_else(name, head[:SNIFFED_BYTES]))


def may_be_log(head: bytes) -> bool:
    """Whether the first bytes may be those of a log of messages: text, in UTF-8, UTF-16 or a code page."""
    if not head.strip(b"\0") or head[:4] in VARIANTS or head[:4] == SECTION_MAGIC:
        return False
    if head[:2] in _UTF_16 or b"\0" in head[:2]:
        head = head.replace(b"\0", b"").removeprefix(_UTF_16[0]).removeprefix(_UTF_16[1])
    elif any(head.startswith(magic) for magic, *_ in _OTHER_FORMATS):
        return False
    return not any(byte < 32 and byte not in b"\t\n\r\f\x1b\b" for byte in head)


_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def no_log(name: str, head: bytes) -> tuple[str, str]:
    """What a text is instead in which nothing reads as a message, and what to do."""
    if not head.strip():
        return f"{name} is empty.", "Nothing may have been recorded yet; tcpdump -U writes at once."
    what, hint = _something_else(name, head)
    return what, f"Nothing in it reads as an OCPP message; `--dialect help` lists the logs that are read. {hint}"


def _check_section(name: str, head: bytes) -> None:
    try:
        section_order(head)
    except DamagedBlockError as wrong:
        what = f"{name} looks like pcapng, but {wrong}."
        raise CaptureError(what, "The file is damaged, or newer than this program.") from None


def _something_else(name: str, head: bytes) -> tuple[str, str]:
    for magic, what, hint in _OTHER_FORMATS:
        if head.startswith(magic):
            return f"{name} is {what}, not a capture that can be read.", hint
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if _is_text(head):
        for opening, what, hint in _TEXTS:
            if start.startswith(opening):
                return f"{name} is not a capture: it looks like {what}.", hint
        return f"{name} is not a capture: it looks like text.", _RECORD
    if _is_erf(head):
        return f"{name} looks like an ERF capture (Endace), which is not read.", _CONVERT
    return f"{name} is not a capture: it begins with {head[:8].hex(' ')}.", "Captures are pcap or pcapng files."


def _is_text(head: bytes) -> bool:
    """No control characters, and mostly ASCII: of the rest, a quarter at most."""
    odd = sum(byte >= 127 for byte in head.removeprefix(b"\xef\xbb\xbf"))
    return odd * 4 <= len(head) and not any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)


def _is_erf(head: bytes) -> bool:
    """ERF has no magic; its first record has a time since 1990, a known type and a length that it keeps within."""
    if len(head) < 16:
        return False
    seconds = int.from_bytes(head[4:8], "little")
    record_length = int.from_bytes(head[10:12], "big")
    known_type = 0 < head[8] & 0x7F < 49
    return 631_152_000 < seconds < 2**31 and known_type and record_length >= 16 and head[9] & 0xC0 == 0
