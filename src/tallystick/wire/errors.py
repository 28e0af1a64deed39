"""The two failures that are exceptions; a refusal by the rules is a `Status`, never an exception."""


class DecodeError(ValueError):
    """Unreadable input. `what` says what is wrong, `where` names the file, line or field."""

    def __init__(self, what: str, where: str = "") -> None:
        self.what = what
        self.where = where
        super().__init__(f"{where}: {what}" if where else what)


class InvariantViolation(RuntimeError):
    """The ledger contradicts itself. Inside a transaction it becomes `kernel_fault`; elsewhere the node stops."""
