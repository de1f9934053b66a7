# Copyright: the quorum.etcd contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching a file with a real shell, where only the connection is a stand-in."""
from __future__ import annotations

import hashlib
import importlib.util
import os
import pathlib
import subprocess
from types import SimpleNamespace

import pytest
from ansible.plugins.action import ActionBase

PLUGIN = pathlib.Path(__file__).resolve().parents[4] / "plugins" / "action" / "etcd_fetch.py"


@pytest.fixture(name="fetch")
def fixture_fetch(tmp_path, monkeypatch):
    """Fetches a file of some MiB; returns the result and where it is to be."""
    spec = importlib.util.spec_from_file_location("etcd_fetch", PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(ActionBase, "run", lambda *_args, **_keywords: {})
    dest = tmp_path / "here" / "a.db"

    def fetch(content, size=None, before=""):
        src = tmp_path / "a.db"
        if content is not None:
            src.write_bytes(content)
        action = object.__new__(module.ActionModule)
        sha256 = hashlib.sha256(content or b"").hexdigest()
        action._task = SimpleNamespace(args={"src": str(src), "dest": str(dest), "sha256": sha256,
                                             "size": len(content or b"") if size is None else size})

        def execute(line):
            done = subprocess.run(["/bin/sh", "-c", before + line], capture_output=True, text=True, check=False)
            return {"rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
        action._low_level_execute_command = execute
        return action.run(), dest
    return fetch


def test_all_parts_arrive(fetch, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.readlink(f"/proc/self/fd/{file}")))
    content = os.urandom(17 * 1024 * 1024 + 3)
    result, dest = fetch(content)
    assert result["changed"] and dest.read_bytes() == content
    assert str(dest.parent) in synced, "its name is to outlast a power cut, too"
    result, dest = fetch(content)
    assert not result["changed"]


def test_a_file_that_is_missing_is_named(fetch):
    result, dest = fetch(None, size=5)
    assert result["failed"] and "No such file or directory" in result["msg"]
    assert not dest.exists() and not any(dest.parent.iterdir())


def test_a_file_that_is_shorter_is_told(fetch):
    result, dest = fetch(b"x" * 5, size=9 * 1024 * 1024)
    assert result["failed"] and "5 bytes came from MiB 0 on, not 8388608: " in result["msg"]
    assert not dest.exists()
