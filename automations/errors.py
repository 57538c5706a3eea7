"""What a caller did that cannot be done. The API turns each into an error with its code; a message says what to change.

RequestError
├── InvalidInput      BAD_USER_INPUT
├── NotFound          NOT_FOUND
├── Conflict          CONFLICT
├── VersionConflict   VERSION_LOCKING_ERROR
├── LimitExceeded     LIMIT_EXCEEDED
├── Unauthenticated   UNAUTHENTICATED
└── Forbidden         FORBIDDEN
"""

from typing import ClassVar


class RequestError(Exception):
    """A request that is refused; its text is shown to the caller."""

    code: ClassVar[str]


class InvalidInput(RequestError):
    """An argument has a value that cannot be used."""

    code = "BAD_USER_INPUT"


class NotFound(RequestError):
    """There is no such row in the caller's tenant."""

    code = "NOT_FOUND"


class Conflict(RequestError):
    """The request is in order, but not in the present state of things."""

    code = "CONFLICT"


class VersionConflict(RequestError):
    """The caller's version of a run is not the run's version."""

    code = "VERSION_LOCKING_ERROR"


class LimitExceeded(RequestError):
    """The request asks for more than a limit allows; the text gives the number."""

    code = "LIMIT_EXCEEDED"


class Unauthenticated(RequestError):
    """The caller is not who it has to be."""

    code = "UNAUTHENTICATED"


class Forbidden(RequestError):
    """The caller is known and may not do this; the text says who may."""

    code = "FORBIDDEN"
