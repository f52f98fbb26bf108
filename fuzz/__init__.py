"""Fuzzing: hostile bytes into every reader, one small target a module. `docs/fuzzing.md` says how."""
