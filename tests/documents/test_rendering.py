"""Contracts as PDF: the same bytes everywhere, what a reader must find in them, and text that wants to be markup."""

import hashlib
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.documents import rendering
from tallystick.documents.rendering import TEMPLATES, render
from tallystick.documents.sheets import printable, sheet_of
from tallystick.documents.terms import Contract
from tallystick.kernel.core import codec
from tallystick.kernel.financing.records import Settlement
from tallystick.kernel.products.contracts import terms_hash
from tallystick.kernel.products.records import Business, ContractKind, FeePayer, FeeTerms, Silence
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.canonical import text_fault
from tallystick.wire.errors import DecodeError
from tests.support.contracts import (
    NAMES,
    WAGES,
    financing_contract,
    member_id,
    product_contract,
    read,
    squeezed,
    text_of,
)

ROOT = Path(__file__).resolve().parents[2]
VECTORS = Path(__file__).with_name("vectors.json")
VARIANTS = {
    "payer_platform": product_contract(ContractKind.PAYER_PLATFORM),
    "payee_platform": product_contract(ContractKind.PAYEE_PLATFORM),
    "payer_payee": product_contract(ContractKind.PAYER_PAYEE),
    "wages": product_contract(
        ContractKind.PAYER_PAYEE,
        business=Business.WAGES,
        wages=WAGES,
        refund_account=WAGES.special_account,
        fee=FeeTerms(rate=Rate(0), minimum=Units(0), paid_by=FeePayer.PAYEE),
    ),
    "financing_bank": financing_contract(),
    "financing_ledger": financing_contract(Settlement.LEDGER, with_recourse=False),
}
RENDER_ALL = """
import hashlib
from tallystick.documents.rendering import render
from tests.documents.test_rendering import VARIANTS
for name, contract in VARIANTS.items():
    print(name, hashlib.sha256(render(contract)).hexdigest())
"""


def test_the_same_bytes_in_other_processes_places_and_times(tmp_path: Path) -> None:
    here = _hashes()
    for place, zone, locale, seed in ((tmp_path, "Asia/Shanghai", "zh_CN.UTF-8", "1"), (ROOT, "UTC+11", "C", "77")):
        environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "TZ": zone,
            "LC_ALL": locale, "LANG": locale, "PYTHONHASHSEED": seed, "HOME": str(tmp_path),
            "SOURCE_DATE_EPOCH": seed, "TYPST_FONT_PATHS": str(tmp_path),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", RENDER_ALL], cwd=place, env=environment, capture_output=True, text=True, check=True
        )
        assert dict(line.split() for line in done.stdout.splitlines()) == here


@pytest.mark.parametrize("name", VARIANTS)
def test_a_reader_finds_parties_hash_pages_and_references(name: str) -> None:
    contract = VARIANTS[name]
    pdf = render(contract)
    text = text_of(pdf)
    for party in contract.shown.parties:
        assert squeezed(party.legal_name) in text
        assert party.member in text
        assert party.identifier in text
    pages = len(read(pdf).pages)
    assert f"第1页共{pages}页" in text
    assert f"第{pages}页共{pages}页" in text
    assert f"Page{pages}of{pages}" in text
    assert text.count(contract.terms_hash) == pages + 2, "in each footer and at both signatures"
    assert contract.number in text
    last = "".join(read(pdf).pages[-1].extract_text().split())
    assert "甲方" in last
    assert "乙方" in last
    assert "条款哈希" in last
    assert "SANDBOX" in text if contract.shown.sandbox else "SANDBOX" not in text


@pytest.mark.parametrize("kind", ContractKind)
def test_amounts_stand_in_figures_and_in_words(kind: ContractKind) -> None:
    text = text_of(render(product_contract(kind)))
    assert "CNY1,234,567,890.12" in text
    assert "人民币壹拾贰亿叁仟肆佰伍拾陆万柒仟捌佰玖拾元壹角贰分" in text
    assert "CNY2,000,000,000.00" in text
    assert "人民币贰拾亿元整" in text
    assert squeezed("at most CNY 1,234,567,890.12") in text


