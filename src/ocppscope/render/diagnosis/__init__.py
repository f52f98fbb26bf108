"""The report of a diagnosis in each form: text for people, Markdown and HTML for tickets, JSON and SARIF for tools.

Each module makes lines of one form; nothing here finds anything out.
"""
