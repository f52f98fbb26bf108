"""Packets of a capture as they were, with comments. Nothing here hides anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocppscope.export.rewriting.blocks import RAW, Packet
from ocppscope.export.rewriting.datagrams import whole_datagram
from ocppscope.export.rewriting.packets import Packets
from ocppscope.export.rewriting.remarks import EXPORT, merged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocppscope.export.rewriting.chosen import Chosen
    from ocppscope.export.rewriting.packets import Found
    from ocppscope.export.writing import Job
    from ocppscope.model import PacketBlock

PUT_TOGETHER = f"{EXPORT}put together from IP fragments"


def copied(blocks: Iterable[PacketBlock], chosen: Chosen, job: Job, *, judged: bool) -> Iterator[Packet]:
    """The packets that are wanted, in capture order; fragments come as the datagram that they make."""
    packets = Packets(chosen)
    for block in blocks:
        kept = comments_of(block)
        for found, wanted in packets.of(block):
            job.step()
            if wanted:
                yield _packet(block, found, merged(kept.get(found.at, []), said(chosen, found), judged=judged))


def comments_of(block: PacketBlock) -> dict[int, list[str]]:
    """The comments that a block's packets have, by place."""
    kept: dict[int, list[str]] = {}
    for place, text in block.comments:
        kept.setdefault(place, []).append(text)
    return kept


def said(chosen: Chosen, found: Found) -> list[str]:
    """What is put on a packet."""
    new = chosen.remarks.get(found.packet, [])
    return new if found.is_whole else [*new, PUT_TOGETHER]


def _packet(block: PacketBlock, found: Found, comments: list[str]) -> Packet:
    at = found.at
    time_ns = int(block.time_ns[at])
    if not found.is_whole:
        datagram = whole_datagram(found)
        return Packet(time_ns, RAW, datagram, len(datagram) + found.missing, comments)
    begin = int(block.offsets[at])
    data = bytes(block.data[begin : begin + int(block.caplen[at])])
    return Packet(time_ns, int(block.linktype[at]), data, int(block.origlen[at]), comments)
