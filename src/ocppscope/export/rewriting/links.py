"""Link layers in front of IP, without what they say of machines; one that is not known here becomes raw IP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.export.rewriting.blocks import RAW
from ocppscope.wire.link import ETHERNET, IPV4, IPV6, LOOP, NULL, SLL, SLL2, VLAN_TAGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocppscope.export.rewriting.packets import Found
    from ocppscope.model import PacketBlock

    Mac = Callable[[bytes], bytes]

_MAC = 6


def link_header(found: Found, block: PacketBlock, mac: Mac) -> tuple[int, bytes]:
    """The link type and what stands before the IP header."""
    linktype = int(block.linktype[found.at])
    begin = int(block.offsets[found.at])
    if found.ip < len(block.data) and found.data[found.ip] >> 4 in (4, 6):
        header = bytes(block.data[begin : found.ip])
        if linktype == ETHERNET and _is_tagged(header):
            return linktype, mac(header[:6]) + mac(header[6:12]) + header[12:]
        if linktype == SLL and len(header) == 16:
            return linktype, header[:6] + _address(header[6:14], header[4:6], mac) + header[14:]
        if linktype == SLL2 and len(header) == 20:
            return linktype, header[:12] + _address(header[12:20], header[11:12], mac)
        if linktype in (NULL, LOOP) and len(header) == 4:
            return linktype, header
    return RAW, b""


def _is_tagged(header: bytes) -> bool:
    """Whether nothing but VLAN tags stands between the addresses and IP."""
    if len(header) < 14 or (len(header) - 14) % 4:
        return False
    kinds = [int.from_bytes(header[at : at + 2]) for at in range(12, len(header), 4)]
    return kinds[-1] in (IPV4, IPV6) and all(kind in VLAN_TAGS for kind in kinds[:-1])


def _address(octets: bytes, size: bytes, mac: Mac) -> bytes:
    """A link-layer address in a field of eight bytes."""
    if int.from_bytes(size) != _MAC:
        return bytes(len(octets))
    return mac(octets[:_MAC]) + bytes(len(octets) - _MAC)
