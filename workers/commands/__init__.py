"""The subcommands of `countermark`, one a module.

Each module has `register(commands)`, which adds its parser and sets `run` to a function of the
parsed options and a console on standard error that gives the exit status.
"""

from __future__ import annotations


class Usage(ValueError):
    """An option that makes no sense; the text says which."""
