"""The form that takes a file of members, or its text."""

from __future__ import annotations

from collections.abc import Mapping

from litestar.datastructures import UploadFile

from tracklayer.errors import Invalid
from tracklayer.pipeline.member import MembersFile, read_members_csv


async def read_upload(form: Mapping[str, object]) -> MembersFile:
    """The members in the field `file`, or where no file was chosen, in `csv`. Raises `Invalid` for what is no CSV."""
    file = form.get("file")
    text = str(form.get("csv", ""))
    if isinstance(file, UploadFile) and (raw := await file.read()):
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            raise Invalid(
                f"the file is not UTF-8 (byte {error.start + 1}): save it as CSV UTF-8", code="invalid_csv", pointer=""
            ) from error
    if not text.strip():
        raise Invalid("choose a file, or paste its lines", code="invalid_csv", pointer="")
    return read_members_csv(text)
