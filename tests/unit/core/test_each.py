import pytest

from components.core.each import read_each
from components.core.errors import InvalidInputError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("period=00..03", ["00", "01", "02", "03"]),
        ("period=8..11", ["8", "9", "10", "11"]),
        ("period=08..11", ["08", "09", "10", "11"]),
        ("period=05", ["05"]),
        (" period = 02, 00, 07..08 ", ["02", "00", "07", "08"]),
        ("period=2026-01-01,a=b", ["2026-01-01", "a=b"]),
    ],
)
def test_values_in_their_order(text: str, values: list[str]) -> None:
    assert read_each(text) == ("period", values)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("period", "need key=values"),
        ("period=", "need key=values"),
        ("=00..05", "need key=values"),
        ("period=00,,01", "need key=values"),
        ("period=05..00", "05..00 counts down"),
        ("period=00..02,01", "01 comes twice"),
    ],
)
def test_mistakes(text: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        read_each(text)
