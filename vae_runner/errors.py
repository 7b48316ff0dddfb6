"""What a user can get wrong."""


class UserError(Exception):
    """A mistake of the user's: shown as one line without a traceback, exit code 2.

    The message says which key or file, what was given, what is allowed, and what to type instead.
    """

    exit_code = 2


class Incompatible(UserError):
    """Settings that are right by themselves and do not go together; another job of a sweep may be without the one."""


class RunFailed(UserError):
    """What ended a run that had begun, and that can be mended: one line too, but exit code 1, as of any failed run."""

    exit_code = 1


class DataAbsent(UserError):
    """A published data set is not on this machine."""


class DataLost(UserError):
    """An example that was there when the data was opened, and cannot be read now."""
