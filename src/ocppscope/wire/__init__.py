"""From packets to texts: link, TCP, HTTP upgrade, WebSocket frames. No I/O, no clock."""
