"""What cells of a table mean: numbers as people and programs write them, yes and no, or a missing value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_YES = "true t yes y on ja j wahr oui o vrai si s sí verdadero vero sim verdadeiro да истина 是 真"
_NO = "false f no n off nein falsch non faux falso não nao нет ложь 否 假"
_TRUTHS = {**dict.fromkeys(_YES.split(), 1.0), **dict.fromkeys(_NO.split(), 0.0)}
_MISSING = {
    *("na", "n/a", "#n/a", "n.a.", "nan", "null", "none", "nil", "missing", "unknown", "-", "--", "—", "–"),
    *("1.#qnan", "-1.#ind", "1.#ind", "#n/d", "#nv", "n.d.", "n.v."),
    *(".", "..", "?", "k.a.", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!", "<na>", "nat"),
}
_MARKS = {"x", "+", "++", "*", "✓", "✔", "✗", "✘", "☑", "☐", "•"}
_ADVICE = (
    (r"[+-]?[\d.,]+[dD][+-]?\d+", "write exponents with E"),
    (r"['`\"\u2018\u2019][+-]?[\d.,]+['`\"\u2019]?", "write numbers without quotes"),
    (r"[<>\u2264\u2265~\u2248]\s*[+-]?[\d.,]+", "write the number alone"),
    (r"\d+\s*/\s*\d+", "write fractions as decimal numbers"),
    (r"\(\s*[\d.,]+\s*\)", "write negative numbers with a minus sign"),
    (r"[€$£¥]\s*[+-]?[\d.,]+|[+-]?[\d.,]+\s*[€$£¥]", "write amounts without a currency sign"),
    (r"[+-]?[\d.,]+\s+[^\W\d_].{0,8}", "write numbers without their unit"),
)
_GROUPED = re.compile(r"[+-]?\d{1,3}([,.'\u2019\s]\d{3})+([.,]\d+)?")


def numbers_in(texts: pl.Series, decimal: str) -> pl.Series:
    """Texts as numbers; null where a text is not a number. A column of words for yes and no becomes 1 and 0.

    Parameters
    ----------
    texts : pl.Series
        (N,) texts.
    decimal : str
        The decimal mark, ``.`` or ``,``.
    """
    import polars as pl

    texts = texts.str.strip_chars()
    if decimal == ",":
        # A point would be a thousands mark here, or an error; neither is read as a number.
        written = texts.str.replace_all(".", "?", literal=True).str.replace(",", ".", literal=True)
    else:
        written = texts
    numbers = written.cast(pl.Float64, strict=False)
    if not numbers.null_count():
        return numbers
    if numbers.null_count() == len(texts) and is_truth(texts):
        return texts.str.to_lowercase().replace_strict(_TRUTHS, return_dtype=pl.Float64)
    if texts.str.contains("\u2212", literal=True).any():  # a typographic minus
        return written.str.replace("\u2212", "-", literal=True).cast(pl.Float64, strict=False)
    return numbers


def is_truth(texts: pl.Series) -> bool:
    """Whether all cells are words for yes and no.

    >>> import polars as pl
    >>> is_truth(pl.Series(["ja", "nein"])), is_truth(pl.Series(["yes", "maybe"])), is_truth(pl.Series(["1", "0"]))
    (True, False, False)
    """
    # A few cells are enough to recognise most columns of texts
    words = texts.head(64).str.strip_chars().str.to_lowercase()
    if not words.is_in(list(_TRUTHS)).all() or words.null_count():
        return False
    words = texts.str.strip_chars().str.to_lowercase()
    return bool(words.is_in(list(_TRUTHS)).all()) and not words.null_count()


def advice(cell: str) -> str:
    """How to correct a cell that is not a number; empty if the reason is not clear.

    >>> advice("12%"), advice("1,234.50"), advice("red")
    ('write percentages without their sign', 'write numbers without marks between thousands', '')
    """
    said = cell.strip()
    if said.casefold() in _MISSING:
        return "the value is missing, so fill it in, or remove the row or the column"
    if said.endswith("%"):
        return "write percentages without their sign"
    if _GROUPED.fullmatch(said):
        return "write numbers without marks between thousands"
    if said.casefold() in _MARKS:
        return "write 1 where something is so, and 0 where it is not"
    return next((remedy for pattern, remedy in _ADVICE if re.fullmatch(pattern, said)), "")
