"""Phone numbers as E.164 (ITU-T): `+`, the country's calling code, the national number, at most 15 digits.

What is possible is judged by length, as `phonenumbers` does: whether a number is given to somebody changes every week.
"""

from __future__ import annotations

import re
from functools import lru_cache

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    REGION_CODE_FOR_NON_GEO_ENTITY,
    SUPPORTED_REGIONS,
    NumberParseException,
    PhoneMetadata,
    PhoneNumberFormat,
    ValidationResult,
    format_number,
    is_possible_number_with_reason,
    parse,
)

LONGEST = 60  # characters of a number with its brackets, spaces and extension

_CALLING_CODE = re.compile(r"[1-9][0-9]{0,2}")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def e164(text: str, region: str) -> str | None:
    """`text` as E.164; without a calling code it is a number of `region` (ISO 3166-1 alpha-2; "": of none).

    An extension is not part of it. None where `text` is no possible number.
    """
    if _is_e164(text):
        return text
    return _read(text, region) if len(text) <= LONGEST else None


def is_region(code: str) -> bool:
    """Whether phone numbers of a region are known."""
    return code in SUPPORTED_REGIONS


def region_of(calling_code: str) -> str | None:
    """The region that a calling code such as `49` stands for, of several the main one."""
    if not _CALLING_CODE.fullmatch(calling_code):
        return None
    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(calling_code), ())
    return next(filter(is_region, regions), None)


@lru_cache(maxsize=16_384)
def _read(text: str, region: str) -> str | None:
    written = _written(text, region)
    # A few numbers lose their first digits again when they are read again; which of the two is meant, nobody knows.
    return written if written and (_is_e164(written) or _written(written, region) == written) else None


def _written(text: str, region: str) -> str | None:
    try:
        number = parse(text, region)
    except NumberParseException:
        return None
    if is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    written = format_number(number, PhoneNumberFormat.E164)
    return written if _E164.fullmatch(written) else None


def _is_e164(text: str) -> bool:
    """Whether `text` is certainly written as E.164 already: a hundred times faster than reading it."""
    if not _E164.fullmatch(text):
        return False
    for end in (2, 3, 4):
        lengths = _national_lengths(text[1:end])
        if lengths:
            return text[end] != "0" and len(text) - end in lengths  # a leading 0 is a part of it in few countries
    return False


@lru_cache(maxsize=1_110)  # as many as there are texts of one to three digits
def _national_lengths(calling_code: str) -> frozenset[int]:
    """How many digits national numbers behind a calling code have; none where there is no such code."""
    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(calling_code))
    if not regions:
        return frozenset()
    if regions[0] == REGION_CODE_FOR_NON_GEO_ENTITY:
        metadata = PhoneMetadata.metadata_for_nongeo_region(int(calling_code))
    else:
        metadata = PhoneMetadata.metadata_for_region(regions[0])
    description = metadata.general_desc if metadata else None
    return frozenset(description.possible_length if description else ())
