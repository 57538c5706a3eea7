"""What a call may end with.

AutomationsError
├── ApiError      the server answered, and refused
└── Unavailable   there was no answer, or a 5xx, however often it was asked
"""

from collections.abc import Sequence
from typing import Any


class AutomationsError(Exception):
    """A call that failed. `code` is the API's, such as NOT_FOUND, or UNAVAILABLE."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class ApiError(AutomationsError):
    """The server refused. `errors` are all of its errors as it gave them; the text and the code are the first one's."""

    def __init__(self, message: str, code: str, errors: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message, code)
        self.errors = list(errors)


class Unavailable(AutomationsError):
    """No answer. A write may have been carried out all the same, unless the connection was refused."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "UNAVAILABLE")
