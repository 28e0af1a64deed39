"""The one way in which a bundle that can be read fails: what was checked, what does not hold, and where."""


class NotProven(ValueError):
    """Something that the bundle says is not proven by it. `check` names the rule's subject, `where` the part."""

    def __init__(self, check: str, what: str, where: str) -> None:
        self.check = check
        self.what = what
        self.where = where
        super().__init__(f"{check}: {where}: {what}")
