"""Pure text for people: one-line summaries, pretty JSON, tables."""
