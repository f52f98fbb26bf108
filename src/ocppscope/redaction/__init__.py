"""Redaction: secrets are blanked, identifiers become pseudonyms, and what is left is searched for both."""
