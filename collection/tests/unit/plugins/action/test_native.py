# Copyright: the quorum.etcd contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The native runner against a real shell: only the connection and the executable are stand-ins."""
from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.playbook.play_context import PlayContext
from ansible.plugins.connection import ConnectionBase
from ansible.template import Templar

try:  # ansible-core 2.19 and later render only what is marked as a template.
    from ansible.parsing.vault import EncryptedString, VaultSecretsContext
    from ansible.template import trust_as_template
except ImportError:
    from ansible.parsing.yaml.objects import AnsibleVaultEncryptedUnicode

    def trust_as_template(text):
        return text

    def vaulted(ciphertext, secrets):
        value = AnsibleVaultEncryptedUnicode(ciphertext)
        value.vault = VaultLib(secrets)
        return value
else:
    def vaulted(ciphertext, secrets):
        VaultSecretsContext.initialize(VaultSecretsContext(secrets))
        return EncryptedString(ciphertext=ciphertext.decode())

PLUGIN = pathlib.Path(__file__).resolve().parents[4] / "plugins" / "action" / "native.py"
# The stand-in for the executable: says how it was called and with what.
EXECUTABLE = """#!/bin/sh
[ "$2" = - ] && args=$(cat) || { args=$(cat "$2"); mode=$(stat -c %a "$2"); }
printf '{"changed": true, "called": "%s", "by": "%s", "mode": "%s", "env": "%s", "args": %s}' "$*" "$0" "$mode" "$PROBE" "$args"
"""
MACHINE = os.uname().machine


def shells():
    """The shells that stand behind /bin/sh on one distribution or another."""
    found = [pytest.param(["/bin/sh"], id="sh")]
    for command in (["dash"], ["bash", "--posix"], ["busybox", "sh"]):
        path = shutil.which(command[0])
        found.append(pytest.param([path, *command[1:]], id=command[0],
                                  marks=pytest.mark.skipif(not path, reason=f"no {command[0]} here")))
    return found


class FakeConnection(ConnectionBase):
    """A target that is this machine, with a home directory of its own."""

    has_pipelining = True
    transport = "fake"

    def __init__(self, home):
        super().__init__(PlayContext())
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home)}
        self.options = {"remote_user": "tester"}
        self.shell = ["/bin/sh"]
        self.terminal = None  # What takes the place of standard input.
        self.cut = None  # Bytes of standard input that arrive when the connection breaks.
        self.stdin, self.commands, self.put = [], [], []
        self.answers = []  # Results to give instead of running anything.

    def _connect(self):
        return self

    def close(self):
        pass

    def get_option(self, option, hostvars=None):
        return self.options.get(option)

    def exec_command(self, cmd, in_data=None, sudoable=True):
        self.commands.append(cmd)
        self.stdin.append(in_data)
        if self.answers:
            return self.answers.pop(0)
        piped = in_data and self.terminal is None
        process = subprocess.Popen([*self.shell, "-c", cmd.replace("/bin/sh", " ".join(self.shell))], env=self.env,
                                   stdin=subprocess.PIPE if piped else self.terminal or subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if piped:
            # As ssh does: whoever stops reading early costs the answer.
            process.stdin.write(in_data[:self.cut] if len(in_data) > 500 else in_data)
            process.stdin.close()
            process.stdin = None
        stdout, stderr = process.communicate(timeout=60)
        return process.returncode, stdout, stderr

    def put_file(self, in_path, out_path):
        self.put.append((in_path, out_path))
        shutil.copyfile(in_path, out_path)

    def fetch_file(self, in_path, out_path):
        raise NotImplementedError


class Target:
    """One task on one fake target."""

    def __init__(self, tmp_path, monkeypatch):
        self.home = tmp_path / "home"
        self.home.mkdir(mode=0o700)
        self.cache = self.home / ".ansible" / "quorum.etcd"
        self.bin = tmp_path / "bin"
        self.executable = self.bin / MACHINE / "quorum-etcd"
        self.executable.parent.mkdir(parents=True)
        self.connection = FakeConnection(self.home)
        self.connection._shell.set_options(direct={"remote_tmp": str(self.home / "tmp")})
        spec = importlib.util.spec_from_file_location("native_under_test", PLUGIN)
        self.native = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.native)
        monkeypatch.setattr(self.native, "BIN_DIR", str(self.bin))
        self.task = SimpleNamespace(action="quorum.etcd.etcd_info", args={"endpoints": ["https://10.0.0.1:2379"]}, async_val=0,
                                    check_mode=False, diff=False, no_log=False, delegate_to=None, environment=[])
        self.vars = {"inventory_hostname": "node-1"}
        self.build(EXECUTABLE)

    def build(self, text):
        """Makes the executable that the collection holds."""
        self.executable.write_text(text)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self.cached = self.cache / self.digest

    def run(self):
        loader = DataLoader()
        plugin = self.native.ActionModule(self.task, self.connection, PlayContext(), loader,
                                          Templar(loader, variables=self.vars), None)
        before = len(self.connection.commands)
        result = plugin.run(task_vars=self.vars)
        self.trips = len(self.connection.commands) - before
        return result

    def refused(self):
        result = self.run()
        assert result["failed"] is True
        assert result["error"] == {"kind": "io"}
        assert result["msg"].startswith("cannot run etcd_info on node-1: ")
        return result["msg"]


