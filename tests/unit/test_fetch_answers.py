"""What a hub says and what a table pins is checked before anything is written or fetched."""

import json
from pathlib import Path
from typing import Any

import pytest

from steerability.fetch.lock import lock_table
from steerability.fetch.pins import WeightPin, read_pins, write_pins
from steerability.fetch.weights import Places
from steerability.loading.weight_file import load_path, shard_names, weights_sha256
from steerability.support.errors import UserError
from support.fetching import BODY, REPOSITORY, fetch, pin
from support.hub import Fault, Hub, sha256

HTML = b"<!doctype html><html><body>Sign in to the network</body></html>"
HEADER = ",".join(WeightPin.model_fields) + "\n"


def answering(hub: Hub, **lfs: Any) -> None:
    """Let the hub say something else of the small weight."""
    sibling = {"rfilename": "Tiny.Q8_0.gguf", "size": 5, "blobId": "0" * 40}
    sibling["lfs"] = {"sha256": sha256(BODY), "size": len(BODY), "pointerSize": 135, **lfs}
    info = {"id": REPOSITORY, "sha": lfs.pop("commit", "0" * 40), "siblings": [sibling]}
    hub.faults.append(Fault("/api/", 200, body=json.dumps(info).encode()))


@pytest.mark.parametrize(
    ("lfs", "words"),
    [
        ({"sha256": "abc"}, "the SHA-256 'abc'"),
        ({"sha256": None}, "the SHA-256 None"),
        ({"sha256": "g" * 64}, "the SHA-256 'ggg"),
        ({"sha256": sha256(BODY) + "\n"}, "the SHA-256 "),
        ({"size": -1}, "the size -1"),
        ({"size": 0}, "the size 0"),
        ({"size": "12"}, "the size '12'"),
        ({"size": 10**30}, "the size 1000"),
        ({"size": True}, "the size True"),
        ({"commit": "../../x,\n"}, "the commit "),
        ({"commit": ""}, "the commit "),
    ],
)
def test_what_a_hub_cannot_mean_is_never_written(
    hub: Hub, places: Places, said: list[str], lfs: dict[str, Any], words: str
) -> None:
    answering(hub, **lfs)
    wanted = pin(sha256=None)
    write_pins(places.table, [wanted])
    before = places.table.read_bytes()
    for act in (
        lambda: lock_table(places.table, [], said.append),
        lambda: fetch(wanted, places, said),
    ):
        with pytest.raises(UserError, match="the hub's answer cannot be right") as caught:
            act()
        assert words in str(caught.value) and "\n" not in str(caught.value)
        assert places.table.read_bytes() == before
    assert read_pins(places.table) == {"tiny": wanted}


def test_a_digest_in_capitals_is_written_in_small_letters(
    hub: Hub, places: Places, said: list[str]
) -> None:
    answering(hub, sha256=sha256(BODY).upper())
    write_pins(places.table, [pin(sha256=None)])
    assert lock_table(places.table, [], said.append) == 1
    assert read_pins(places.table)["tiny"].sha256 == sha256(BODY)


@pytest.mark.parametrize("body", [HTML, b"[]", b"{}", b'{"id": 3, "siblings": 7}', b""])
def test_a_page_in_place_of_the_hub_is_one_line(
    hub: Hub, places: Places, said: list[str], body: bytes
) -> None:
    hub.faults.append(Fault("/api/", 200, body=body, headers={"Content-Type": "text/html"}))
    with pytest.raises(UserError, match="the hub's answer cannot be right") as caught:
        fetch(pin(), places, said)
    assert "\n" not in str(caught.value)


def test_a_pin_that_cannot_be_read_again_is_not_written(places: Places) -> None:
    write_pins(places.table, [pin()])
    before = places.table.read_bytes()
    with pytest.raises(UserError, match="tiny: sha256"):
        write_pins(places.table, [pin().model_copy(update={"sha256": "ABC"})])
    assert places.table.read_bytes() == before


