"""The few exceptions meant for our caller. What a peer does wrong is never one of these: it is a `Problem`."""


class OcppscopeError(Exception):
    """Something the user can mend: `what` went wrong and the `hint` that helps, one sentence each."""

    exit_code = 2

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class UsageError(OcppscopeError):
    """An option or a value that cannot be used (exit code 2)."""


class CaptureError(OcppscopeError):
    """An input that cannot be read as a capture (exit code 3)."""

    exit_code = 3


class AccessError(OcppscopeError):
    """An input or interface that may not be opened (exit code 4)."""

    exit_code = 4
