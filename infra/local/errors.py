"""The error of the local stack: a line with the problem and its remedy."""


class LocalError(Exception):
    """A fault of this machine prevents the stack from running. The message is shown to the user as it is."""