def test_the_clauses_say_the_terms() -> None:
    text = text_of(render(VARIANTS["payer_platform"]))
    for said in (
        "3 days; 7 days", "60 % to the payee and 40 % to the payer", "31 May 2028", "2028年5月31日", "0.5 %",
        "borne by the payee", "usual rule for this product is a dispute", "acc_8888888888888888", "60 days for payment",
        "by date alone; confirmation by the payer", "HT-2026-0042", "each of the product's three contracts",
    ):  # fmt: skip
        assert squeezed(said).lower() in text.lower().replace("’", "'"), said
    fee = FeeTerms(rate=Rate(250_000), minimum=Units(1), paid_by=FeePayer.PAYER)
    other = text_of(render(product_contract(fee=fee, on_silence=Silence.ACCEPT, default_split=0)))
    for said in (
        "borne by the payer",
        "usual rule for this product is acceptance",
        "0 % to the payee and 100 % to the payer",
    ):
        assert squeezed(said) in other, said
    assert squeezed("usual rule for this product is a dispute") not in other


def test_a_wage_contract_names_account_and_agreement_and_others_do_not() -> None:
    text = text_of(render(VARIANTS["wages"]))
    assert squeezed(WAGES.project) in text
    assert WAGES.special_account in text
    assert WAGES.tri_party_agreement.hash in text
    assert "劳动者本人账户" in text
    assert squeezed("charges no fee") in text
    assert squeezed("no objection, dispute, fee, retention") in text
    assert "劳动者本人账户" not in text_of(render(VARIANTS["payer_payee"]))


def test_a_financing_contract_says_its_price_and_route() -> None:
    bank, ledger = text_of(render(VARIANTS["financing_bank"])), text_of(render(VARIANTS["financing_ledger"]))
    for said in (
        "CNY 500,000.00", "人民币伍拾万元整", "CNY 7,562.50", "人民币柒仟伍佰陆拾贰元伍角整", "CNY 500.00",
        "CNY 491,937.50", "99 days", "ACT/360", "5.5 %", "rcv_4444444444444444", "1..50,000,000",
    ):  # fmt: skip
        assert squeezed(said) in bank, said
        assert squeezed(said) in ledger, said
    assert squeezed("with recourse to the client") in bank
    assert squeezed("without recourse to the client") in ledger
    assert squeezed("is unlocked and stays with the client") in bank
    assert squeezed(NAMES["arbitrator"]) in bank
    assert squeezed(NAMES["arbitrator"]) not in ledger


@pytest.mark.parametrize("name", VARIANTS)
def test_it_is_an_archive_pdf_with_its_terms_attached_and_all_fonts_inside(name: str) -> None:
    contract = VARIANTS[name]
    pdf = render(contract)
    reader = read(pdf)
    attached = {name: files[0] for name, files in reader.attachments.items()}
    assert attached["terms.json"] == codec.encode(contract.terms)
    assert hashlib.sha256(attached["terms.json"]).hexdigest() == contract.terms_hash
    assert attached["shown.json"] == codec.encode(contract.shown)
    assert b"pdfaid:part>3<" in pdf
    assert reader.metadata is not None
    assert str(reader.metadata.get("/CreationDate")) == "D:20261122000000Z"
    for page in reader.pages:
        width, height = (round(float(side)) for side in page.mediabox[2:])
        assert (width, height) == (595, 842), "A4"
        for font in page["/Resources"]["/Font"].values():
            described = font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
            assert any("FontFile" in part for part in described), described["/FontName"]


def test_the_terms_hash_is_the_kernels() -> None:
    contract = product_contract()
    assert contract.terms_hash == terms_hash(contract.terms)


HOSTILE = {
    "markup": '#panic("x") *b* _i_ $x^2$ `code` <label> @ref [c] = h \\ " \' // /* #sys.inputs #read("/etc/passwd")',
    "several lines": "One\nTwo\tThree",
    "list": "- a + b / c: d",
    "long word": "x" * 200,
    "long name": "超长名称" * 50,
    "right to left": "شركة ABC אבג 123",
    "override": "Good \u202edecreveR\u202c Limited",
    "invisible": "Ex\u200bam\u00adple\u2066 Limited",
    "no glyph": "Pop \U0001f680 \U0002ceb1 ไทย Limited",
    "private": "A\ue000B",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_names_are_printed_as_they_are_and_do_nothing(name: str) -> None:
    assert text_fault(name) is None, "the ledger would take it"
    names = dict.fromkeys(NAMES, name)
    for contract in (
        product_contract(names=names, title=name[:120]),
        financing_contract(names=names),
    ):
        pdf = render(contract)
        assert pdf == render(contract)
        text = text_of(pdf)
        if name not in (
            HOSTILE["right to left"],
            HOSTILE["no glyph"],
        ):  # readers reorder the one, see below for the other
            assert squeezed(str(printable(name))) in text
        for hidden in "\u202e\u202c\u2066\ue000":
            assert hidden not in text
        assert json.loads(read(pdf).attachments["shown.json"][0])["parties"][0]["legal_name"] == name


def test_what_no_font_has_is_printed_as_its_code_point() -> None:
    text = text_of(render(product_contract(names={"payer": HOSTILE["no glyph"]})))
    assert "⟨U+1F680⟩" in text
    assert "⟨U+2CEB1⟩" in text
    assert squeezed("Limited") in text


@settings(max_examples=15, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=200))
def test_any_name_that_the_ledger_takes_renders(name: str) -> None:
    if text_fault(name) is None:
        assert render(product_contract(names={"payer": name})).startswith(b"%PDF-")


