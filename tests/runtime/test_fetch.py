"""Models fetched by name: whole and checked, or not at all."""

import http.server
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.command_line import CommandLine
from tests.runtime.pixel_bundles import write_pixel_bundle

from jpegrt.runtime.bundle import MANIFEST, fetched_bundles, find_bundle
from jpegrt.runtime.errors import RestoreError, UsageError
from jpegrt.runtime.fetch import fetch_bundle
from jpegrt.runtime.session import Session

NAME = "small-luma-x2"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder that holds the model's folder."""
    write_pixel_bundle(tmp_path / "shelf" / NAME, domain="luma", scale=2)
    return tmp_path / "shelf"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def server(shelf: Path) -> Iterator[str]:
    """The shelf's address."""
    handler = partial(_Quiet, directory=str(shelf))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


def pack(shelf: Path, archive: Path, top: str = "") -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted((shelf / NAME).iterdir()):
            packed.write(file, f"{top}{file.name}")
    return archive


def change(shelf: Path, **changes: Any) -> None:
    path = shelf / NAME / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def nothing_is_left() -> bool:
    folder = fetched_bundles()
    return not folder.exists() or list(folder.iterdir()) == []


def check(folder: Path, shelf: Path) -> None:
    """It is found by name, whole, and restores."""
    assert folder == fetched_bundles() / NAME == find_bundle(NAME).folder
    assert sorted(p.name for p in folder.iterdir()) == [MANIFEST, "only.onnx"]
    for file in folder.iterdir():
        assert file.read_bytes() == (shelf / NAME / file.name).read_bytes()
    assert [p.name for p in fetched_bundles().iterdir()] == [NAME]  # and no scratch folder
    assert Session(NAME, engine="onnxruntime", threads=1).enlargement == 2


@pytest.mark.parametrize("as_address", [False, True])
@pytest.mark.parametrize("where", ["{}", "{}/", "{}/" + NAME])
def test_from_folders(shelf: Path, where: str, as_address: bool) -> None:
    place = shelf.as_uri() if as_address else str(shelf)
    check(fetch_bundle(NAME, where.format(place)).folder, shelf)


@pytest.mark.parametrize("top", ["", f"{NAME}/"])
@pytest.mark.parametrize("as_address", [False, True])
@pytest.mark.parametrize("where", ["{}", "{}/" + NAME + ".zip"])
def test_from_zip_files(
    shelf: Path, tmp_path: Path, where: str, as_address: bool, top: str
) -> None:
    zips = tmp_path / "zips"
    zips.mkdir()
    pack(shelf, zips / f"{NAME}.zip", top)
    place = zips.as_uri() if as_address else str(zips)
    check(fetch_bundle(NAME, where.format(place)).folder, shelf)


@pytest.mark.parametrize("where", ["{}", "{}/", "{}/" + NAME])
def test_from_addresses_of_folders(shelf: Path, server: str, where: str) -> None:
    check(fetch_bundle(NAME, where.format(server)).folder, shelf)


@pytest.mark.parametrize("where", ["{}", "{}/" + NAME + ".zip"])
def test_from_addresses_of_zip_files(shelf: Path, server: str, tmp_path: Path, where: str) -> None:
    pack(shelf, shelf / f"{NAME}.zip")
    kept = Path(shutil.move(shelf / NAME, tmp_path / NAME))
    check(fetch_bundle(NAME, where.format(server)).folder, kept.parent)


def test_folders_with_blanks_and_signs(shelf: Path) -> None:
    odd = shelf.rename(shelf.with_name("a shelf, 100 %"))
    check(fetch_bundle(NAME, odd.as_uri()).folder, odd)


def refusal(name: str, where: str | Path, **options: Any) -> str:
    """The one sentence; nothing is left behind."""
    with pytest.raises(RestoreError) as caught:
        fetch_bundle(name, str(where), **options)
    assert "\n" not in str(caught.value)
    assert nothing_is_left()
    return str(caught.value)


def test_a_name_that_is_not_there(shelf: Path, server: str) -> None:
    assert "has no model sharpnet" in refusal("sharpnet", shelf)
    assert "has no model sharpnet" in refusal("sharpnet", server)
    assert "has no model sharpnet" in refusal("sharpnet", f"{server}/sharpnet.zip")
    assert "has no model" in refusal(NAME, shelf / "missing")


