"""The display filter and the table of fields. Looks at the store and at single messages; shows nothing."""
