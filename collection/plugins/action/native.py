# Copyright: the quorum.etcd contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the collection's modules, which are one static executable, in one round trip per task.

The target keeps the executable in a directory only its user can write, named by its SHA-256, and checks it before every
call; the arguments travel on standard input. Where the connection cannot carry standard input, executable and arguments
go as files into the task's temporary directory, and are removed after the call.
"""
from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import shlex

from ansible.module_utils.json_utils import _filter_non_json_lines
from ansible.plugins.action import ActionBase
from ansible.utils.unsafe_proxy import wrap_var

try:  # ansible-core 2.19 and later: tagged and vaulted values.
    from ansible.module_utils.common.json import Direction, get_module_encoder
    JSON_OPTIONS = {"cls": get_module_encoder("legacy", Direction.CONTROLLER_TO_MODULE)}
except ImportError:
    from ansible.module_utils.common.json import AnsibleJSONEncoder
    JSON_OPTIONS = {"cls": AnsibleJSONEncoder, "vault_to_text": True}

BIN_DIR = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "modules", "__bin")
ANSWER_RC = 99  # The scripts below end with it when they answer themselves; the executable ends with 0 or 1.

# No newline, no single quote: one line that survives being quoted three times. `say` reads standard input to its end,
# because a sender that is cut off reports a lost connection instead of our reason.
COMMON = r"""
[ ! -t 0 ] || { echo "@quorum.etcd terminal"; exit 99; };
say() { cat >/dev/null; printf "@quorum.etcd %s\n" "$*"; exit 99; };
a=$(uname -m); case $a in amd64) a=x86_64;; arm64) a=aarch64;; esac;
m=$1; c=$2; d=; shift 2; for p; do case $p in "$a="*) d=${p#*=};; esac; done;
[ "$d" ] || say arch "$a";
command -v sha256sum >/dev/null || say sha256sum;
if [ "$c" ]; then
case $(ls -ld "$c/.") in d???????w[!tT]*) say unsafe "$c is writable by everyone";; esac; c=$c/quorum.etcd.$(id -u);
else h=$HOME;
if [ -z "$h" ] || [ ! -O "$h" ]; then u=$(id -un); case $u in *[!A-Za-z0-9._-]*) say home "$u";; esac; eval "h=~$u"; fi;
case $h in /*) c=$h/.ansible/quorum.etcd;; *) say home "$u";; esac;
fi;
[ ! -L "$c" ] || say unsafe "$c is a symbolic link";
[ ! -e "$c" ] || [ -d "$c" ] || say unsafe "$c is not a directory";
[ ! -e "$c" ] || [ -O "$c" ] || say unsafe "$c does not belong to user $(id -un)";
private() { case $(ls -ld "$c") in drwx--[-S]---*) ;; *) return 1;; esac; };
f=$c/$d; good() { [ -f "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] && s=$(sha256sum <"$1") && [ "${s%% *}" = "$d" ]; };
"""
RUN = COMMON + r"""
[ -d "$c" ] && private && good "$f" && exec "$f" "$m" -;
say upload "$a"
"""
# In a directory that was open to others, they may still hold any file open for writing: all executables there go. The two
# newest other digests stay otherwise, so that two controllers with different versions do not take turns uploading.
PUT = COMMON + r"""
umask 077; LC_ALL=C; export LC_ALL;
others() { ls -1t "$c" | grep -Ex "[0-9a-f]{64}" | grep -vx "$d" | tail -n "+$1" | while read -r o; do rm -rf "$c/$o"; done; };
e=$(mkdir -p "$c" 2>&1) || say write "$e";
private || { e=$(chmod 00700 "$c" 2>&1) || say write "$e"; others 1; };
t=$(mktemp "$c/.new.XXXXXX" 2>&1) || say write "$t";
trap "rm -f \"\$t\"" EXIT; trap "exit 99" HUP INT TERM;
e=$({ cat >"$t"; } 2>&1) || say write "$e";
good "$t" || say damaged "$c";
e=$({ chmod 0700 "$t" && rm -rf "$f" && mv -f "$t" "$f"; } 2>&1) || say write "$e";
find "$c" -name ".new.*" -mmin +60 -exec rm -f {} + 2>/dev/null;
others 3;
say ready
"""
ELSEWHERE = "set quorum_etcd_cache_dir to a directory that {user} can write and start programs from"
REASONS = {
    "arch": "the machine is {detail}, and this collection holds executables for {arches}; "
            "build one for {detail}, or take the host out of this play",
    "sha256sum": "it has no sha256sum, which checks the executable before each call; install coreutils or busybox",
    "home": "user '{detail}' has no home directory to keep the executable in; " + ELSEWHERE,
    "unsafe": "{detail}, so an executable kept there could be replaced by others; remove it, or " + ELSEWHERE,
    "write": "the executable cannot be stored ({detail}); make room or allow it, or " + ELSEWHERE,
    "damaged": "the executable arrived damaged in {detail}; run the play again, and check that disk and the connection",
    "upload": "the executable was uploaded and is gone or changed again; "
              "find what alters files in the cache directory, or " + ELSEWHERE,
    "noexec": "the stored executable may not be started ({detail}), as on a file system mounted noexec; " + ELSEWHERE,
}


@functools.lru_cache
def digest_of(path, mtime_ns, size):
    """The SHA-256 of an executable: as the stage wrote it beside it, unless that is older; computed once otherwise."""
    with contextlib.suppress(FileNotFoundError), open(path + ".sha256", encoding="ascii") as sidecar:
        written = re.match(r"([0-9a-f]{64})\s", sidecar.read(100) + "\n")
        # Installing a collection does not keep times, and writes the two files in any order.
        if written and mtime_ns <= os.fstat(sidecar.fileno()).st_mtime_ns + 2e9:
            return written[1]
    with open(path, "rb") as executable:
        return hashlib.sha256(executable.read()).hexdigest()


class Refusal(Exception):
    """The module cannot be run; the text is for the user."""


class ActionModule(ActionBase):
    """Runs module NAME as `quorum-etcd NAME -` on the target."""

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Runs the task's module, and returns its result."""
        task_vars = task_vars or {}
        # resolved_action names this plugin instead of the module on ansible-core up to 2.18.
        self._module = self._task.action.rsplit(".", 1)[-1]
        self._host = self._task.delegate_to or task_vars.get("inventory_hostname", "the target")
        try:
            return self._run(task_vars)
        except Refusal as refusal:
            # Raising it further would make older cores print an empty traceback.
            return {"failed": True, "msg": str(refusal), "error": {"kind": "io"}}

    def _run(self, task_vars):
        if self._task.async_val:
            self._fail("async needs Python on the target; remove 'async' and 'poll' from the task")
        super().run(None, task_vars)
        args = dict(self._task.args)
        self._update_module_args(self._task.action, args, task_vars)
        self._args = json.dumps(args, **JSON_OPTIONS).encode("utf-8", "surrogateescape")
        own_vars = task_vars.get("ansible_delegated_vars", {}).get(self._task.delegate_to) or task_vars
        self._cache_dir = self._templar.template(own_vars.get("quorum_etcd_cache_dir")) or ""
        if self._cache_dir and not self._cache_dir.startswith("/"):
            self._fail(f"quorum_etcd_cache_dir is '{self._cache_dir}', which is not an absolute path; start it with /")
        self._executables = {arch: os.path.join(BIN_DIR, arch, "quorum-etcd")
                             for arch in (os.listdir(BIN_DIR) if os.path.isdir(BIN_DIR) else ())
                             if os.path.isfile(os.path.join(BIN_DIR, arch, "quorum-etcd"))}
        if not self._executables:
            self._fail(f"this copy of the collection has no executables in {BIN_DIR}; install a released one, or stage it")
        if getattr(self._connection._shell, "_IS_WINDOWS", False):
            self._fail("it is a Windows machine, and etcd runs on Linux; take the host out of this play")
        return self._result(self._run_from_stdin() if self._takes_stdin() else self._run_from_files())

    def _takes_stdin(self):
        """Whether standard input reaches the command as it is; the `pipelining` setting itself does not matter."""
        become = self._connection.become
        # Up to ansible-core 2.18, become plugins do not say it themselves.
        return (self._connection.has_pipelining and (not become or getattr(become, "pipelining", become.name != "su"))
                and not re.search(r"(^|\s)-t+(\s|$)|requesttty[\s=]+(yes|force)", self._ssh_options(), re.IGNORECASE))

    def _ssh_options(self):
        """What the user gives to ssh; a terminal asked for in ssh's own configuration is noticed on the target."""
        options = ""
        for name in ("ssh_args", "ssh_common_args", "ssh_extra_args"):
            with contextlib.suppress(KeyError):
                options += f" {self._connection.get_option(name) or ''}"
        return options

    def _run_from_stdin(self):
        with self._plain_stdin():
            done = self._script(RUN, self._args)
            word, detail = self._answer(done)
            if word == "terminal" or "must have a tty" in done["stderr"]:  # sudo says so with requiretty.
                return self._run_from_files()
            if word == "upload":
                self._upload(detail)
                done = self._script(RUN, self._args)
                word, detail = self._answer(done)
        if word:
            self._refuse(word, detail)
        if done["rc"] == 126:
            self._refuse("noexec", self._last_lines(done))
        return done

    @contextlib.contextmanager
    def _plain_stdin(self):
        """The local connection puts a terminal on standard input to ask for a password, except when pipelining."""
        before = self._connection.get_option("pipelining") if self._connection.transport == "local" else True
        try:
            if not before:
                self._connection.set_option("pipelining", True)
            yield
        finally:
            if not before:
                self._connection.set_option("pipelining", before)

    def _upload(self, arch):
        with open(self._executables[arch], "rb") as executable:
            content = executable.read()
        if hashlib.sha256(content).hexdigest() != self._digest(arch):
            self._fail(f"{self._executables[arch]}.sha256 is not the digest of the executable beside it; "
                       "install or stage the collection again")
        done = self._script(PUT, content)
        word, detail = self._answer(done)
        if word != "ready":
            self._refuse(word or "write", detail or self._last_lines(done) or f"exit code {done['rc']}")

    def _run_from_files(self):
        """The slow way: everything in the task's temporary directory, which is removed in any case."""
        arch = (self._low_level_execute_command("uname -m", sudoable=False)["stdout"].split() or ["unknown"])[-1]
        arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(arch, arch)
        if arch not in self._executables:
            self._refuse("arch", arch)
        shell = self._connection._shell
        tmp = shell.tmpdir or self._make_tmp_path()
        try:
            executable, arguments = (shell.join_path(tmp, name) for name in ("quorum-etcd", "args"))
            self._transfer_file(self._executables[arch], executable)
            self._transfer_data(arguments, self._args)
            self._remote_chmod([arguments], "0600")
            self._fixup_perms2([arguments], execute=False)
            self._fixup_perms2([tmp, executable])
            command = shlex.join([executable, self._module, arguments])
            return self._low_level_execute_command(f"{self._compute_environment_string()} {command}".strip())
        finally:
            self._remove_tmp_path(tmp, force=True)

    def _script(self, script, stdin):
        digests = [f"{arch}={self._digest(arch)}" for arch in sorted(self._executables)]
        line = shlex.join(["/bin/sh", "-c", script.strip().replace("\n", " "), "quorum.etcd", self._module, self._cache_dir, *digests])
        return self._low_level_execute_command(f"{self._compute_environment_string()} {line}".strip(), in_data=stdin)

    def _digest(self, arch):
        have = os.stat(self._executables[arch])
        return digest_of(self._executables[arch], have.st_mtime_ns, have.st_size)

    @staticmethod
    def _answer(done):
        """The scripts' own answer, as one word and its detail; the word is empty when the executable ran."""
        found = re.search(r"^@quorum\.etcd (\w+) ?(.*)", done["stdout"], re.MULTILINE | re.DOTALL)
        return (found[1], " ".join(found[2].split())) if found and done["rc"] == ANSWER_RC else ("", "")

    def _refuse(self, word, detail):
        become = self._connection.become
        user = (become and become.get_option("become_user")) or "the user that runs the task"
        self._fail(REASONS[word].format(detail=detail, arches=" and ".join(sorted(self._executables)), user=user))

    def _fail(self, reason):
        raise Refusal(f"cannot run {self._module} on {self._host}: {reason}")

    def _result(self, done):
        try:
            result = json.loads(_filter_non_json_lines(done["stdout"], objects_only=True)[0])
        except ValueError:
            seen = self._last_lines(done) or "it printed nothing"
            killed = ", killed as by a lack of memory" if done["rc"] in (137, -9) else ""
            self._fail(f"it ended with exit code {done['rc']}{killed} and without a result: {seen}")
        # Nothing a target says may steer the controller: no internal keys, no templates.
        result = {key: value for key, value in result.items() if not key.startswith("_ansible_")}
        if done["rc"] and not result.get("failed"):
            result.update(failed=True, msg=f"{self._module} on {self._host} ended with exit code {done['rc']}: "
                                           f"{result.get('msg') or 'no message'}")
        return wrap_var(result)

    def _last_lines(self, done):
        """The end of what was printed, without anything that the arguments contain."""
        text = "\n".join((done["stderr"].strip() or done["stdout"].strip()).splitlines()[-5:])
        args = [value for key, value in json.loads(self._args).items() if not key.startswith("_ansible_")]
        for secret in sorted(set(strings_in(args)), key=len, reverse=True):
            text = text.replace(secret, "********")
        return text


def strings_in(value):
    """Every text of at least four characters in a task's arguments, whole and line by line."""
    if isinstance(value, str):
        yield from (text for text in (value, *value.splitlines()) if len(text.strip()) > 3)
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings_in(item)
