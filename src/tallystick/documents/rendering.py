"""Contracts to PDF: the same bytes for the same contract wherever it is rendered.

Nothing but the contract and this package's templates goes in: fonts are those of the locked packages, never the
system's; the document's date is the contract's own; no clock, locale, working directory or network is asked. Text from
the ledger reaches the templates as data and is never markup. PDF/A-3, with the canonical bytes of the terms attached as
`terms.json`, and of what else it shows as `shown.json`. Other versions of typst or of the font may give other bytes;
the terms' hash does not depend on them.
"""

import json
import re
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tallystick.documents.sheets import printable, sheet_of
from tallystick.documents.terms import Contract
from tallystick.kernel.core import codec
from tallystick.wire.errors import DecodeError, InvariantViolation

if TYPE_CHECKING:
    import typst

TEMPLATES = Path(__file__).parent / "templates"
PDF_STANDARD: Final = "a-3a"
MOST_MISSING = 500  # different characters of one contract that the fonts lack

_TEMPLATE_NAME = re.compile(r"[a-z_]+\.v[0-9]+")
_NOT_IN_FONTS = re.compile(r"the text `(\".*\")` could not be displayed", re.DOTALL)
_ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}")


def render(contract: Contract) -> bytes:
    """The contract as PDF. Raises `DecodeError` where no template of this package has the terms' template's name."""
    import typst

    sheet = sheet_of(contract)
    missing = ""
    while True:
        try:
            made = _compiled(contract, printable(sheet, missing))
        except typst.TypstError as error:
            lacking = _lacking(error.message)
            if not lacking or len(missing) > MOST_MISSING:
                raise InvariantViolation(f"template {contract.terms.template}: {error.message}") from None
            missing += lacking
            continue
        return made


def renderer() -> str:
    """What the bytes of a rendering depend on besides the terms and the template."""
    return f"typst {version('typst')}, noto-cjk-sans-otc {version('noto-cjk-sans-otc')}"


def _compiled(contract: Contract, sheet: object) -> bytes:
    made = _compiler(contract, sheet).compile(format="pdf", pdf_standards=[PDF_STANDARD])
    if not isinstance(made, bytes):
        raise InvariantViolation("a PDF is one file")
    return made


def _compiler(contract: Contract, sheet: object) -> "typst.Compiler":
    import typst

    name, day = contract.terms.template, contract.shown.drawn_on
    template = TEMPLATES / f"{name}.typ"
    if not _TEMPLATE_NAME.fullmatch(name) or not template.is_file():
        raise DecodeError(f"there is no template {name[:64]!r}", "template")
    inputs = {
        "sheet": json.dumps(sheet, ensure_ascii=False, sort_keys=True),
        "terms": codec.encode(contract.terms).decode(),
        "shown": codec.encode(contract.shown).decode(),
        "year": str(day.year),
        "month": str(day.month),
        "day": str(day.day),
    }
    return typst.Compiler(
        str(template), root=str(TEMPLATES), font_paths=_fonts(), ignore_system_fonts=True, sys_inputs=inputs
    )


@lru_cache(maxsize=1)
def _fonts() -> "typst.Fonts":
    """The Latin fonts that typst brings, and Noto Sans CJK from its package."""
    import noto_cjk_sans_otc  # type: ignore[import-untyped] # it has no stubs
    import typst

    folder = Path(str(noto_cjk_sans_otc.__file__)).parent
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[str(folder)])


def _lacking(message: str) -> str:
    """The characters that typst says no font has."""
    found = _NOT_IN_FONTS.search(message)
    if found is None:
        return ""
    text = _ESCAPED.sub(lambda one: chr(int(one[1], 16)), found[1][1:-1])
    return "".join(dict.fromkeys(one for one in text if not one.isascii()))
