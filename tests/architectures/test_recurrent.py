import pytest
import torch

from vae_runner.architectures.recurrent import Recurrent
from vae_runner.architectures.sequences import reverse
from vae_runner.data.space import Space
from vae_runner.errors import UserError

SERIES, ROLL = Space((7, 3), "real", ragged=True), Space((7, 3), "binary", ragged=True)
TEXT, IMAGES = Space((7,), "categorical", ragged=True, categories=5), Space((2, 7, 4), "unit")
ENCODERS = ["recurrent", "bidirectional", "convolutional"]


def examples(space, n=4):
    if space.support == "categorical":
        return torch.randint(space.categories, (n, *space.shape))
    return torch.rand(n, *space.shape)


def lengths_mask(lengths, space):
    mask = (torch.arange(7) < torch.tensor(lengths)[:, None]).float()
    return mask if space is TEXT else mask[:, :, None]


@pytest.mark.parametrize("space", [SERIES, TEXT, IMAGES])
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_sequences_text_and_rows_of_images_go_to_features_and_back(space, encoder, cell):
    architecture = Recurrent(width=6, depth=2, encoder=encoder, cell=cell)
    up = architecture.bottom_up(space, 3, (2,))
    features, context = examples(space), torch.randn(4, 2)
    for level, stage in enumerate(up):
        features = stage(features, context) if level == 0 else stage(features)
        assert features.shape == (4, *stage.shape)
    down = architecture.decoder((5,), up[0].shape, space, (2,))
    x = (examples(space),) if hasattr(down, "autoregressive") else ()
    assert down(torch.randn(4, 5), context, *x).shape == (4, *down.shape) == (4, 7, 6)


@pytest.mark.parametrize("space", [ROLL, TEXT, IMAGES])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_step_at_a_time_gives_the_features_of_a_teacher_forced_pass(space, cell):
    decoder = Recurrent(width=6, depth=2, cell=cell, teacher_forcing=True).decoder((5,), (6,), space, (2,))
    z, context, x = torch.randn(4, 5), torch.randn(4, 2), examples(space)
    state, previous, found = decoder.start(z, context), None, []
    for step in range(7):
        features, state = decoder.advance(previous, state)
        found.append(features)
        previous = x.select(decoder.steps.time, step)
    torch.testing.assert_close(torch.cat(found, 1), decoder(z, context, x))


@pytest.mark.parametrize("space", [SERIES, TEXT])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_padding_changes_no_features(space, encoder):
    up = Recurrent(width=6, depth=2, encoder=encoder).bottom_up(space, 1, ())[0]
    x, lengths = examples(space), [7, 3, 1, 5]
    together = up(x, None, lengths_mask(lengths, space))
    for row, length in enumerate(lengths):
        alone = up(x[row : row + 1, :length], None, None)
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_what_follows_the_end_gets_no_gradient(encoder):
    up = Recurrent(width=6, encoder=encoder).bottom_up(SERIES, 1, ())[0]
    x, mask = examples(SERIES).requires_grad_(), lengths_mask([7, 3, 1, 5], SERIES)
    (gradient,) = torch.autograd.grad(up(x, None, mask).sum(), x)
    assert (gradient[mask.expand_as(x) == 0] == 0).all()
    assert (gradient[mask.expand_as(x) == 1] != 0).any()


def test_a_value_missing_in_the_middle_does_not_end_a_sequence():
    up = Recurrent(width=6, encoder="recurrent").bottom_up(SERIES, 1, ())[0]
    x, mask = examples(SERIES), torch.ones(4, 7, 3)
    mask[:, 2] = 0
    torch.testing.assert_close(up(x, None, mask), up(x))


def test_sequences_are_reversed_within_their_lengths():
    h = torch.arange(10.0).view(2, 5, 1)
    there = torch.tensor([[1.0, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    assert reverse(h, there).flatten(1).tolist() == [[2, 1, 0, 3, 4], [9, 8, 7, 6, 5]]


def test_a_step_is_told_those_before_it_alone():
    decoder = Recurrent(width=6).decoder((5,), (6,), ROLL, ())
    z, x = torch.randn(4, 5), examples(ROLL)
    changed = x.clone()
    changed[:, 3] = 1 - changed[:, 3]
    difference = (decoder(z, None, x) - decoder(z, None, changed)).abs().sum((0, 2))
    assert (difference[:4] == 0).all()
    assert (difference[4:] > 0).all()


def test_word_dropout_hides_the_steps_before_in_training_alone():
    decoder = Recurrent(width=6, word_dropout=1.0).decoder((5,), (6,), TEXT, ())
    z, one, other = torch.randn(4, 5), examples(TEXT), examples(TEXT)
    assert torch.equal(decoder.train()(z, None, one), decoder(z, None, other))
    assert not torch.equal(decoder.eval()(z, None, one), decoder(z, None, other))


@pytest.mark.parametrize(("space", "told"), [(SERIES, False), (IMAGES, False), (ROLL, True), (TEXT, True)])
def test_teacher_forcing_is_for_binary_data_and_text_unless_it_is_asked_for(space, told):
    default, asked = Recurrent(width=4), Recurrent(width=4, teacher_forcing=not told)
    assert hasattr(default.decoder((5,), (6,), space, ()), "autoregressive") == told
    assert hasattr(asked.decoder((5,), (6,), space, ()), "autoregressive") != told


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_context_changes_features_and_output(encoder):
    architecture = Recurrent(width=6, encoder=encoder)
    up, down = architecture.bottom_up(SERIES, 1, (2,))[0], architecture.decoder((5,), (6,), SERIES, (2,))
    x, z, one, other = examples(SERIES), torch.randn(4, 5), torch.zeros(4, 2), torch.ones(4, 2)
    assert not torch.equal(up(x, one), up(x, other))
    assert not torch.equal(down(z, one), down(z, other))


def test_vectors_are_refused():
    with pytest.raises(UserError, match=r"reads sequences.*\(64,\): type architecture=mlp"):
        Recurrent().bottom_up(Space((64,), "unit"), 1, ())


def test_dropping_steps_that_are_not_told_is_refused():
    with pytest.raises(UserError, match=r"architecture\.word_dropout=0\.3.*teacher_forcing=true"):
        Recurrent(word_dropout=0.3).decoder((5,), (6,), SERIES, ())
