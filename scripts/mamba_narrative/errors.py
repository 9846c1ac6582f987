"""Errors that a person can act on."""

from __future__ import annotations


class UserError(Exception):
    """Something outside the program is wrong: what it was, what was expected, and what to do.

    Commands print the message without a traceback and end with exit code 2.
    """


class FileFormatError(UserError):
    """A file that another stage or the user wrote does not have the agreed form."""
