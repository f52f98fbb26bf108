"""Where packets come from. Each source hands `PacketBlock`s to the engine."""
