"""Forms of options that several verbs take."""

import pytest

from steerability.support.errors import UserError
from steerability.support.options import number_or_auto


def test_a_whole_number_or_auto() -> None:
    assert number_or_auto("auto", least=0, where="--gpu-layers") is None
    assert number_or_auto("0", least=0, where="--gpu-layers") == 0
    assert number_or_auto("12", least=1, where="--parallel") == 12


@pytest.mark.parametrize("text", ["0", "-1", "²", "x", ""])
def test_anything_else_is_one_line(text: str) -> None:
    with pytest.raises(
        UserError, match=r"--parallel: is .*; give auto or a whole number from 1 on"
    ):
        number_or_auto(text, least=1, where="--parallel")
