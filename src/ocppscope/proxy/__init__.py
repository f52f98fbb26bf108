"""The proxy in the middle: what passes between a station and a CSMS, unchanged or changed on request."""
