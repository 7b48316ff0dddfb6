"""Text as tokens, and back."""

import pytest
import torch

from vae_runner.data.number_words import lines, phrases
from vae_runner.data.text import Text
from vae_runner.data.tokens import CHARACTERS, WORDS, to_text, to_tokens
from vae_runner.errors import UserError

NAMES = "anna\nbob\n\ncarla\ndan\n"
WHOLE = {"validation": 0, "test": 0}


def written(tmp_path, text: str) -> str:
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    return str(tmp_path / "text.txt")


def texts(data, split) -> list[str]:
    return to_text(split.take(torch.arange(len(split)))[0], data.space.vocabulary)


def test_lines_come_back_from_their_tokens(tmp_path):
    data = Text(path=written(tmp_path, NAMES), **WHOLE).open()
    assert texts(data, data.train) == ["anna", "bob", "carla", "dan"]
    assert data.space.shape == (6,)
    assert data.space.support == "categorical"
    assert data.space.ragged
    assert data.space.categories == len(data.space.vocabulary) == 2 + len(set("annabobcarladan"))


def test_a_line_counts_up_to_its_end_and_the_rest_is_zero(tmp_path):
    data = Text(path=written(tmp_path, NAMES), **WHOLE).open()
    batch = data.batch(data.train, torch.arange(4))
    assert batch.x.dtype == torch.int64
    assert batch.mask.sum(1).tolist() == [5, 4, 6, 4]
    assert ((batch.x != 0).sum(1) == batch.mask.sum(1) - 1).all()


def test_a_line_that_is_too_long_has_no_end(tmp_path):
    data = Text(path=written(tmp_path, NAMES), steps=4, **WHOLE).open()
    assert texts(data, data.train) == ["anna", "bob", "carl", "dan"]
    assert data.batch(data.train, torch.arange(4)).mask.sum(1).tolist() == [4, 4, 4, 4]


def test_the_vocabulary_is_that_of_the_training_text(tmp_path):
    path = written(tmp_path, "".join(f"{chr(0x4E00 + i)}a\n" for i in range(50)))
    data = Text(path=path, validation=10, test=10).open()
    assert len(data.space.vocabulary) == 2 + 1 + 30
    assert texts(data, data.test) == ["�a"] * 10


def test_the_most_frequent_tokens_are_kept(tmp_path):
    data = Text(path=written(tmp_path, "aaab\nabc\nbd\n"), vocabulary=2, **WHOLE).open()
    assert data.space.vocabulary == ("", "�", "a", "b")
    assert texts(data, data.train) == ["aaab", "ab�", "b�"]


@pytest.mark.parametrize("unit", ["characters", "words"])
@pytest.mark.parametrize(
    "text", ["It's done, isn't it?", "(a) one-two  three", "ünïcode — 好", "end.\n\n  indented\nlast", '"Yes," he said']
)
def test_text_is_the_same_after_it_was_tokens(unit, text):
    vocabulary = (*CHARACTERS, *sorted(set(text)))
    if unit == "words":
        vocabulary = (*WORDS, " It's", " It", " done", ",", " isn't", " it", "?", "(", ")", " one", "-", "two", " ")
        vocabulary += (" three", "a", " ünïcode", " —", " 好", " end", ".", "\n", " indented", " last", '"', "Yes")
        vocabulary += (" he", " said")
    tokens = to_tokens(text, vocabulary)
    assert (tokens > 1).all()
    assert to_text(tokens[None], vocabulary) == [text]
    assert len(tokens) <= len(text)


def test_a_word_that_is_not_known_is_marked():
    vocabulary = (*WORDS, " the", " king")
    tokens = to_tokens("the late king", vocabulary)
    assert tokens.tolist() == [2, 1, 3]
    assert to_text(tokens[None], vocabulary) == ["the � king"]


def test_nothing_is_read_after_the_end():
    assert to_text(torch.tensor([[2, 0, 2], [0, 2, 2], [2, 2, 2]]), (*CHARACTERS, "a")) == ["a", "", "aaa"]


def test_words_are_fewer_than_characters(tmp_path):
    path = written(tmp_path, "one two three\nthree two\n")
    data = Text(path=path, unit="words", **WHOLE).open()
    assert data.space.shape == (4,)
    assert set(data.space.vocabulary) == {"", " �", " one", " two", " three"}
    assert texts(data, data.train) == ["one two three", "three two"]


@pytest.mark.parametrize("unit", ["characters", "words"])
def test_running_text_is_split_in_time_and_cut_into_windows_that_follow_one_another(tmp_path, unit):
    text = "".join(f"line {i} of the text\n" for i in range(300))
    data = Text(path=written(tmp_path, text), unit=unit, layout="running", steps=10).open()
    assert not data.space.ragged
    assert data.space.shape == (10,)
    tokens = to_tokens(text, data.space.vocabulary)
    tested = round(0.1 * len(tokens))
    validated = round(0.1 * (len(tokens) - tested))
    parts = tokens.split([len(tokens) - tested - validated, validated, tested])
    for split, part in zip((data.train, data.validation, data.test), parts, strict=True):
        assert torch.equal(split.x.flatten(), part[: len(part) // 10 * 10])


def test_lines_can_begin_with_their_class(tmp_path):
    path = written(tmp_path, "fish\ta carp\nbird\ta crow\nfish\tcod\twith chips\n")
    data = Text(path=path, labelled=True, **WHOLE).open()
    assert (data.space.class_names, data.space.classes) == (("bird", "fish"), 2)
    assert data.train.y.tolist() == [1, 0, 1]
    assert texts(data, data.train) == ["a carp", "a crow", "cod\twith chips"]


def test_without_a_file_there_are_phrases_of_three_classes():
    data = Text().open()
    assert list(data.space.class_names) == ["date", "number", "time"]
    known = phrases()
    for split in (data.train, data.validation, data.test):
        for text, label in zip(texts(data, split), split.y.tolist(), strict=True):
            assert text in known[data.space.class_names[label]]
    assert data.train.y.bincount().min() > 200


def test_no_phrase_comes_twice():
    everything = lines()
    assert len(set(everything)) == len(everything) == 1030
    assert "nine hundred and ninety-nine" in phrases()["number"]
    assert {"the thirty-first of march", "the twelfth of july", "the twentieth of may"} <= set(phrases()["date"])


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        ("a\nb\n", {"layout": "running"}, "data.layout=running: give data.steps, the tokens of an example"),
        ("a\nb\n", {"layout": "running", "steps": 1, "path": None}, "data.layout=running: .* give data.path"),
        (
            "a\nb\n",
            {"layout": "running", "steps": 1, "labelled": True},
            "data.labelled=true: running text .* no classes",
        ),
        ("a\nb\n", {"labelled": True}, "no tab in the line: a"),
        ("a\nb\n", {"binarize": "threshold"}, "data.binarize=threshold"),
        (" \n", {}, "no text"),
        (
            "abc" * 50,
            {"layout": "running", "steps": 100},
            "data.steps=100: .* has 150 steps, .*type data.steps=14 or less",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, content, settings, message):
    with pytest.raises(UserError, match=message):
        Text(**{"path": written(tmp_path, content), **settings}).open()


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(UserError, match="not text in UTF-8"):
        Text(path=str(tmp_path / "x.bin")).open()
    with pytest.raises(UserError, match="No such file"):
        Text(path=str(tmp_path / "absent.txt")).open()
