"""Numbers with their nouns, in the singular or the plural."""


def counted(number: int, singular: str, plural: str = "") -> str:
    """`1 event`, `2,000 events`. Without `plural`, it is the singular with an s."""
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"
