# Copyright: the quorum.etcd contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends a large file to a host without Python, for root alone, which ansible.builtin.copy cannot do; and removes it again.

Options: dest, the file on the host, whose name begins with `.quorum-restore-`; and src, its path here, with sha256, what must
arrive; or state=absent. It goes in parts straight into a file beside its name that only root can read, so that it is on the host
only once; there it is checked and made durable, and only then has it its name. One that is there already is not sent again.

Other files of such names in its directory were left by runs that were cut off, and go.
"""
from __future__ import annotations

import contextlib
import os
import shlex
import tempfile

from ansible.errors import AnsibleError
from ansible_collections.quorum.etcd.plugins.action.native import ActionModule as Native

PART = 16 * 1024 * 1024

PREFIX = ".quorum-restore-"

# Each gets dest, its directory and PREFIX, and then what the plugin says.
SIFT = 'others() { for o in "$2/$3"*; do [ "$o" = "$1" ] || [ ! -f "$o" ] || echo "$o"; done; };'
LOOK = SIFT + 'if [ -f "$1" ]; then s=$(sha256sum <"$1") && echo "here ${s%% *}"; fi; others "$1" "$2" "$3"'
SWEEP = SIFT + 'others "$1" "$2" "$3" | while read -r o; do rm -f "$o" || exit 1; done'
REMOVE = 'rm -f "$1" || exit 1;' + SWEEP
BEGIN = 'set -e; umask 077; [ -d "$2" ] || mkdir -p "$2"; : >"$1.part"'
APPEND = """
[ ! -t 0 ] || { echo terminal; exit 0; };
umask 077; cat >>"$1.part" || exit 1; n=$(wc -c <"$1.part"); [ "$n" -eq "$4" ] || { echo "$n bytes are there, not $4" >&2; exit 1; }
"""
APPEND_FILE = """
umask 077; cat <"$5" >>"$1.part" || exit 1; rm -f "$5"; n=$(wc -c <"$1.part");
[ "$n" -eq "$4" ] || { echo "$n bytes are there, not $4" >&2; exit 1; }
"""
FINISH = """
s=$(sha256sum <"$1.part"); [ "${s%% *}" = "$4" ] || { echo "what arrived has the SHA-256 ${s%% *}, not $4" >&2; exit 1; };
set -e; sync "$1.part"; mv -f "$1.part" "$1"; sync "$2"
"""


class ActionModule(Native):
    """Pipes the file into a shell of root's, part by part."""

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Sends or removes the file, unless that has been done already."""
        super(Native, self).run(tmp, task_vars)
        args = self._task.args
        self.dest, wanted = args["dest"], None if args.get("state") == "absent" else args["sha256"]
        result = {"dest": self.dest, "changed": False}
        try:
            directory, name = os.path.split(self.dest)
            if not name.startswith(PREFIX):
                raise ValueError(f"its name does not begin with {PREFIX}, so it could be somebody else's")
            self.words = [self.dest, directory, PREFIX]
            found = self._sh(LOOK).splitlines()
            here = next((line.split()[1] for line in found if line.startswith("here ")), None)
            left = any(line.startswith("/") for line in found)
            result["changed"] = here != wanted or left
            if result["changed"] and not self._task.check_mode:
                self._sh(SWEEP if wanted else REMOVE)
                if wanted and here != wanted:
                    self._send(args["src"], wanted)
        except (AnsibleError, OSError, ValueError) as error:
            result.update(failed=True, msg=f"cannot {'send ' + args['src'] + ' to' if wanted else 'remove'} {self.dest}: {error}")
        return result

    def _send(self, src, sha256):
        self._sh(BEGIN)
        try:
            sent = 0
            with open(src, "rb") as file:
                while part := file.read(PART):
                    sent += len(part)
                    self._append(part, sent)
            self._sh(FINISH, sha256)
        except (AnsibleError, OSError, ValueError) as error:
            # Where the host cannot be reached any more, the next run does it.
            with contextlib.suppress(AnsibleError):
                self._low_level_execute_command(shlex.join(["rm", "-f", self.dest + ".part"]))
            raise ValueError(error) from error
        finally:
            if self._connection._shell.tmpdir:
                self._remove_tmp_path(self._connection._shell.tmpdir, force=True)

    def _append(self, part, sent):
        if self._takes_stdin():
            done = self.pipe(self._line(APPEND, sent), part)
            if not done["stdout"].strip() and "must have a tty" not in done["stderr"]:
                self._said(done)
                return
        # The slow way: as small files of the user that logs in.
        tmp = self._connection._shell.tmpdir or self._make_tmp_path()
        path = self._connection._shell.join_path(tmp, "part")
        with tempfile.NamedTemporaryFile() as file:
            file.write(part)
            file.flush()
            self._connection.put_file(file.name, path)
        self._sh(APPEND_FILE, sent, path)

    def _line(self, script, *words):
        return shlex.join(["/bin/sh", "-c", script.strip().replace("\n", " "), "quorum.etcd", *self.words, *map(str, words)])

    def _sh(self, script, *words):
        return self._said(self._low_level_execute_command(self._line(script, *words)))

    @staticmethod
    def _said(done):
        if done["rc"]:
            raise ValueError(done["stderr"].strip() or f"exit code {done['rc']}")
        return done["stdout"]
