"""Identifiers of organisations and their check characters: USCC (统一社会信用代码, GB 32100) and LEI (ISO 17442)."""

import re

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC = re.compile(f"[{_USCC_ALPHABET}]{{2}}[0-9]{{6}}[{_USCC_ALPHABET}]{{10}}", re.ASCII)
_LEI = re.compile(r"[0-9A-Z]{18}[0-9]{2}", re.ASCII)


def identifier_holds(kind: str, text: str) -> bool:
    """Whether `text` has the form and check characters of its kind; kinds without a check of their own always hold."""
    match kind:
        case "uscc":
            return _uscc_holds(text)
        case "lei":
            return _lei_holds(text)
        case _:
            return True


def _uscc_holds(text: str) -> bool:
    """GB 32100-2015: weights 3^i mod 31 over 17 characters; the 18th makes the sum a multiple of 31."""
    if not _USCC.fullmatch(text):
        return False
    weighed = sum(_USCC_ALPHABET.index(text[i]) * pow(3, i, 31) for i in range(17))
    return _USCC_ALPHABET[-weighed % 31] == text[17]


def _lei_holds(text: str) -> bool:
    """ISO 17442: ISO 7064 MOD 97-10 with letters as 10..35."""
    return bool(_LEI.fullmatch(text)) and int("".join(str(int(c, 36)) for c in text)) % 97 == 1
