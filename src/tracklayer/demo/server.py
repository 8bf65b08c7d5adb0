"""A real TrackLayer server for the demo: a process of its own, with its data in a directory that is thrown away."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Self

import msgspec

START_TIMEOUT = 60.0  # seconds; a server that ends is noticed at once
STOP_TIMEOUT = 15.0


class ServerFailed(Exception):
    """The server did not start; the message ends with what it said."""


class DemoServer:
    """`async with DemoServer() as server:` runs one on a free port of this machine; it may reach this machine only."""

    def __init__(self) -> None:
        self.key = f"tl_live_demo_{secrets.token_hex(12)}"
        self.url = ""
        self._directory = tempfile.TemporaryDirectory(prefix="tracklayer-demo-")
        self._log = Path(self._directory.name) / "server.log"
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tracklayer", "serve"),
                env=self._environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C is for the demo, which then stops the server in good order
            )
        try:
            async with asyncio.timeout(START_TIMEOUT):
                self.url = await self._listening(self._process)
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> int:
        """Stop it and throw its data away; answers its exit status."""
        assert self._process is not None  # noqa: S101 (entered)
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                status = await self._process.wait()
        except TimeoutError:
            self._process.kill()
            status = await self._process.wait()
        self._directory.cleanup()
        return status

    def complaints(self) -> list[str]:
        """The warnings and errors of its log; what it says to people is indented."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [line for line in lines if line.strip() and not line.startswith("  ") and '"level":"info"' not in line]

    def _environment(self) -> dict[str, str]:
        """Ours without the user's settings, which are not meant for a demo."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("TRACKLAYER_")}
        return own | {
            "TRACKLAYER_PORT": "0",
            "TRACKLAYER_DATA_DIR": self._directory.name,
            "TRACKLAYER_ADMIN_KEY": self.key,
            "TRACKLAYER_ALLOW_NETWORKS": "127.0.0.0/8",
        }

    async def _listening(self, process: asyncio.subprocess.Process) -> str:
        """The address that its log tells. Raises `ServerFailed` when it ends instead."""
        while True:
            ended = process.returncode is not None
            lines = self._log.read_bytes().splitlines()
            for line in lines:
                if line.startswith(b"{") and line.endswith(b"}"):
                    fields = msgspec.json.decode(line, type=dict[str, object])
                    if fields.get("event") == "listening":
                        return str(fields["url"])
            if ended:
                said = b"\n".join(lines[-5:]).decode(errors="replace")
                raise ServerFailed(f"the server ended with status {process.returncode}:\n{said}")
            await asyncio.sleep(0.05)
