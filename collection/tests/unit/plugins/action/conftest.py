# Copyright: the quorum.etcd contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of all action plugins need."""
from __future__ import annotations

import pathlib

import pytest
from ansible.plugins.loader import init_plugin_loader

PLUGIN = pathlib.Path(__file__).resolve().parents[4] / "plugins" / "action" / "native.py"


@pytest.fixture(scope="session", autouse=True)
def plugin_loader(tmp_path_factory):
    """Makes the files beside the plugin importable, whatever collection is installed."""
    collections = tmp_path_factory.mktemp("collections")
    namespace = collections / "ansible_collections" / "quorum"
    namespace.mkdir(parents=True)
    (namespace / "etcd").symlink_to(PLUGIN.parents[2])
    init_plugin_loader([str(collections)])
