"""What can come of a call that brings no answer.

    HttpError
    ├── Refused          never sent, and never will be: a rule here forbids it
    ├── NotSent          nothing was processed: sending it again is safe
    └── OutcomeUnknown   it may have arrived

No text holds more of a URL than its host and port, or anything of headers and bodies: they may be secrets.
"""


class HttpError(Exception):
    """A call that brought no answer; its text is fit for people and holds no secret."""


class Refused(HttpError):
    """A rule here forbids the call. It was not sent, and sending it again cannot help."""


class NotSent(HttpError):
    """There was no connection to send it over. Nothing was processed, so sending it again is safe."""


class OutcomeUnknown(HttpError):
    """Sending began and no whole answer came. It may have arrived."""
