"""Progress of a download: plain lines, a few seconds apart, and nothing else on the terminal."""

import logging

from huggingface_hub.utils.tqdm import _create_progress_bar

from rigsa import hub


def test_progress_is_lines_of_bytes(monkeypatch, caplog, capsys) -> None:
    now = [100.0]
    monkeypatch.setattr(hub.time, "monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO, logger="rigsa.hub"):
        # As snapshot_download makes its bars, even where it is told to show none.
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        bar = _create_progress_bar(
            cls=hub._Lines, log_level=logging.ERROR, name="x", total=0, unit="B", unit_scale=True
        )
        bar.total += 2_000_000_000
        for _ in range(4):
            now[0] += 3
            bar.n += 250_000_000
            bar.refresh()
        bar.close()
        with hub._Lines(total=3, desc="Fetching 3 files") as files:
            files.update(3)
            now[0] += 100
            files.refresh()
    assert caplog.messages == [
        "500 of 2000 MB, 83.3 MB/s, 18 s left",
        "1000 of 2000 MB, 83.3 MB/s, 12 s left",
    ]
    assert capsys.readouterr() == ("", "")
