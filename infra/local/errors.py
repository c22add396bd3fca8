"""The one error of the local stack: a line that says what is wrong and what to do."""


class LocalError(Exception):
    """Something on this machine keeps the stack from running; the message is shown to the user as it is."""
