"""The computed table of what the paper's run needs."""

from pathlib import Path

import pytest

from steerability.plan import needs


def test_the_page_is_what_the_arithmetic_says() -> None:
    assert Path("docs/needs.md").read_text(encoding="utf-8") == needs.page()


def test_the_arithmetic_by_hand() -> None:
    instruct = needs.CHECKPOINTS[1]
    found = needs.needs_of(instruct)
    assert found.width == 64
    # 4 rounds of 1,024 steps; 4.28 GB and 64 x 790 tokens x 147,456 bytes a step, 1.675 TB/s
    step = (4.28e9 + 64 * 790 * 147_456) / 1.675e12 + 0.005
    prompts = 213 * 5 * 4.28e9 / 1.675e12
    assert found.seconds == pytest.approx(4 * 1024 * step + prompts, rel=1e-6)


def test_every_checkpoint_fits_the_card_and_rounds_cover_all_cells() -> None:
    for checkpoint in needs.CHECKPOINTS:
        found = needs.needs_of(checkpoint)
        assert found.card <= 0.9 * needs.CARD_BYTES
        assert 1 <= found.width <= 64
