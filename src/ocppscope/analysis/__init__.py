"""What the messages of a capture mean: state of each station, rules that find faults, timing figures.

Uses what the engine's events say and nothing below; reads no bytes of the wire itself.
"""