@pytest.fixture
def target(tmp_path, monkeypatch):
    return Target(tmp_path, monkeypatch)


@pytest.fixture
def mounted():
    """Mounts small file systems, where the machine lets us."""
    mounts = []

    def mount(path, options):
        path.mkdir(exist_ok=True, parents=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True, check=False).returncode:
            pytest.skip("mounting is not allowed here")
        mounts.append(path)
        return path

    yield mount
    for path in mounts:
        subprocess.run(["umount", path], check=True)


# The fast path

@pytest.mark.parametrize("shell", shells())
def test_first_task_uploads_and_every_later_one_is_a_single_round_trip(target, shell):
    target.connection.shell = shell
    assert target.run()["changed"] is True
    assert target.trips == 3
    result = target.run()
    assert target.trips == 1
    assert result["called"] == "etcd_info -"
    assert result["by"] == str(target.cached)
    assert result["args"]["endpoints"] == ["https://10.0.0.1:2379"]
    assert stat.S_IMODE(target.cache.stat().st_mode) == 0o700
    assert stat.S_IMODE(target.cached.stat().st_mode) == 0o700


def test_a_cached_executable_needs_nothing_but_the_plugin(target):
    """Every task on every host compiles what it imports from a collection."""
    rare = "ansible_collections.quorum.etcd.plugins.plugin_utils.native_install"
    pathlib.Path(f"{target.executable}.sha256").write_text(target.digest + "\n")
    target.connection.options["ssh_args"] = "-o ControlMaster=auto -o ControlPersist=60s"
    target.run()
    assert sys.modules.pop(rare)
    assert target.run()["changed"] is True
    assert rare not in sys.modules


def test_options_that_only_look_like_a_terminal(target):
    target.connection.options["ssh_args"] = "-o ControlPath=/tmp/my-tunnel -o RequestTTY=no"
    target.run()
    assert not target.connection.put


def test_busybox_tools_are_enough(target, tmp_path):
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("no busybox here")
    tools = tmp_path / "tools"
    tools.mkdir()
    for applet in subprocess.check_output([busybox, "--list"], text=True).split():
        (tools / applet).symlink_to(busybox)
    target.connection.shell = [busybox, "sh"]
    target.connection.env["PATH"] = str(tools)
    assert target.run()["changed"] is True
    target.run()
    assert target.trips == 1


def test_the_command_is_one_line(target):
    target.run()
    assert all("\n" not in command for command in target.connection.commands)


def test_arguments_go_to_standard_input_only(target):
    target.task.args = {"login_password": "p4ssw0rd-in-args"}
    target.run()
    assert not any("p4ssw0rd" in command for command in target.connection.commands)
    assert not any("p4ssw0rd" in path.read_text(errors="replace") for path in target.home.rglob("*") if path.is_file())


