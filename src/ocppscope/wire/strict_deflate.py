"""wsproto's permessage-deflate for the judge, without its mistakes about legal streams (RFC 7692 §6).

wsproto forgets between two fragments of a compressed message, when a ping or pong stands between them, that the
message is compressed (RFC 6455 §5.4 allows that ping). A judge must not convict for it. Loads wsproto; import this
where it is needed only.
"""

from __future__ import annotations

from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from ocppscope.model import Deflate

MIN_WINDOW_BITS = 9
"""wsproto and zlib know no window of 8 bits; a greater window inflates the same stream."""


class StrictDeflate(PerMessageDeflate):
    """The agreed parameters, in force; control frames pass by."""

    def __init__(self, agreed: Deflate) -> None:
        super().__init__(
            client_no_context_takeover=agreed.station_no_context_takeover,
            client_max_window_bits=max(MIN_WINDOW_BITS, agreed.station_window_bits),
            server_no_context_takeover=agreed.csms_no_context_takeover,
            server_max_window_bits=max(MIN_WINDOW_BITS, agreed.csms_window_bits),
        )
        self._control = False
        self.finalize(self.name)  # which is how wsproto is told that it was agreed

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        """RSV1 is legal on the first frame of a data message only."""
        self._control = opcode.iscontrol()
        if self._control:
            return CloseReason.PROTOCOL_ERROR if rsv.rsv1 else RsvBits(True, False, False)
        return super().frame_inbound_header(proto, opcode, rsv, payload_length)

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:
        """Inflate, unless it is a control frame's."""
        return data if self._control else super().frame_inbound_payload_data(proto, data)

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> bytes | CloseReason | None:
        """End the message, unless a control frame ended."""
        return None if self._control else super().frame_inbound_complete(proto, fin)
