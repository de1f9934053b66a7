# Copyright: the quorum.etcd contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the collection's modules, which are one static executable, in one round trip per task.

The target keeps the executable in a directory only its user can write, named by its SHA-256, and checks it before every
call: by the digest the first time, and whenever the kernel says that the file has changed since. The arguments travel on
standard input.

Every task on every host loads this file anew, and compiles it where its bytecode cannot be stored. So it holds only what
each of them needs. The rest is in plugin_utils/native_install.py: uploading, the way without standard input, refusals.
"""
from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex

from ansible import template
from ansible.module_utils.json_utils import _filter_non_json_lines
from ansible.plugins.action import ActionBase

BIN_DIR = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "modules", "__bin")
ANSWER_RC = 99  # The scripts end with it when they answer themselves; the executable ends with 0 or 1.

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
f=$c/$d; seen=$c/.seen.$d; good() { [ -f "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] && s=$(sha256sum <"$1") && [ "${s%% *}" = "$d" ]; };
"""
# Reading all of the executable takes 10 ms. Its change time, which only the kernel sets, tells that it is still what was read.
RUN = r"""
now=$(stat -c "%d %i %s %z" "$f" 2>/dev/null); old=; [ ! -f "$seen" ] || read -r old <"$seen";
known() { [ "$now" ] && [ "$old" = "$now" ] && [ -f "$f" ] && [ ! -L "$f" ] && [ -O "$f" ]; };
note() { (umask 077; printf "%s\n" "$now" 2>/dev/null >"$seen") || rm -f "$seen"; };
[ -d "$c" ] && private && { known || { good "$f" && { note; :; }; }; } && exec "$f" "$m" -;
say upload "$a"
"""


def rare():
    """What most tasks do without, and therefore do not load."""
    from ansible_collections.quorum.etcd.plugins.plugin_utils import native_install
    return native_install


@functools.lru_cache
def digest_of(path, mtime_ns, size):
    """The SHA-256 of an executable: as the stage wrote it beside it, unless that is older; computed once otherwise."""
    with contextlib.suppress(FileNotFoundError), open(path + ".sha256", encoding="utf-8") as sidecar:
        written = sidecar.read(100).split(maxsplit=1) or [""]
        # Installing a collection does not keep times, and writes the two files in any order.
        if (len(written[0]) == 64 and not written[0].strip("0123456789abcdef")
                and mtime_ns <= os.fstat(sidecar.fileno()).st_mtime_ns + 2e9):
            return written[0]
    return rare().sha256(path)


class Refusal(Exception):
    """The module cannot be run; the text is for the user."""


class ActionModule(ActionBase):
    """Runs module NAME as `quorum-etcd NAME -` on the target."""

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Runs the task's module, and returns its result."""
        task_vars = task_vars or {}
        # resolved_action names this plugin instead of the module on ansible-core up to 2.18.
        self.module = self._task.action.rsplit(".", 1)[-1]
        self.host = self._task.delegate_to or task_vars.get("inventory_hostname", "the target")
        try:
            self._prepare(task_vars)
            return self._result(self._call())
        except Refusal as refusal:
            # Raising it further would make older cores print an empty traceback.
            return {"failed": True, "msg": str(refusal), "error": {"kind": "io"}}

    def _prepare(self, task_vars):
        self.executables = {arch: path for arch in sorted(os.listdir(BIN_DIR) if os.path.isdir(BIN_DIR) else ())
                            if os.path.isfile(path := os.path.join(BIN_DIR, arch, "quorum-etcd"))}
        if self._task.async_val:
            rare().refuse(self, "async")
        super().run(None, task_vars)
        args = dict(self._task.args)
        self._update_module_args(self._task.action, args, task_vars)
        self.args = json.dumps(args, default=lambda value: rare().plain(value)).encode()
        own_vars = task_vars.get("ansible_delegated_vars", {}).get(self._task.delegate_to) or task_vars
        cache_dir = own_vars.get("quorum_etcd_cache_dir")
        self.cache_dir = cache_dir and self._templar.template(cache_dir) or ""
        if self.cache_dir and not self.cache_dir.startswith("/"):
            rare().refuse(self, "relative", self.cache_dir)
        if not self.executables:
            rare().refuse(self, "empty", BIN_DIR)
        if getattr(self._connection._shell, "_IS_WINDOWS", False):
            rare().refuse(self, "windows")

    def _call(self):
        if not self._takes_stdin():
            return rare().run_from_files(self)
        done = self.script(self.args)
        if done["rc"] in (ANSWER_RC, 126) or "must have a tty" in done["stderr"]:
            return rare().run_nonetheless(self, done)
        return done

    def _takes_stdin(self):
        """Whether standard input reaches the command as it is; the `pipelining` setting itself does not matter."""
        connection, become = self._connection, self._connection.become
        # Up to ansible-core 2.18, become plugins do not say it themselves.
        if not connection.has_pipelining or (become and not getattr(become, "pipelining", become.name != "su")):
            return False
        options = ""  # A terminal that is asked for in ssh's own configuration is noticed on the target.
        for name in ("ssh_args", "ssh_common_args", "ssh_extra_args"):
            with contextlib.suppress(KeyError):
                options += f" {connection.get_option(name) or ''}".lower()
        # Most often there is nothing to look at closely, which saves compiling a regular expression.
        return not ("-t" in options or "requesttty" in options) or not rare().terminal_wanted(options)

    def script(self, stdin, end=RUN):
        """Runs COMMON and what follows it on the target."""
        digests = [f"{arch}={self.digest(arch)}" for arch in self.executables]
        line = shlex.join(["/bin/sh", "-c", (COMMON + end).strip().replace("\n", " "), "quorum.etcd", self.module, self.cache_dir, *digests])
        return self.pipe(f"{self._compute_environment_string()} {line}".strip(), stdin)

    def pipe(self, line, stdin):
        """Runs a command on the target, with that on its standard input."""
        # The local connection puts a terminal on standard input to ask for a password, except when pipelining.
        before = self._connection.get_option("pipelining") if self._connection.transport == "local" else True
        try:
            if not before:
                self._connection.set_option("pipelining", True)
            return self._low_level_execute_command(line, in_data=stdin)
        finally:
            if not before:
                self._connection.set_option("pipelining", before)

    def digest(self, arch):
        """The SHA-256 of the executable for one architecture."""
        have = os.stat(self.executables[arch])
        return digest_of(self.executables[arch], have.st_mtime_ns, have.st_size)

    def fail(self, reason):
        """Ends the task with a reason."""
        raise Refusal(f"cannot run {self.module} on {self.host}: {reason}")

    def _result(self, done):
        try:
            result = json.loads(_filter_non_json_lines(done["stdout"], objects_only=True)[0])
        except ValueError:
            rare().refuse_output(self, done)
        # Nothing a target says may steer the controller: no internal keys, no templates.
        result = {key: value for key, value in result.items() if not key.startswith("_ansible_")}
        if done["rc"] and not result.get("failed"):
            result.update(failed=True, msg=f"{self.module} on {self.host} ended with exit code {done['rc']}: "
                                           f"{result.get('msg') or 'no message'}")
        if not hasattr(template, "trust_as_template"):  # Up to ansible-core 2.18, any text may be a template.
            from ansible.utils.unsafe_proxy import wrap_var
            result = wrap_var(result)
        return result