def test_large_arguments_are_read_to_the_end_even_when_nothing_is_cached(target):
    target.task.args = {"text": "x" * 500_000}
    assert len(target.run()["args"]["text"]) == 500_000


def test_flags_of_the_task_arrive(target):
    target.task.check_mode = target.task.diff = target.task.no_log = True
    args = target.run()["args"]
    assert (args["_ansible_check_mode"], args["_ansible_diff"], args["_ansible_no_log"]) == (True, True, True)
    assert {"_ansible_verbosity", "_ansible_version"} <= set(args)
    target.task.check_mode = target.task.diff = target.task.no_log = False
    args = target.run()["args"]
    assert (args["_ansible_check_mode"], args["_ansible_diff"]) == (False, False)


@pytest.mark.parametrize("action", ["etcd_info", "quorum.etcd.etcd_info", "ansible.legacy.etcd_info"])
def test_module_is_named_by_the_task(target, action):
    target.task.action = action
    assert target.run()["called"] == "etcd_info -"


def test_values_arrive_as_given(target):
    target.task.args = {"text": "it's \"so\" $HOME `x` \\ {{ not }} \u00e9\n\t", "number": 7, "none": None, "deep": [{"a": [True, 1.5]}]}
    args = target.run()["args"]
    assert {key: args[key] for key in target.task.args} == target.task.args


def test_environment_of_the_task_reaches_the_module(target):
    target.task.environment = [{"PROBE": "it's set"}]
    assert target.run()["env"] == "it's set"


def test_noise_before_the_result_is_skipped(target):
    target.build(EXECUTABLE.replace("printf", "echo 'Welcome to node-1'; printf", 1))
    assert target.run()["changed"] is True


def test_results_are_no_templates_and_carry_no_internal_keys(target):
    target.build("""#!/bin/sh\ncat >/dev/null; echo '{"text": "{{ 1 + 1 }}", "_ansible_no_log": false}'\n""")
    result = target.run()
    assert result == {"text": "{{ 1 + 1 }}"}
    template = Templar(DataLoader(), variables={"registered": result})
    assert template.template(trust_as_template("{{ registered.text }}")) == "{{ 1 + 1 }}"
    assert template.template(result["text"]) == "{{ 1 + 1 }}"


def test_vaulted_values_are_decrypted(target):
    secrets = [("default", VaultSecret(b"vault-pass"))]
    ciphertext = VaultLib(secrets).encrypt("from-the-vault")
    target.task.args = {"login_password": vaulted(ciphertext, secrets)}
    assert target.run()["args"]["login_password"] == "from-the-vault"


# The cache

