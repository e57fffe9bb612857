"""The demo in the browser: a Gradio page on loopback, which contacts no other address."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from official_vision.data.video.video_files import SUFFIXES
from official_vision.errors import UserError
from official_vision.serving.demo.demo_service import Demo, tidy

if TYPE_CHECKING:
    import gradio

_TIDY_EVERY_SEC = 30.0
_MOST_WAITING = 8
_HEADERS = ["connection", "peers", "strength", "least", "mean", "greatest"]


@contextlib.contextmanager
def serving(demo: Demo, port: int | None = None) -> Iterator[str]:
    """Serves the page on 127.0.0.1 while the block runs; all uploads and results are deleted at its end.

    Args:
      demo: predicts on the videos.
      port: to listen on; None takes the first free one from Gradio's default, 7860.

    Yields:
      The page's address.

    Raises:
      UserError: Gradio is missing, or the port is taken.
    """
    ended = threading.Event()
    with tempfile.TemporaryDirectory(prefix="official-vision-demo-") as folder:
        gradio = _gradio(folder)
        page = _page(gradio, demo, Path(folder))
        keeper = threading.Thread(
            target=_keep_tidy, args=(folder, demo.limits.keep_sec, ended), daemon=True
        )
        try:
            address = _launched(gradio, page, demo, port)
            keeper.start()
            yield address
        finally:
            ended.set()
            page.close(verbose=False)


def _gradio(folder: str) -> Any:
    """Imports Gradio, an extra; it reads where uploads go and whether it may call home from the environment."""
    os.environ["GRADIO_TEMP_DIR"] = folder
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Requests to this machine must not go through a proxy.
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))
    try:
        import gradio
    except ImportError as error:
        raise UserError(
            f"The demo needs the package gradio. Received: {error}. "
            "Install it: pip install 'official-vision[demo]'."
        ) from error
    return gradio


def _page(gradio: Any, demo: Demo, folder: Path) -> gradio.Blocks:
    limits = demo.limits
    with gradio.Blocks(analytics_enabled=False, title="official_vision") as page:
        gradio.Markdown(
            "# What happens in a video\n"
            f"A file of at most {limits.megabytes} MB and {limits.video_sec:g} s. It stays on this machine "
            f"and is deleted after its prediction; the results after {limits.keep_sec / 60:g} minutes."
        )
        video = gradio.File(label="Video", file_types=list(SUFFIXES), elem_id="video")
        text = gradio.Textbox(label="Answer", lines=8, interactive=False, elem_id="text")
        overlay = gradio.Video(label="Annotated video", interactive=False, elem_id="overlay")
        timeline, gates = (
            # Without the button that shares a picture with another site.
            gradio.Image(
                label=name.capitalize(),
                type="filepath",
                interactive=False,
                elem_id=name,
                buttons=["download", "fullscreen"],
            )
            for name in ("timeline", "gates")
        )
        rows = gradio.Dataframe(
            headers=_HEADERS, label="All gates", interactive=False, elem_id="rows"
        )
        video.upload(
            _handler(gradio, demo, folder),
            [video],
            [video, text, overlay, timeline, gates, rows],
            concurrency_limit=1,
            show_progress="full",
        )
    return page.queue(max_size=_MOST_WAITING)


def _handler(gradio: Any, demo: Demo, folder: Path) -> Any:
    """Returns the handler of an upload; the first value that it gives empties the field for the next video."""

    def predicted(video: str | None, progress: Any = gradio.Progress()) -> tuple[Any, ...]:  # noqa: B008
        if video is None:
            return None, "", None, None, None, []
        output = Path(tempfile.mkdtemp(dir=folder, prefix="prediction-"))
        try:
            result = demo.predict(video, output, lambda share, what: progress(share, desc=what))
        except UserError as error:
            return None, f"error: {error}", None, None, None, []
        finally:
            Path(video).unlink(missing_ok=True)
        gates = str(result.gates) if result.gates else None
        return None, result.text, str(result.overlay), str(result.timeline), gates, result.gate_rows

    return predicted


def _launched(gradio: Any, page: gradio.Blocks, demo: Demo, port: int | None) -> str:
    # Named fonts alone: Gradio's usual ones come from another address.
    theme = gradio.themes.Default(font=["sans-serif"], font_mono=["monospace"])
    try:
        _, address, _ = page.launch(
            server_name="127.0.0.1",
            server_port=port,
            share=False,
            inbrowser=False,
            prevent_thread_lock=True,
            quiet=True,
            max_file_size=demo.limits.megabytes * 1_000_000,
            enable_monitoring=False,
            footer_links=[],
            ssr_mode=False,
            theme=theme,
            css="#text textarea { font-family: monospace; }",
        )
    except OSError as error:
        raise UserError(
            f"--port must be free. Received: {port} ({error}). Name another, or none for the next free one."
        ) from error
    return address


def _keep_tidy(folder: str, keep_sec: float, ended: threading.Event) -> None:
    while not ended.wait(min(_TIDY_EVERY_SEC, keep_sec)):
        tidy(folder, keep_sec)
