"""Amounts that come as texts: read where there is only one way to read them.

`1,299.00`, `1.299,00`, `1 299,00`, `1'299.00`, `149,90` and `€149.90` are clear. `1,299` and `1.299` are not: the one
is a thousand and more here and one and a bit there.
"""

from __future__ import annotations

import re
from decimal import Decimal

LONGEST = 40  # characters

_SYMBOL = r"(?:[$€£¥₹₩₽₺₪₫฿₴₦₱₡₲₵₸₼₾]|[A-Z]{2}\$|[A-Z]{3})"
_SPACES = "[ \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]"
_AMOUNT = re.compile(
    rf"(?P<sign>[+-])?(?:{_SYMBOL}{_SPACES}?)?(?P<inner>-)?(?P<number>[0-9](?:[0-9.,'’]|{_SPACES}(?=[0-9]))*)"
    rf"(?:{_SPACES}?{_SYMBOL})?"
)

_PLAIN = r"(?:0|[1-9][0-9]*)"
_CLEAR = re.compile(
    rf"""(?P<whole>
        {_PLAIN} (?=$|[.,](?:[0-9]{{1,2}}|[0-9]{{4,}})$)        # 149   149.90   149,90   0.12345
      | (?:0|[1-9][0-9]{{3,}}) (?=[.,][0-9]{{3}}$)              # 0.125   1234.567: no thousands before
      | [1-9][0-9]{{0,2}} (?:,[0-9]{{3}})+ (?=\.[0-9]+$)        # 1,299.00
      | [1-9][0-9]{{0,2}} (?:\.[0-9]{{3}})+ (?=,[0-9]+$)        # 1.299,00
      | [1-9][0-9]{{0,2}} (?:(?:,[0-9]{{3}}){{2,}}|(?:\.[0-9]{{3}}){{2,}}) (?=$)   # 1,299,000
      | [1-9][0-9]{{0,2}} (?:{_SPACES}[0-9]{{3}}|['’][0-9]{{3}})+ (?=$|[.,][0-9]+$)   # 1 299,00   1'299.00
      | [1-9][0-9]? (?:,[0-9]{{2}})+ ,[0-9]{{3}} (?=\.[0-9]+$|$)  # 1,29,999.00: lakhs
    )(?:[.,](?P<fraction>[0-9]+))?""",
    re.VERBOSE,
)


def read_amount(text: str) -> int | Decimal | None:
    """The exact amount that `text` says, digit for digit: "149.90" is `Decimal("149.90")`, "149" is 149.

    A currency's symbol or code may stand before or behind it. None where it is no amount, or more than one.
    """
    outer = _AMOUNT.fullmatch(text.strip()) if len(text) <= LONGEST else None
    if outer is None or (outer["sign"] and outer["inner"]):
        return None
    clear = _CLEAR.fullmatch(outer["number"])
    if clear is None:
        return None
    sign = "-" if "-" in (outer["sign"], outer["inner"]) else ""
    whole = sign + re.sub("[^0-9]", "", clear["whole"])
    return int(whole) if clear["fraction"] is None else Decimal(f"{whole}.{clear['fraction']}")
