"""How much memory JSON takes once it is parsed, which a small body can blow up."""

# Python's lists and numbers take many times the bytes of their text: so many for each.
LIST_BYTES, VALUE_BYTES = 88, 32
MOST_PARSED_BYTES = 768 * 2**20


def parsed_bytes(text: bytes | bytearray) -> int:
    """About how many bytes a text of JSON, or a part of one, takes in Python's lists."""
    lists = text.count(b"[") + text.count(b"{")
    return LIST_BYTES * lists + VALUE_BYTES * text.count(b",")
