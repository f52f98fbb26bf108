"""The trackers: each keeps one part of a station's state, and tells what a message means in OCPP.

A tracker is told of every exchange with an action that it names, before any rule is, and may publish happenings.
"""
