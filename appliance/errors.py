"""The errors that end a command, as opposed to a request.

A message says what happened, where, and what to do next; it is printed as it is, without a traceback.
"""


class UserError(Exception):
    """Something the user can mend. `status` is the exit status: 2 for wrong usage, 1 for the rest."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