def _rows(png: bytes) -> list[bytes]:
    """The pixel rows of an 8-bit RGBA picture (PNG specification, 9: filtering)."""
    at, width, packed = 8, 0, b""
    while at < len(png):
        length, kind = int.from_bytes(png[at : at + 4]), png[at + 4 : at + 8]
        if kind == b"IHDR":
            width = int.from_bytes(png[at + 8 : at + 12])
            assert png[at + 16 : at + 18] == bytes([8, 6]), "8 bits, RGBA"
        elif kind == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += 12 + length
    raw, stride, rows = zlib.decompress(packed), 4 * width, [bytes(4 * width)]
    for start in range(0, len(raw), stride + 1):
        how, row, above = raw[start], bytearray(raw[start + 1 : start + 1 + stride]), rows[-1]
        for i in range(stride):
            left, corner = (row[i - 4], above[i - 4]) if i >= 4 else (0, 0)
            up = above[i]
            nearest = min((left, up, corner), key=lambda one: abs(left + up - corner - one))
            row[i] = (row[i] + (0, left, up, (left + up) // 2, nearest)[how]) & 255
        rows.append(bytes(row))
    return rows[1:]


@pytest.mark.parametrize("name", ["W" * 200, "汉" * 200, "a b " * 50])
def test_nothing_runs_into_the_margins(name: str) -> None:
    """Margins are 20 mm; a name or title of any length breaks before them."""
    names = dict.fromkeys(NAMES, name)
    contract = product_contract(names=names, title=name[:120], seen={"sandbox": False}, business=Business.OTHER)
    dots = 36
    pages = rendering._compiler(contract, sheet_of(contract)).compile(format="png", ppi=dots)
    assert isinstance(pages, list)
    for page in pages:
        for row in _rows(page):
            edge = 4 * int(18 / 25.4 * dots)
            assert set(row[:edge]) == {255}
            assert set(row[-edge:]) == {255}


@pytest.mark.parametrize("template", ["layout", "payer_payee.v2", "x.v1"])
def test_only_this_packages_templates_are_taken(template: str) -> None:
    contract = product_contract()
    with pytest.raises(DecodeError, match="there is no template"):
        render(Contract(msgspec.structs.replace(contract.terms, template=template), contract.shown))


def test_templates_fetch_nothing() -> None:
    for template in TEMPLATES.glob("*.typ"):
        text = template.read_text(encoding="utf-8")
        assert "@preview" not in text
        assert "@local" not in text
        for call in ("eval(", "read(", "image(", "plugin("):
            assert call not in text, template.name


def test_the_sheet_holds_no_hidden_characters() -> None:
    sheet = sheet_of(product_contract(names={"payer": HOSTILE["override"]}))
    assert "\u202e" not in json.dumps(sheet, ensure_ascii=False)
    assert sheet["parties"][0]["name"] == "Good ⟨U+202E⟩decreveR⟨U+202C⟩ Limited"
    assert sheet["parties"][0]["member"] == member_id("payer")


def test_the_renderer_is_named() -> None:
    assert rendering.renderer().startswith("typst ")


def test_a_published_template_renders_what_it_always_did() -> None:
    """A party may re-render a contract years later: a template that says or looks otherwise is a new version (v2).

    After a new version of typst or of the font, which may move glyphs, and only then, write the vectors anew:
    python -m tests.documents.test_rendering
    """
    recorded = json.loads(VECTORS.read_text(encoding="utf-8"))
    assert recorded["renderer"] == rendering.renderer(), "write the vectors anew, and look at the pages"
    assert recorded["documents"] == _hashes()


def _hashes() -> dict[str, str]:
    return {name: hashlib.sha256(render(contract)).hexdigest() for name, contract in VARIANTS.items()}


if __name__ == "__main__":
    VECTORS.write_text(json.dumps({"renderer": rendering.renderer(), "documents": _hashes()}, indent=1) + "\n")
