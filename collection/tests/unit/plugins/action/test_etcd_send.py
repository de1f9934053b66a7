# Copyright: the quorum.etcd contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending a file with a real shell, where only the connection is a stand-in."""
from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import stat
import subprocess
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

MEBIBYTE = 1024 * 1024


class Host:
    """A target that is this machine: where the file goes, what arrives on standard input, what is put there as files."""

    def __init__(self, tmp_path, module):
        self.module = module
        self.src = tmp_path / "it.db"
        self.dir = tmp_path / "there"
        self.tmp = tmp_path / "of-the-user"
        self.piped, self.put, self.seen = [], [], []
        self.options, self.lost_after, self.before = {}, None, ""

    def dest(self, content):
        return self.dir / f".quorum-restore-{hashlib.sha256(content).hexdigest()[:16]}.db"

    def act(self, content, check_mode=False, **changes):
        action = object.__new__(self.module.ActionModule)
        self.src.write_bytes(content)
        args = {"src": str(self.src), "dest": str(self.dest(content)), "sha256": hashlib.sha256(content).hexdigest()}
        action._task = SimpleNamespace(args={**args, **changes}, check_mode=check_mode)
        shell = SimpleNamespace(tmpdir=None, join_path=os.path.join)
        action._connection = SimpleNamespace(
            _shell=shell, become=None, has_pipelining=True, transport="fake", get_option=self.options.get, put_file=self._put)

        def execute(line, in_data=None):
            if in_data:
                self.piped.append(len(in_data))
                if self.lost_after is not None and len(self.piped) > self.lost_after:
                    raise AnsibleConnectionFailure("the host is gone")
            given = {"input": in_data} if in_data else {"stdin": subprocess.DEVNULL}
            done = subprocess.run(["/bin/sh", "-c", self.before + line], capture_output=True, check=False, **given)
            self.seen += [(path.name, stat.S_IMODE(path.stat().st_mode)) for path in self.dir.glob(".*")]
            return {"rc": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}

        def make_tmp_path():
            self.tmp.mkdir(mode=0o700)
            shell.tmpdir = str(self.tmp)
            return shell.tmpdir
        action._low_level_execute_command = execute
        action._make_tmp_path = make_tmp_path
        action._remove_tmp_path = lambda path, force: shutil.rmtree(path)
        return action.run()

    def _put(self, src, dest):
        self.put.append(os.path.getsize(src))
        shutil.copyfile(src, dest)


@pytest.fixture(name="host")
def fixture_host(tmp_path, monkeypatch):
    monkeypatch.setattr(ActionBase, "run", lambda *_args, **_keywords: {})
    return Host(tmp_path, importlib.import_module("ansible_collections.quorum.etcd.plugins.action.etcd_send"))


def test_it_arrives_in_parts_and_only_once(host):
    content = os.urandom(17 * MEBIBYTE + 3)
    assert host.act(content, check_mode=True)["changed"] and not host.dir.exists()
    result = host.act(content)
    assert result == {"dest": str(host.dest(content)), "changed": True}
    assert host.dest(content).read_bytes() == content
    assert host.piped == [16 * MEBIBYTE, MEBIBYTE + 3]
    # Beside its name until it is whole, for nobody else to read, and nowhere else.
    name = host.dest(content).name
    assert not host.put and not host.tmp.exists()
    assert set(host.seen) == {(f"{name}.part", 0o600), (name, 0o600)}
    assert host.seen[-1] == (name, 0o600) and stat.S_IMODE(host.dir.stat().st_mode) == 0o700
    assert not host.act(content)["changed"]
    assert len(host.piped) == 2


@pytest.mark.parametrize("way", ["options", "requiretty"])
def test_without_standard_input_parts_go_as_small_files(host, way):
    content = os.urandom(16 * MEBIBYTE + 3)
    if way == "options":
        host.options["ssh_args"] = "-tt"
    else:
        host.before = "if [ -p /dev/stdin ]; then echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1; fi; "
    assert "failed" not in host.act(content)
    assert host.dest(content).read_bytes() == content
    assert host.put == [16 * MEBIBYTE, 3]
    assert not host.tmp.exists()


def test_what_others_left_goes_and_nothing_else(host):
    host.dir.mkdir()
    others = [host.dest(b"older"), host.dir / f"{host.dest(b'older').name}.part", host.dir / f"{host.dest(b'it').name}.part"]
    kept = [host.dir / name for name in ("snapshot.db", ".quorum-other", "quorum-restore-1.db")]
    for path in others + kept:
        path.write_bytes(b"x")
    (host.dir / ".quorum-restore-dir").mkdir()
    assert host.act(b"it")["changed"]
    assert host.dest(b"it").read_bytes() == b"it"
    assert not any(path.exists() for path in others) and all(path.exists() for path in kept)
    others[0].write_bytes(b"x")
    # It is there, and what others left is not to be.
    assert host.act(b"it", check_mode=True)["changed"] and others[0].exists()
    assert host.act(b"it")["changed"] and not others[0].exists()
    assert host.act(b"it", state="absent")["changed"]
    assert sorted(path.name for path in host.dir.iterdir()) == [
        ".quorum-other", ".quorum-restore-dir", "quorum-restore-1.db", "snapshot.db"]
    assert not host.act(b"it", state="absent")["changed"]


def test_nothing_remains_of_what_failed(host):
    content = os.urandom(40 * MEBIBYTE)
    result = host.act(content, sha256="0" * 64)
    assert result["failed"] and "what arrived has the SHA-256 " in result["msg"]
    assert not any(host.dir.iterdir())
    host.lost_after = len(host.piped) + 1
    result = host.act(content)
    assert result["failed"] and result["msg"].endswith("the host is gone")
    host.lost_after = None
    host.before = "ulimit -f 20000; "
    result = host.act(content)
    assert result["failed"] and result["msg"].startswith(f"cannot send {host.src} to {host.dest(content)}: ")
    assert not any(host.dir.iterdir())


def test_a_name_of_somebody_else_is_refused(host):
    host.dir.mkdir()
    mine = host.dir / "snapshot.db"
    mine.write_bytes(b"mine")
    for changes in ({}, {"state": "absent"}):
        result = host.act(b"it", dest=str(mine), **changes)
        assert result["failed"] and "does not begin with .quorum-restore-" in result["msg"]
    assert mine.read_bytes() == b"mine"
