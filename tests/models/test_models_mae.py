"""The masked autoencoder: the same loss as transformers' ViTMAE, and it learns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from abaw_submit.models.mae import MaskedAutoencoder, patchify
from abaw_submit.models.positions import sincos_positions
from abaw_submit.models.settings import IMAGENET_MEAN, IMAGENET_STD, DecoderSize, VitSize

SIZE = VitSize(img_size_px=32, patch_px=8, dim=64, depth=2, heads=2)
DECODER = DecoderSize(decoder_dim=32, decoder_depth=1, decoder_heads=2)


def make(normalise: bool = True) -> MaskedAutoencoder:
    torch.manual_seed(1)
    return MaskedAutoencoder(SIZE, DECODER, 0.75, normalise)


@pytest.mark.parametrize("normalise", [True, False])
def test_loss_is_that_of_transformers_vit_mae(
    normalise: bool, load_into_transformers: Callable[[torch.nn.Module, dict[str, torch.Tensor]], None]
) -> None:
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    config = ViTMAEConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=256, image_size=32,
        patch_size=8, layer_norm_eps=1e-6, decoder_hidden_size=32, decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2, decoder_intermediate_size=128, norm_pix_loss=normalise,
    )  # fmt: skip
    ours = make(normalise).eval()
    other = ViTMAEForPreTraining(config).eval()
    load_into_transformers(other, ours.official_state())
    generator = torch.Generator().manual_seed(5)
    images, noise = torch.rand(4, 3, 32, 32, generator=generator), torch.rand(4, 16, generator=generator)
    mean, std = torch.tensor(IMAGENET_MEAN).view(3, 1, 1), torch.tensor(IMAGENET_STD).view(3, 1, 1)
    with torch.no_grad():
        expected = other((images - mean) / std, noise=noise).loss
        got = ours(images, noise)
    assert got.item() == pytest.approx(expected.item(), rel=1e-5)


def test_three_quarters_of_the_patches_are_hidden_and_only_visible_ones_are_seen() -> None:
    model = make().eval()
    images, noise = torch.rand(2, 3, 32, 32), torch.rand(2, 16)
    with torch.no_grad():
        rows = patchify(images, 8)
        predicted, hidden = model.reconstruct(rows, noise)
        assert hidden.shape == (2, 12)
        assert predicted.shape == (2, 12, 8 * 8 * 3)
        changed = rows.clone()
        changed[0, hidden[0]] = 0.5  # other pixels in every hidden patch
        assert torch.equal(model.reconstruct(changed, noise)[0], predicted)
        seen = sorted(set(range(16)) - set(hidden[0].tolist()))
        changed[0, seen[0]] = 0.5
        assert not torch.allclose(model.reconstruct(changed, noise)[0][0], predicted[0], atol=1e-3)


def test_patches_are_rows_of_pixels_with_their_channels_together() -> None:
    image = torch.arange(2 * 4 * 4, dtype=torch.float32).view(1, 2, 4, 4)
    first = patchify(image, 2)[0, 1]  # the upper right patch: pixels 2, 3, 6, 7 of both channels
    assert first.tolist() == [2, 18, 3, 19, 6, 22, 7, 23]


def test_positions_follow_the_published_formula() -> None:
    got = sincos_positions(8, 3)[0].numpy()
    assert (got[0] == 0).all()
    row, column = 2, 1
    rates = 1 / 10000 ** (np.arange(2) / 2)
    expected = np.concatenate([f(place * rates) for place in (column, row) for f in (np.sin, np.cos)])
    np.testing.assert_allclose(got[1 + row * 3 + column], expected, rtol=1e-6)


def test_a_whole_official_checkpoint_comes_back() -> None:
    source, target = make(), MaskedAutoencoder(SIZE, DECODER)
    target.load_official(source.official_state())
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))


def test_it_learns_to_paint_a_repeated_picture() -> None:
    model = make()
    images = torch.rand(1, 3, 32, 32).expand(8, -1, -1, -1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    before = model(images).item()
    for _ in range(80):
        optimizer.zero_grad()
        loss = model(images)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3 * before
