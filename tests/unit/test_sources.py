"""The table of outside files, and reading them only as they are pinned."""

import hashlib

import pytest

from mirror import MIRROR, NEEDS_MIRROR, REPOSITORY
from steerability.fetch.sources import Source, SourceFolder, read_sources
from steerability.support.errors import UserError

HEADER = "name,repository,commit,path,sha256,bytes,licence\n"
TEXT = b"pears,\nplums\r\n"
GOOD = {
    "name": "fruit/list.csv",
    "repository": "orchard/fruit",
    "commit": "a" * 40,
    "path": "lists/All fruit – 1.csv",
    "sha256": hashlib.sha256(TEXT).hexdigest(),
    "bytes": str(len(TEXT)),
    "licence": "none",
}


def table_of(tmp_path, *rows):
    table = tmp_path / "sources.csv"
    table.write_text(HEADER + "".join(",".join(row.values()) + "\n" for row in rows), "utf-8")
    return table


def folder_of(tmp_path, content=TEXT):
    folder = SourceFolder(table_of(tmp_path, GOOD), tmp_path / "sources")
    folder.path("fruit/list.csv").parent.mkdir(parents=True)
    folder.path("fruit/list.csv").write_bytes(content)
    return folder


def test_the_tracked_table_pins_the_suite_and_all_18_runs():
    sources = read_sources(REPOSITORY / "config" / "sources.csv")
    suite = [source for name, source in sources.items() if name.startswith("instrumentaleval/")]
    logs = [name for name in sources if name.endswith("/stdout.log")]
    settings = [name for name in sources if name.endswith("/config.json")]
    assert (len(sources), len(suite), len(logs), len(settings)) == (42, 6, 18, 18)
    assert len({name.split("/")[1] for name in logs}) == 6
    assert {source.commit for source in suite} == {"269678168cf0388bf5dd7d10dfaed4af07905c49"}
    assert {sources[name].commit for name in logs} == {"f698626c63be1275c223ad617f1c0f3837cf5f2e"}
    assert {source.licence for source in sources.values()} == {"none"}


def test_a_url_is_percent_encoded():
    source = Source.model_validate(GOOD)
    assert source.url("http://localhost:1/raw/") == (
        f"http://localhost:1/raw/orchard/fruit/{'a' * 40}/lists/All%20fruit%20%E2%80%93%201.csv"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../up"),
        ("name", "/root"),
        ("name", "a//b"),
        ("name", "a/../b"),
        ("name", ".hidden"),
        ("path", "../up"),
        ("path", "/etc/passwd"),
        ("path", "a/./b"),
        ("path", "a\\b"),
        ("path", ""),
        ("repository", "orchard"),
        ("repository", "../.."),
        ("commit", "main"),
        ("sha256", "0" * 63),
        ("bytes", "0"),
        ("bytes", "99999999999"),
        ("licence", ""),
    ],
)
def test_a_row_that_could_lead_astray_is_refused(tmp_path, field, value):
    table = table_of(tmp_path, GOOD, {**GOOD, "name": "other", field: value})
    with pytest.raises(UserError, match=rf"sources\.csv line 3: {field}: "):
        read_sources(table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,path\n", "line 1: the columns are not name,repository"),
        (HEADER + "a,b\n", "line 2: not 7 fields"),
        (HEADER + 2 * (",".join(GOOD.values()) + "\n"), "line 3: fruit/list.csv stands twice"),
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path, text, message):
    table = tmp_path / "sources.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_sources(table)
    with pytest.raises(UserError, match="cannot be read"):
        read_sources(tmp_path / "none.csv")


def test_a_file_is_read_as_pinned(tmp_path):
    folder = folder_of(tmp_path)
    assert folder.read("fruit/list.csv") == TEXT
    assert folder.text("fruit/list.csv") == TEXT.decode()


def test_a_changed_file_is_named_with_both_digests_and_the_mend(tmp_path):
    changed = TEXT.replace(b"pears", b"pearz")
    with pytest.raises(UserError) as caught:
        folder_of(tmp_path, changed).read("fruit/list.csv")
    text = str(caught.value)
    assert "sources/fruit/list.csv: differs from its pin" in text
    assert hashlib.sha256(changed).hexdigest() in text
    assert GOOD["sha256"] in text
    assert "steerability fetch fruit/list.csv" in text
    assert "bytes" not in text


def test_a_file_of_another_size_says_so(tmp_path):
    with pytest.raises(UserError, match=r"\(3 bytes, pinned 14\)"):
        folder_of(tmp_path, b"abc").read("fruit/list.csv")


def test_missing_files_and_names_are_told(tmp_path):
    folder = SourceFolder(table_of(tmp_path, GOOD), tmp_path / "sources")
    with pytest.raises(UserError, match=r"No such file.*steerability fetch fruit/list\.csv"):
        folder.read("fruit/list.csv")
    with pytest.raises(UserError, match=r"no outside file is called fruit.*fruit/list\.csv"):
        folder.read("fruit")


@NEEDS_MIRROR
def test_the_tracked_table_is_the_mirrors():
    import csv

    with (MIRROR / "SOURCES.csv").open(encoding="utf-8", newline="") as file:
        theirs = {row["path"]: (row["sha256"], int(row["bytes"])) for row in csv.DictReader(file)}
    sources = read_sources(REPOSITORY / "config" / "sources.csv").values()
    assert {source.path: (source.sha256, source.bytes) for source in sources} == theirs