@pytest.mark.parametrize(
    ("row", "clause"),
    [
        ("a,hub,o/n,,x-00001-of-00000.gguf,,,MIT", "line 2: file: .*no weight has a shard 1 of 0"),
        ("a,hub,o/n,,x-00003-of-00002.gguf,,,MIT", "no weight has a shard 3 of 2"),
        ("a,hub,o/n,,x-00001-of-99999.gguf,,,MIT", "no weight has a shard 1 of 99999"),
        ("a,hub,o/n,,x-00002-of-00003.gguf,,,MIT", "is not the first shard, x-00001-of-00003"),
        ("a,hub,o/n,,../x.gguf,,,MIT", "goes down from the repository's root"),
        ("a,hub,o/n,,/x.gguf,,,MIT", "goes down from the repository's root"),
        ("a,hub,o/n,,f/,,,MIT\nb", "line 3"),
        ("a,hub,o/../n,,f.gguf,,,MIT", "line 2: repository"),
        ("a,hub,o/n,,f.gguf,,1_0,MIT", "'1_0' is no number of bytes"),
        ("a,hub,o/n,,f.gguf,,-5,MIT", "'-5' is no number of bytes"),
        ("a,hub,o/n,,f.gguf,,99999999999999999999,MIT", "line 2: bytes"),
        (f"a,hub,o/n,,f.gguf,{'A' * 64},,MIT", "line 2: sha256"),
        (f"a,url,,,example.org/x.gguf,{'a' * 64},,MIT", "must begin with http"),
        (f"a,url,,,https://h:99999/x.gguf,{'a' * 64},,MIT", "a port or a host that cannot be"),
        (f"a,url,,,https://u:p@h/x.gguf,{'a' * 64},,MIT", "a user or a password"),
        (f"a,url,,,https://h/,{'a' * 64},,MIT", "names no file"),
        ("a,hub,o/n,,f\x1b[2J.gguf,,,MIT", "holds a control character"),
        (f"{'a' * 260},hub,o/n,,f.gguf,,,MIT", "line 2: name"),
    ],
)
def test_a_wrong_pin_is_named_by_its_row(tmp_path: Path, row: str, clause: str) -> None:
    table = tmp_path / "weights.csv"
    table.write_text(HEADER + row + "\n")
    with pytest.raises(UserError, match=clause) as caught:
        read_pins(table)
    assert "\n" not in str(caught.value)


def test_a_hub_address_without_a_scheme_is_told_at_once(
    places: Places, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "mirror.example")
    with pytest.raises(UserError, match="HF_ENDPOINT: the address must begin with http"):
        fetch(pin(), places, said)


def test_weights_by_a_loop_of_links_or_a_shard_of_none_are_one_line(tmp_path: Path) -> None:
    one, two = tmp_path / "one.gguf", tmp_path / "two.gguf"
    one.symlink_to(two)
    two.symlink_to(one)
    with pytest.raises(UserError, match="a loop of links"):
        load_path(one)
    with pytest.raises(UserError, match="no weight has a shard 1 of 0"):
        weights_sha256(tmp_path / "x-00001-of-00000.gguf")
    assert shard_names("x-00002-of-00002.gguf") == [
        "x-00001-of-00002.gguf",
        "x-00002-of-00002.gguf",
    ]


def test_a_file_with_brackets_is_found_in_the_hubs_cache(
    hub: Hub, places: Places, said: list[str], tmp_path: Path
) -> None:
    cache = tmp_path / "home" / "hub" / f"models--{REPOSITORY.replace('/', '--')}"
    file = cache / "snapshots" / "0" / "x[1].gguf"
    file.parent.mkdir(parents=True)
    file.write_bytes(BODY)
    assert fetch(pin(file="x[1].gguf"), places, said).sha256 == sha256(BODY)
    assert any("the hub's cache" in line for line in said)
