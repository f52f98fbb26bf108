"""Captures as evidence: packets that are chosen, commented, written again with other content, or made up."""
