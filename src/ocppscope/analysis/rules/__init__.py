"""The rules, a module for each family. A rule is short enough to be read in one look; what it needs to remember of
several messages is kept by the trackers in `state/`."""
