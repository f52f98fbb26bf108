"""Timing figures in each form: text for people, JSON and CSV for programs, and their definitions for documents.

Each module makes lines of one form; nothing here measures anything.
"""
