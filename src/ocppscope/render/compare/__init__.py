"""A comparison as text, JSON and HTML. Pure: texts from the wire go through `wiretext`, nothing is written."""
