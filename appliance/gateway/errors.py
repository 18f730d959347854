"""Two ways an exchange can go wrong: the application breaks the protocol, or the request cannot be put to it.

Both carry a text for the error log; visitors see only the status.
"""


class ProtocolError(Exception):
    """The application sent what is no FastCGI, SCGI or CGI answer: 502, and its connection is closed."""


class RequestRefused(Exception):
    """The request cannot be expressed to an application without ambiguity. Answered with `status`."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
