"""What the page of `export.html` is made of: its rows as JSON, its overview, and the files that stand in it.

Nothing here opens or writes a file other than those of this package.
"""
