# Copyright: the quorum.etcd contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches a large file of root's from a host without Python, which ansible.builtin.fetch cannot do.

Options: src, the file on the host; dest, its path here; size and sha256, what must arrive. Parts of it come as text, so it
works with every connection and every way to become root, and takes little memory. The file is there whole or not at all.
"""
from __future__ import annotations

import base64
import hashlib
import os
import shlex

from ansible.plugins.action import ActionBase

MEBIBYTE = 1024 * 1024
PART = 8  # In MiB.


class ActionModule(ActionBase):
    """Runs `dd` and `base64` on the host, as often as it takes."""

    _supports_check_mode = False

    def run(self, tmp=None, task_vars=None):
        """Fetches the file, unless it is here already."""
        super().run(tmp, task_vars)
        src, dest, sha256 = (self._task.args[name] for name in ("src", "dest", "sha256"))
        size = int(self._task.args["size"])
        result = {"src": src, "dest": dest, "size": size, "sha256": sha256, "changed": False}
        try:
            if digest_of(dest) != sha256:
                self._fetch(src, dest, size, sha256)
                result["changed"] = True
        except (OSError, ValueError) as error:
            result.update(failed=True, msg=f"cannot fetch {src} to {dest}: {error}")
        return result

    def _fetch(self, src, dest, size, sha256):
        os.makedirs(os.path.dirname(dest), mode=0o700, exist_ok=True)
        part = os.path.join(os.path.dirname(dest), f".{os.path.basename(dest)}.{os.getpid()}.part")
        digest = hashlib.sha256()
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                for start in range(0, -(-size // MEBIBYTE), PART):
                    content = self._part(src, start, min(PART * MEBIBYTE, size - start * MEBIBYTE))
                    digest.update(content)
                    file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if digest.hexdigest() != sha256:
                raise ValueError(f"what arrived has the SHA-256 {digest.hexdigest()}, not {sha256}; "
                                 "it may have been replaced meanwhile, so run it again")
            os.replace(part, dest)
            sync_directory(os.path.dirname(dest))
        finally:
            if os.path.exists(part):
                os.unlink(part)

    def _part(self, src, start, due):
        # A missing file ends dd, but not base64, whose exit code is the one that comes. With a terminal, what they complain
        # of comes among the text.
        done = self._low_level_execute_command(
            f"dd if={shlex.quote(src)} bs={MEBIBYTE} skip={start} count={PART} status=none | base64")
        lines = (done["stdout"] + "\n" + done["stderr"]).splitlines()
        said = "; ".join(line for line in lines if line.startswith(("dd:", "base64:")))
        if done["rc"]:
            raise ValueError(said or done["stderr"].strip() or f"base64 ended with exit code {done['rc']}")
        content = base64.b64decode("".join(line for line in done["stdout"].splitlines() if ":" not in line))
        if len(content) != due:
            raise ValueError(f"{len(content)} bytes came from MiB {start} on, not {due}: "
                             f"{said or 'it may have been replaced meanwhile'}; run it again")
        return content


def sync_directory(path):
    """Makes a new name in the directory outlast a power cut."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def digest_of(path):
    """The SHA-256 of a file, or nothing where there is none."""
    if not os.path.exists(path):
        return None
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(MEBIBYTE), b""):
            digest.update(block)
    return digest.hexdigest()
