"""Amounts in words, as Chinese contracts state them beside the figures (人民币大写).

Renminbi follow 《支付结算办法》 annex 1 (正确填写票据和结算凭证的基本规定): 元 and 角 without 分 end in 整, 零
stands for skipped places. Other currencies are written with their Chinese name and the decimals digit by digit.
"""

from tallystick.wire.amounts import Units

RENMINBI = "CNY"
RENMINBI_PREFIX = "人民币"
WHOLE = "整"
DIGITS = "零壹贰叁肆伍陆柒捌玖"
HUNDRED_MILLION = 10**8
MOST_AT_ONCE = 10**16  # what cn2an reads

CURRENCY_NAMES = {
    "AUD": "澳大利亚元",
    "CAD": "加拿大元",
    "CHF": "瑞士法郎",
    "CNY": "人民币",
    "EUR": "欧元",
    "GBP": "英镑",
    "HKD": "港元",
    "JPY": "日元",
    "KRW": "韩元",
    "KWD": "科威特第纳尔",
    "MOP": "澳门元",
    "SGD": "新加坡元",
    "THB": "泰铢",
    "TWD": "新台币",
    "USD": "美元",
}


def in_words(units: Units, currency: str, minor_digits: int) -> str:
    """The amount in Chinese capital numerals, with its currency: 人民币壹仟元整, 壹仟点伍零英镑."""
    whole, part = divmod(int(units), 10**minor_digits)
    if currency == RENMINBI and minor_digits == 2:
        return RENMINBI_PREFIX + _renminbi(whole, part)
    name = CURRENCY_NAMES.get(currency, currency)
    if not part:
        return numeral(whole) + name + WHOLE
    decimals = "".join(DIGITS[int(digit)] for digit in f"{part:0{minor_digits}d}")
    return f"{numeral(whole)}点{decimals}{name}"


def _renminbi(whole: int, part: int) -> str:
    """Yuan and fen. Where 元 end in nothing but fen follow, 零 stands for the missing 角."""
    jiao, fen = divmod(part, 10)
    said = f"{numeral(whole)}元" if whole or not part else ""
    if jiao:
        said += f"{DIGITS[jiao]}角"
    if fen:
        said += ("零" if whole and not jiao else "") + f"{DIGITS[fen]}分"
    return said if fen else said + WHOLE


def numeral(value: int) -> str:
    """A whole number in Chinese capital numerals (大写), with 壹 before 拾."""
    import cn2an  # type: ignore[import-untyped] # it has no stubs

    if value < MOST_AT_ONCE:
        return str(cn2an.an2cn(str(value), "up"))
    high, low = divmod(value, HUNDRED_MILLION)
    gap = "零" if 0 < low < HUNDRED_MILLION // 10 else ""
    return numeral(high) + "亿" + gap + (numeral(low) if low else "")
