"""The screens. They see a session through a small protocol (`session`), never a capture, an engine or a proxy."""
