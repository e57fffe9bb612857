"""The demo's page in a real browser: a clip is dropped, what comes is seen, and nothing stays."""

import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from official_vision.serving.demo.demo_service import Demo, DemoLimits
from tests.browser import opened
from tests.serving import exports

pytest.importorskip("gradio", reason="Gradio is not installed")

from official_vision.serving.demo import demo_page

pytestmark = pytest.mark.slow
FIELD = "#video input[type=file]"
TEXT = "#text textarea"


@pytest.fixture(scope="module")
def served(exported):
    """The page's address and the folder of uploads and results; both are gone after the tests."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED", "HF_HUB_OFFLINE", "NO_PROXY"):
            patched.setenv(name, "")
        with demo_page.serving(Demo(exported[1], DemoLimits(megabytes=1))) as address:
            folder = Path(demo_page.os.environ["GRADIO_TEMP_DIR"])
            assert folder.parent == Path(tempfile.gettempdir())
            yield address, folder
        assert not folder.exists()


@pytest.fixture(scope="module")
def clip(footage, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "carphone.mp4"
    return exports.first_frames(footage["carphone_pristine"], 12, path)


def files_in(folder, suffix):
    return [path for path in folder.rglob(f"*{suffix}") if "prediction-" not in str(path.parent)]


def drop(page, path, begins):
    """Uploads a file as a drop does, and returns the text about it."""
    page.set_input_files(FIELD, str(path))
    page.wait_for_function(
        f"document.querySelector('{TEXT}').value.startsWith({begins!r})", timeout=60_000
    )
    return page.input_value(TEXT)


def test_a_dropped_video_is_shown_and_kept_nowhere(served, browser, clip):
    address, folder = served
    with opened(browser, address) as watched:
        page = watched.page
        text = drop(page, clip, "carphone.mp4 (0.5 s)")
        assert all(label in text for label in exports.LABELS)
        assert "Gates of the clip that begins at" in text
        page.wait_for_function("document.querySelector('#overlay video')?.readyState >= 2")
        video = page.eval_on_selector("#overlay video", "v => [v.videoHeight, v.duration]")
        assert video == [360, pytest.approx(12 / 25, abs=0.05)]
        for picture, width in (("#timeline img", 1000), ("#gates img", 1400)):
            page.wait_for_function(f"document.querySelector('{picture}')?.naturalWidth > 0")
            assert page.eval_on_selector(picture, "i => i.naturalWidth") == width
        assert "opened by" in page.inner_text("#rows")
        assert "Drop File Here" in page.inner_text("#video")  # ready for the next one
        remote = [url for url in watched.requests if url.startswith(("http", "ws"))]
        assert remote
        assert all(url.startswith(address) for url in remote), remote
        assert not [line for line in watched.problems if "exception" in line]
    assert files_in(folder, ".mp4") == []


def test_a_truncated_file_is_reported_and_the_next_one_scored(served, browser, clip, tmp_path):
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    address, folder = served
    with opened(browser, address) as watched:
        page = watched.page
        text = drop(page, cut, "error: ")
        assert text.startswith("error: cut.mp4: cut short")
        assert str(folder) not in text
        assert page.query_selector("#overlay video") is None
        assert drop(page, clip, "carphone.mp4").startswith("carphone.mp4 (0.5 s)")
    assert files_in(folder, ".mp4") == []


def test_a_file_that_is_too_large_is_refused_by_the_server_too(served, browser, tmp_path):
    address, folder = served
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(1_100_000))
    with opened(browser, address) as watched:
        watched.page.set_input_files(FIELD, str(large))
        watched.page.wait_for_selector("text=/exceed the maximum allowed size/")
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="large.mp4"\r\n\r\n'
    request = urllib.request.Request(
        f"{address}gradio_api/upload",
        head + large.read_bytes() + b"\r\n--x--\r\n",
        {"Content-Type": "multipart/form-data; boundary=x"},
    )
    before = set(folder.rglob("*"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError, match="413"):
        opener.open(request)
    assert set(folder.rglob("*")) == before
