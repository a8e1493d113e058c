"""The check of a results folder's name: a path, or a URI with a bucket and without empty parts. Opens nothing."""

from __future__ import annotations

from harness.errors import BadInput


def check_location(text: str, what: str = "A results location") -> str:
    """Return the text if a folder can have that name.

    Args:
        text: a path or URI ("results/a", "s3://bucket/folder").
        what: the beginning of messages, such as the option that the text was given with.

    Raises:
        BadInput: if it is blank, contains a NUL character, or is a URI without bucket or with an empty part.

    >>> check_location("s3://bucket/folder")
    's3://bucket/folder'
    """
    if not text.strip():  # as from a variable that a script forgot to set; it would mean the current folder
        raise BadInput(f"{what} takes a folder or URI, got {text!r}; '.' is the current folder.")
    if "\0" in text:
        raise BadInput(f"{what} takes a folder or URI without NUL characters, got {text!r}.")
    scheme, is_uri, path = text.partition("://")
    if not is_uri:
        return text
    bucket, _, folder = path.partition("?")[0].partition("/")
    if not bucket and scheme != "file":
        raise BadInput(f"{what} takes a URI that names a bucket, such as {scheme}://bucket/folder, got {text!r}.")
    if "//" in f"/{folder}":
        raise BadInput(f"{what} takes a URI without empty parts, got {text!r}; write // as one slash.")
    return text