def test_another_model_than_was_asked_for(shelf: Path) -> None:
    assert f"is of the model {NAME}" in refusal("other", shelf / NAME)


@pytest.mark.parametrize("kind", ["folder", "server", "zip"])
def test_a_changed_byte(shelf: Path, server: str, tmp_path: Path, kind: str) -> None:
    path = shelf / NAME / "only.onnx"
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    places = {"folder": str(shelf), "server": server, "zip": str(tmp_path / "a.zip")}
    pack(shelf, tmp_path / "a.zip")
    assert "only.onnx is not the file that its manifest lists" in refusal(NAME, places[kind])


def test_a_missing_file(shelf: Path, server: str) -> None:
    (shelf / NAME / "only.onnx").unlink()
    places: list[str | Path] = [shelf, server]
    for where in places:
        assert "only.onnx is missing there" in refusal(NAME, where)


def test_a_truncated_file(shelf: Path) -> None:
    path = shelf / NAME / "only.onnx"
    path.write_bytes(path.read_bytes()[:-5])
    assert "SHA-256 differs" in refusal(NAME, shelf)


def test_a_manifest_that_is_none(shelf: Path) -> None:
    change(shelf, format=99)
    assert "manifest.json has format 99" in refusal(NAME, shelf)
    (shelf / NAME / MANIFEST).write_text("<html>not found</html>")
    assert "cannot be read" in refusal(NAME, shelf)


@pytest.mark.parametrize(
    "file", ["../escaped", "/tmp/escaped", "a/b", MANIFEST, "..", "a\\b", "c:x", ".x", "a\0b"]
)
def test_manifests_that_list_files_elsewhere(shelf: Path, tmp_path: Path, file: str) -> None:
    manifest = json.loads((shelf / NAME / MANIFEST).read_text())
    change(shelf, files=manifest["files"] | {file: {"sha256": "0" * 64}})
    assert "no plain file name" in refusal(NAME, shelf)
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize(
    "entry", ["../escaped", "/escaped", "a/../../escaped", "..\\escaped", "c:/x"]
)
def test_zip_files_that_lead_elsewhere(shelf: Path, tmp_path: Path, entry: str) -> None:
    archive = pack(shelf, tmp_path / "a.zip")
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(entry, "escaped")
    assert "would be written outside" in refusal(NAME, archive)
    assert not list(tmp_path.rglob("escaped"))


def test_zip_files_that_are_none(shelf: Path, tmp_path: Path) -> None:
    archive = pack(shelf, tmp_path / "a.zip")
    archive.write_bytes(archive.read_bytes()[:-30])
    assert "no zip file that can be read" in refusal(NAME, archive)
    archive.write_bytes(b"<html>")
    assert "no zip file that can be read" in refusal(NAME, archive)
    whole = bytearray(pack(shelf, archive).read_bytes())
    whole[120] ^= 0xFF  # within the first entry's deflated bytes
    archive.write_bytes(whole)
    assert "no zip file that can be read" in refusal(NAME, archive)


def test_models_that_are_too_large(shelf: Path, server: str, tmp_path: Path) -> None:
    size = sum(file.stat().st_size for file in (shelf / NAME).iterdir())
    bomb = tmp_path / "bomb.zip"
    (shelf / NAME / "only.onnx").write_bytes(bytes(1 << 22))
    pack(shelf, bomb)
    assert bomb.stat().st_size < 1 << 14
    pack(shelf, shelf / "packed.zip")
    for where in (shelf, server, bomb):
        assert "pass a larger --max-mib" in refusal(NAME, where, limit_bytes=1 << 20)
    said = refusal(NAME, f"{server}/packed.zip", limit_bytes=1000)
    assert "more than 1,000 bytes: to allow it" in said
    assert size < 1 << 20
    (shelf / NAME / MANIFEST).write_bytes(b" " * (17 << 20))
    assert "manifest.json is none, it is too large" in refusal(NAME, shelf)


