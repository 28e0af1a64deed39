"""Laying the two sides' copies of the business contract beside each other, field by field."""

from tallystick.kernel.products.records import ContractTerms, Difference


def differences(payee: ContractTerms, payer: ContractTerms) -> tuple[Difference, ...]:
    """The fields in which the copies differ, in the order of the terms; nothing is normalised or guessed."""
    found = []
    for field in ContractTerms.__struct_fields__:
        payees, payers = getattr(payee, field), getattr(payer, field)
        if payees != payers:
            found.append(Difference(field=field, payee_value=_text(payees), payer_value=_text(payers)))
    return tuple(found)


def _text(value: object) -> str:
    """The canonical text of a field: amounts in minor units, days as YYYY-MM-DD, "" where it is left out."""
    return "" if value is None else str(value)