def test_the_digest_is_taken_once_and_again_after_any_change(target, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    taken = tmp_path / "taken"
    counting = tools / "sha256sum"
    counting.write_text(f"#!/bin/sh\necho >>{taken}\nexec {shutil.which('sha256sum')} \"$@\"\n")
    counting.chmod(0o755)
    target.connection.env["PATH"] = f"{tools}:{os.environ['PATH']}"
    target.run()
    before = len(taken.read_text())
    target.run()
    assert len(taken.read_text()) == before
    known = target.cached.stat()
    target.cached.write_bytes(target.cached.read_bytes().replace(b"true", b"TRUE"))
    os.utime(target.cached, ns=(known.st_atime_ns, known.st_mtime_ns))
    assert target.cached.stat().st_size == known.st_size
    assert target.run()["changed"] is True
    assert len(taken.read_text()) > before
    assert target.trips == 3


@pytest.mark.parametrize("harm", [
    lambda path: path.write_text("#!/bin/sh\necho '{\"changed\": false, \"evil\": true}'\n"),
    lambda path: os.truncate(path, 20),
    lambda path: path.unlink(),
    lambda path: (path.unlink(), path.symlink_to("/bin/true")),
    lambda path: (path.unlink(), path.mkdir()),
], ids=["tampered", "truncated", "gone", "symlink", "directory"])
def test_what_is_not_the_executable_never_runs_and_is_replaced(target, harm):
    target.run()
    harm(target.cached)
    assert target.run()["changed"] is True
    assert target.trips == 3
    target.run()
    assert target.trips == 1


def test_a_directory_that_was_open_to_others_is_closed_and_emptied(target):
    target.run()
    stale = target.cache / ("0" * 64)
    stale.write_text("")
    target.cache.chmod(0o777)
    assert target.run()["changed"] is True
    assert target.trips == 3
    assert not stale.exists()
    assert stat.S_IMODE(target.cache.stat().st_mode) == 0o700


def test_a_new_version_is_uploaded_and_the_oldest_are_pruned(target):
    digests = []
    for version in range(5):
        target.build(EXECUTABLE + f"# {version}\n")
        target.run()
        os.utime(target.cached, (version, version))
        digests.append(target.digest)
    kept = digests[-3:]
    assert {path.name for path in target.cache.iterdir()} == {*kept, *(f".seen.{digest}" for digest in kept)}


def test_only_our_own_files_are_pruned(target):
    target.cache.mkdir(parents=True, mode=0o755)
    (target.cache / "notes").write_text("mine")
    for number in range(5):
        (target.cache / f"{number}file").write_text("mine")
    target.run()
    assert len(list(target.cache.iterdir())) == 8


def test_leftovers_of_interrupted_uploads_go(target):
    target.run()
    target.cached.unlink()
    left = target.cache / ".new.abcdef"
    left.write_text("half")
    os.utime(left, (time.time() - 7200,) * 2)
    target.run()
    assert {path.name for path in target.cache.iterdir()} == {target.digest, f".seen.{target.digest}"}


def test_a_home_of_another_user_is_not_used(target, monkeypatch):
    """sudo without -H keeps HOME; the one in the user database counts then."""
    if os.geteuid():
        pytest.skip("needs root to make another user's directory")
    os.chown(target.home, 12345, 12345)
    result = target.run()
    assert not result["by"].startswith(str(target.home))
    pathlib.Path(result["by"]).unlink()


def test_cache_directory_can_be_set(target, tmp_path):
    del target.connection.env["HOME"]
    target.vars["quorum_etcd_cache_dir"] = trust_as_template("{{ base }}/else where")
    target.vars["base"] = str(tmp_path)
    (tmp_path / "else where").mkdir(mode=0o1777)
    assert target.run()["by"] == str(tmp_path / "else where" / f"quorum.etcd.{os.geteuid()}" / target.digest)
    target.run()
    assert target.trips == 1


def test_delegated_tasks_use_the_delegates_variable(target, tmp_path):
    target.task.delegate_to = "other"
    target.vars["quorum_etcd_cache_dir"] = "/nonexistent/mine"
    target.vars["ansible_delegated_vars"] = {"other": {"quorum_etcd_cache_dir": str(tmp_path)}}
    assert target.run()["by"].startswith(str(tmp_path / "quorum.etcd."))


# Refusals: each names the thing, the cause and the next step

def test_relative_cache_directory_is_refused(target):
    target.vars["quorum_etcd_cache_dir"] = "cache"
    assert "quorum_etcd_cache_dir is 'cache', which is not an absolute path" in target.refused()
    assert target.trips == 0


def test_cache_directory_that_everyone_can_write_is_refused(target, tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    target.vars["quorum_etcd_cache_dir"] = str(tmp_path / "open")
    assert "is writable by everyone" in target.refused()


def test_symlinked_cache_is_refused(target, tmp_path):
    target.cache.parent.mkdir()
    target.cache.symlink_to(tmp_path)
    assert f"{target.cache} is a symbolic link" in target.refused()
    assert target.trips == 1


def test_cache_of_another_user_is_refused(target):
    if os.geteuid():
        pytest.skip("needs root to make another user's directory")
    target.cache.mkdir(parents=True)
    os.chown(target.cache, 12345, 12345)
    assert "does not belong to user root" in target.refused()


def test_unsupported_machine_is_named(target, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "uname").write_text("#!/bin/sh\necho riscv64\n")
    (tools / "uname").chmod(0o755)
    target.connection.env["PATH"] = f"{tools}:{target.connection.env['PATH']}"
    message = target.refused()
    assert "the machine is riscv64, and this collection holds executables for " + MACHINE in message
    target.connection.has_pipelining = False
    assert target.refused() == message


def test_collection_without_executables(target):
    target.executable.unlink()
    assert "no executables in " + str(target.bin) in target.refused()
    assert target.trips == 0


def test_missing_sha256sum(target, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cat", "uname", "ls", "id"):
        (tools / name).symlink_to(shutil.which(name))
    target.connection.env["PATH"] = str(tools)
    target.connection.shell = [shutil.which("sh")]
    assert "no sha256sum" in target.refused()
    assert target.trips == 1


@pytest.mark.parametrize("large", [False, True])
def test_full_disk(target, mounted, large):
    target.build(EXECUTABLE + "#" * 200_000)
    mounted(target.home, "size=64k,mode=700")
    if large:
        target.task.args = {"text": "x" * 500_000}
    message = target.refused()
    assert "cannot be stored" in message and "No space left on device" in message and "quorum_etcd_cache_dir" in message
    assert target.trips == 2
    assert list(target.cache.iterdir()) == []


def test_read_only_home(target, mounted):
    mounted(target.home, "ro,mode=700")
    message = target.refused()
    assert "Read-only file system" in message and "quorum_etcd_cache_dir" in message


def test_home_that_may_not_start_programs(target, mounted):
    mounted(target.home, "noexec,mode=700")
    message = target.refused()
    assert "noexec" in message and "quorum_etcd_cache_dir" in message
    assert target.trips == 3


def test_broken_upload_is_not_kept_and_not_repeated(target):
    target.build(EXECUTABLE + "#" * 5000)
    target.connection.cut = 3000
    target.task.args = {}
    target.connection.stdin.clear()
    assert "arrived damaged" in target.refused()
    assert target.trips == 2
    assert list(target.cache.iterdir()) == []


def test_executable_that_vanishes_after_the_upload_is_not_uploaded_again(target):
    target.connection.answers = [(99, f"@quorum.etcd upload {MACHINE}\n".encode(), b""), (99, b"@quorum.etcd ready\n", b""),
                                 (99, f"@quorum.etcd upload {MACHINE}\n".encode(), b"")]
    assert "uploaded and is gone or changed again" in target.refused()
    assert target.trips == 3


def test_async_is_refused(target):
    target.task.async_val = 10
    assert "remove 'async' and 'poll'" in target.refused()
    assert target.trips == 0


# Results that are none

@pytest.mark.parametrize("text, expected", [
    ("echo 'thread main panicked' >&2; exit 134", "exit code 134 and without a result: thread main panicked"),
    ("echo '{\"changed\": tr'; exit 1", "exit code 1 and without a result"),
    ("for n in 1 2 3 4 5 6 7 8 9; do echo \"line $n\" >&2; done; exit 3", "line 5\nline 6\nline 7\nline 8\nline 9"),
])
def test_output_that_is_no_result(target, text, expected):
    target.build(f"#!/bin/sh\ncat >/dev/null; {text}\n")
    assert expected in target.refused()


@pytest.mark.parametrize("rc", [137, -9])
def test_killed_executable(target, rc):
    target.connection.answers = [(rc, b"", b"")]
    assert f"exit code {rc}, killed as by a lack of memory and without a result: it printed nothing" in target.refused()


def test_secrets_in_what_was_printed_are_masked(target):
    target.task.args = {"login_password": "s3cret-value", "files": [{"content": "first secret line\nsecond secret line\n"}]}
    target.build("#!/bin/sh\ncat >&2; echo 'and s3cret-value, second secret line' >&2; exit 2\n")
    message = target.refused()
    assert "s3cret-value" not in message and "secret line" not in message and "********" in message


def test_failing_exit_code_with_a_result_that_says_nothing_of_it(target):
    target.build("#!/bin/sh\ncat >/dev/null; echo '{\"changed\": true}'; exit 4\n")
    result = target.run()
    assert result["failed"] is True and "exit code 4" in result["msg"]


def test_failure_of_the_module_is_passed_on(target):
    target.build("#!/bin/sh\ncat >/dev/null; echo '{\"failed\": true, \"msg\": \"no\", \"error\": {\"kind\": \"tls\"}}'; exit 1\n")
    assert target.run() == {"failed": True, "msg": "no", "error": {"kind": "tls"}}


# Digests

def test_digest_written_by_the_stage_is_used(target):
    sidecar = pathlib.Path(f"{target.executable}.sha256")
    sidecar.write_text(target.digest + "  quorum-etcd\n")
    have = target.executable.stat()
    target.executable.read_bytes()
    assert target.native.digest_of(str(target.executable), have.st_mtime_ns, have.st_size) == target.digest
    assert target.run()["changed"] is True


@pytest.mark.parametrize("content", ["", "not a digest\n", "0" * 63])
def test_digest_file_that_makes_no_sense_is_ignored(target, content):
    pathlib.Path(f"{target.executable}.sha256").write_text(content)
    assert target.run()["changed"] is True


def test_digest_file_older_than_the_executable_is_ignored(target):
    sidecar = pathlib.Path(f"{target.executable}.sha256")
    sidecar.write_text("0" * 64 + "  quorum-etcd\n")
    os.utime(sidecar, (time.time() - 60,) * 2)
    assert target.run()["changed"] is True


def test_digest_file_of_another_executable_is_found_out(target):
    pathlib.Path(f"{target.executable}.sha256").write_text("0" * 64 + "  quorum-etcd\n")
    assert "is not the digest of the executable beside it" in target.refused()


# Connections that cannot carry standard input

def without_pipelining(target):
    target.connection.has_pipelining = False


def with_su(target):
    target.connection.become = SimpleNamespace(name="su", pipelining=False, get_option=lambda option, **_kw: None,
                                               build_become_command=lambda cmd, shell: cmd)


def with_a_terminal(target):
    target.connection.options["ssh_extra_args"] = "-o ControlPersist=no -tt"


def with_a_terminal_by_option(target):
    target.connection.options["ssh_args"] = "-o RequestTTY=force"


@pytest.mark.parametrize("hinder", [without_pipelining, with_su, with_a_terminal, with_a_terminal_by_option])
def test_files_are_used_and_removed(target, hinder):
    hinder(target)
    target.task.args = {"login_password": "in-the-file"}
    result = target.run()
    assert result["changed"] is True
    assert result["args"]["login_password"] == "in-the-file"
    assert result["mode"] == "600"
    assert result["called"].startswith("etcd_info /") and result["called"].endswith("/args")
    assert not any(target.connection.stdin)
    assert not any("in-the-file" in command for command in target.connection.commands)
    assert not list((target.home / "tmp").rglob("*"))
    assert not target.cache.exists()


def test_files_are_removed_after_a_failure_too(target):
    without_pipelining(target)
    target.build("#!/bin/sh\nexit 3\n")
    assert "exit code 3" in target.refused()
    assert not list((target.home / "tmp").rglob("*"))


def test_files_are_used_when_sudo_wants_a_terminal(target):
    target.connection.answers = [(1, b"", b"sudo: sorry, you must have a tty to run sudo\n")]
    assert target.run()["mode"] == "600"
    assert len(target.connection.put) == 2


def test_files_are_used_when_the_target_sees_a_terminal(target):
    """As with RequestTTY in ssh's own configuration: no end of input would ever arrive there."""
    primary, target.connection.terminal = os.openpty()
    assert target.run()["mode"] == "600"
    os.close(primary)
    os.close(target.connection.terminal)


def test_json_is_exactly_one_object_on_standard_input(target):
    target.run()
    sent = target.connection.stdin[-1]
    assert json.loads(sent)["endpoints"] == ["https://10.0.0.1:2379"]
