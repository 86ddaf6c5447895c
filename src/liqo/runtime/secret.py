"""A text that must not be shown."""

from typing import NoReturn


class Secret:
    """A token or a key; only `reveal` gives it away.

    Two are equal when their texts are; printing, formatting and logging one shows `***`. It cannot be
    pickled, so that it does not end up in a file by accident.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; call it only where it goes on the wire."""
        return self._text

    def __str__(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return "Secret(***)"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not to be written anywhere")
