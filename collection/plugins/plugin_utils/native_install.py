# Copyright: the quorum.etcd contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugin `native` rarely needs: uploading, the way without standard input, refusals, unusual values."""
from __future__ import annotations

import hashlib
import json
import re
import shlex

try:  # ansible-core 2.19 and later: tagged and vaulted values.
    from ansible.module_utils.common.json import Direction, get_module_encoder
    plain = get_module_encoder("legacy", Direction.CONTROLLER_TO_MODULE)().default
except ImportError:
    from ansible.module_utils.common.json import AnsibleJSONEncoder
    plain = AnsibleJSONEncoder(vault_to_text=True).default

ANSWER_RC = 99  # As in the plugin.

# Follows COMMON, and reads the executable from standard input. In a directory that was open to others, they may still hold
# any file open for writing: all executables there go. The two newest other digests stay otherwise, so that two controllers
# with different versions do not take turns uploading.
PUT = r"""
umask 077; LC_ALL=C; export LC_ALL;
others() { ls -1t "$c" | grep -Ex "[0-9a-f]{64}" | grep -vx "$d" | tail -n "+$1" | while read -r o; do rm -rf "$c/$o" "$c/.seen.$o"; done; };
e=$(mkdir -p "$c" 2>&1) || say write "$e";
private || { e=$(chmod 00700 "$c" 2>&1) || say write "$e"; others 1; };
t=$(mktemp "$c/.new.XXXXXX" 2>&1) || say write "$t";
trap "rm -f \"\$t\"" EXIT; trap "exit 99" HUP INT TERM;
e=$({ cat >"$t"; } 2>&1) || say write "$e";
good "$t" || say damaged "$c";
e=$({ chmod 0700 "$t" && rm -rf "$f" "$seen" && mv -f "$t" "$f"; } 2>&1) || say write "$e";
find "$c" -name ".new.*" -mmin +60 -exec rm -f {} + 2>/dev/null;
others 3;
say ready
"""
ELSEWHERE = "set quorum_etcd_cache_dir to a directory that {user} can write and start programs from"
REASONS = {
    "async": "async needs Python on the target; remove 'async' and 'poll' from the task",
    "relative": "quorum_etcd_cache_dir is '{detail}', which is not an absolute path; start it with /",
    "empty": "this copy of the collection has no executables in {detail}; install a released one, or stage it",
    "windows": "it is a Windows machine, and etcd runs on Linux; take the host out of this play",
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


def run_nonetheless(action, done):
    """What to do when the executable was not there, or could not be called."""
    word, detail = answer(done)
    if word == "terminal" or "must have a tty" in done["stderr"]:  # sudo says so with requiretty.
        return run_from_files(action)
    if word == "upload":
        upload(action, detail)
        done = action.script(action.args)
        word, detail = answer(done)
    if word:
        refuse(action, word, detail)
    if done["rc"] == 126:
        refuse(action, "noexec", last_lines(action, done))
    return done


def terminal_wanted(options):
    """Whether options in small letters make ssh give the command a terminal."""
    return re.search(r"(^|\s)-t+(\s|$)|requesttty[\s=]+(yes|force)", options)


def sha256(path):
    """The digest of a file."""
    with open(path, "rb") as content:
        return hashlib.sha256(content.read()).hexdigest()


def answer(done):
    """The scripts' own answer, as one word and its detail; the word is empty when the executable ran."""
    found = re.search(r"^@quorum\.etcd (\w+) ?(.*)", done["stdout"], re.MULTILINE | re.DOTALL)
    return (found[1], " ".join(found[2].split())) if found and done["rc"] == ANSWER_RC else ("", "")


def upload(action, arch):
    """Puts the executable for an architecture into the target's cache."""
    with open(action.executables[arch], "rb") as executable:
        content = executable.read()
    if hashlib.sha256(content).hexdigest() != action.digest(arch):
        action.fail(f"{action.executables[arch]}.sha256 is not the digest of the executable beside it; "
                    "install or stage the collection again")
    done = action.script(content, PUT)
    word, detail = answer(done)
    if word != "ready":
        refuse(action, word or "write", detail or last_lines(action, done) or f"exit code {done['rc']}")


def run_from_files(action):
    """The slow way: everything in the task's temporary directory, which is removed in any case."""
    arch = (action._low_level_execute_command("uname -m", sudoable=False)["stdout"].split() or ["unknown"])[-1]
    arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(arch, arch)
    if arch not in action.executables:
        refuse(action, "arch", arch)
    shell = action._connection._shell
    tmp = shell.tmpdir or action._make_tmp_path()
    try:
        executable, arguments = (shell.join_path(tmp, name) for name in ("quorum-etcd", "args"))
        action._transfer_file(action.executables[arch], executable)
        action._transfer_data(arguments, action.args)
        action._remote_chmod([arguments], "0600")
        action._fixup_perms2([arguments], execute=False)
        action._fixup_perms2([tmp, executable])
        command = shlex.join([executable, action.module, arguments])
        return action._low_level_execute_command(f"{action._compute_environment_string()} {command}".strip())
    finally:
        action._remove_tmp_path(tmp, force=True)


def refuse(action, word, detail=""):
    """Ends the task with one of the reasons above."""
    become = action._connection.become
    user = (become and become.get_option("become_user")) or "the user that runs the task"
    action.fail(REASONS[word].format(detail=detail, arches=" and ".join(sorted(action.executables)), user=user))


def refuse_output(action, done):
    """Ends the task because what was printed is no result."""
    seen = last_lines(action, done) or "it printed nothing"
    killed = ", killed as by a lack of memory" if done["rc"] in (137, -9) else ""
    action.fail(f"it ended with exit code {done['rc']}{killed} and without a result: {seen}")


def last_lines(action, done):
    """The end of what was printed, without anything that the arguments contain."""
    text = "\n".join((done["stderr"].strip() or done["stdout"].strip()).splitlines()[-5:])
    args = [value for key, value in json.loads(action.args).items() if not key.startswith("_ansible_")]
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