def test_no_network() -> None:
    said = refusal(NAME, "http://127.0.0.1:1")
    assert "cannot be fetched" in said
    assert "check the address and the network" in said
    assert "name a folder or an http(s) address" in refusal(NAME, "ftp://example.org")
    assert "cannot be fetched" in refusal(NAME, "http://[")


def test_an_address_that_refuses(shelf: Path, server: str) -> None:
    class Refusing(_Quiet):
        def do_GET(self) -> None:
            self.send_error(503)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        assert "cannot be fetched: 503" in refusal(NAME, f"http://127.0.0.1:{found.server_port}")
        found.shutdown()
        thread.join()


def test_a_connection_that_breaks(shelf: Path) -> None:
    class Breaking(_Quiet):
        def do_GET(self) -> None:
            if not self.path.endswith("only.onnx"):
                return super().do_GET()
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"no more than this")

    handler = partial(Breaking, directory=str(shelf))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        said = refusal(NAME, f"http://127.0.0.1:{found.server_port}")
        assert "SHA-256 differs" in said or "cannot be fetched" in said
        found.shutdown()
        thread.join()


def test_a_folder_that_cannot_be_written(shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UsageError, match=r"file cannot be written to.*name another folder with --to"
    ):
        fetch_bundle(NAME, str(shelf), tmp_path / "file")


def test_shipped_models_are_not_fetched(shelf: Path) -> None:
    assert "comes with jpegrt" in refusal("cellnet", shelf)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden"])
def test_names_that_are_none(shelf: Path, name: str) -> None:
    assert "no model's name" in refusal(name, shelf)


def test_what_exists_is_replaced_only_if_asked(shelf: Path) -> None:
    folder = fetch_bundle(NAME, str(shelf)).folder
    (folder / "mine.txt").write_text("kept until asked")
    with pytest.raises(UsageError, match="exists: pass --overwrite"):
        fetch_bundle(NAME, str(shelf))
    (shelf / NAME / "only.onnx").rename(shelf / "aside")
    with pytest.raises(RestoreError, match="missing there"):
        fetch_bundle(NAME, str(shelf), overwrite=True)
    assert (folder / "mine.txt").exists()  # a failure leaves the old one
    (shelf / "aside").rename(shelf / NAME / "only.onnx")
    check(fetch_bundle(NAME, str(shelf), overwrite=True).folder, shelf)


def test_where_models_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert fetched_bundles() == tmp_path / "fetched-models"  # JPEGRT_MODELS, by conftest.py
    monkeypatch.delenv("JPEGRT_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert fetched_bundles() == tmp_path / "data/jpegrt/models"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetched_bundles() == tmp_path / ".local/share/jpegrt/models"


def test_command(jpegrt: CommandLine, shelf: Path, tmp_path: Path) -> None:
    outcome = jpegrt("models", "--fetch", NAME, "--from", shelf)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == (
        f"{fetched_bundles() / NAME}: 1 files, checked; use it with --model {NAME}\n"
    )
    assert f"{NAME}: " in jpegrt("models").out
    assert jpegrt("models", NAME).out.startswith(f"{NAME}: ")
    assert NAME in jpegrt("restore", "x.jpg", "-o", "x.png", "--model", "cellnot").err
    elsewhere = jpegrt("models", "--fetch", NAME, "--from", shelf, "--to", tmp_path / "mine")
    assert f"--model {tmp_path / 'mine' / NAME}" in elsewhere.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fetch", "sharpnet"], "--fetch needs --from"),
        (["--from", "shelf"], "need --fetch NAME"),
        (["cellnet", "--fetch", "sharpnet", "--from", "shelf"], "name one model"),
        (["--fetch", "sharpnet", "--from", "shelf"], "shelf has no model sharpnet"),
        (["--card"], "--card needs a model's name"),
        (["cellnot"], "unknown model cellnot"),
    ],
)
def test_command_refuses(jpegrt: CommandLine, options: list[str], said: str) -> None:
    outcome = jpegrt("models", *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.complaint


def test_help_teaches(jpegrt: CommandLine) -> None:
    told = " ".join(jpegrt("models", "--help").out.split())
    assert "jpegrt models --fetch cisr-full-x2 --from https://example.org/models" in told
    assert "JPEGRT_MODELS" in told
    assert "fetch from those you trust" in told
