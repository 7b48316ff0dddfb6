"""Texts as a picture, in letters of one width, so that those of two epochs stand in the same places."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw
from torch import Tensor

from vae_runner.data.tokens import END
from vae_runner.reporting.grids import BACKGROUND, INK, LARGEST_FONT, MARGIN, MARK, font_of, width_of

WIDTH = 100  # letters in a line
LINE, GROUP_GAP = 18, 8
WRONG, PALE = MARK, (150, 150, 150)
RETURN = "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}"  # stands for a line break


@dataclass
class Row:
    """Tokens (T,) with a label before them; those that differ from the `target` (T,) are marked.

    known: a line follows so many tokens.
    """

    tokens: Tensor
    label: str = ""
    target: Tensor | None = None
    known: int = 0


def page(
    rows: Sequence[Row], vocabulary: Sequence[str], *, group: int | None = None, title: str | None = None
) -> Image.Image:
    """The texts of the rows, each up to its end, long ones going on below; a gap follows each `group` of rows."""
    texts = [_letters(row, vocabulary) for row in rows]
    lines = [max(-(-len(letters) // WIDTH), 1) for letters in texts]
    mono, plain = font_of(LARGEST_FONT, "DejaVuSansMono"), font_of(LARGEST_FONT)
    letter = mono.getlength("m")
    left = MARGIN + max(width_of(row.label) for row in rows)
    left += MARGIN if left > MARGIN else 0
    top = MARGIN + (LARGEST_FONT + MARGIN if title else 0)
    longest = min(max(max(len(letters) for letters in texts), rows[0].tokens.shape[0]), WIDTH)
    gaps = GROUP_GAP * ((len(rows) - 1) // group if group else 0)
    width = max(left + round(longest * letter) + MARGIN, 2 * MARGIN + width_of(title or ""))
    canvas = Image.new("RGB", (width, top + sum(lines) * LINE + gaps + MARGIN), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    if title:
        draw.text((MARGIN, MARGIN), title, fill=INK, font=plain, anchor="lt")
    y = top
    for index, (row, letters, height) in enumerate(zip(rows, texts, lines, strict=True)):
        y += GROUP_GAP if group and index and not index % group else 0
        draw.text((left - MARGIN, y + LINE / 2), row.label, fill=PALE, font=plain, anchor="rm")
        for place, (character, colour) in enumerate(letters):
            line, column = divmod(place, WIDTH)
            at = (left + column * letter, y + (line + 0.5) * LINE)
            draw.text(at, character, fill=colour, font=mono, anchor="lm")
        if row.known:
            known = len(_letters(Row(row.tokens[: row.known]), vocabulary))
            line = min(known // WIDTH, height - 1)
            x = left + (known - line * WIDTH) * letter - 1
            draw.line((x, y + line * LINE, x, y + (line + 1) * LINE), fill=MARK)
        y += height * LINE
    return canvas


def _letters(row: Row, vocabulary: Sequence[str]) -> list[tuple[str, tuple[int, int, int]]]:
    """Each letter and its colour."""
    letters = []
    targets = [None] * len(row.tokens) if row.target is None else row.target.tolist()
    for token, target in zip(row.tokens.tolist(), targets, strict=True):
        if token == END:
            break
        for character in vocabulary[token]:
            shown, colour = (RETURN, PALE) if character == "\n" else (character, INK)
            letters.append((shown, colour if target in (None, token) else WRONG))
    return letters
