import sys
import textwrap

import pytest

from harness import provenance
from harness.provenance import code_hash, hardware_key, software
from tasks.regularizers import REGULARIZERS

MODULE = '''
"""A contestant of other people."""

from edited_package import helper
from edited_package.deeper import constants


class Edited:
    """Does something."""

    def act(self, x):
        """Act."""
        return helper.helped(x) + constants.ONE  # plainly
'''
FILES = {
    "__init__.py": '"""A package."""\n',
    "module.py": MODULE,
    "helper.py": "from . import relative\n\n\ndef helped(x):\n    return relative.twice(x)\n",
    "relative.py": "def twice(x):\n    return 2 * x\n",
    "deeper/__init__.py": '"""Below."""\n',
    "deeper/constants.py": "from ..other import OTHER\n\nONE = 1 + OTHER\n",
    "other.py": "OTHER = 0\n",
    "unused.py": "UNUSED = 1\n",
}


@pytest.fixture
def hash_with(tmp_path, monkeypatch):
    """The code hash of a contestant of another package, some of whose files are replaced."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(REGULARIZERS.targets, "edited", "edited_package.module:Edited")
    monkeypatch.setitem(REGULARIZERS.targets, "top", "edited_package:Top")

    def make(name="edited", **replaced):
        for file, content in {**FILES, **replaced}.items():
            path = tmp_path / "edited_package" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(content))
        for module in [name for name in sys.modules if name.startswith("edited_package")]:
            del sys.modules[module]
        for cached in (provenance._source, provenance._tree, provenance._normalised, provenance._hash_of):
            cached.cache_clear()  # in use, the code of a process does not change
        return code_hash("digits-mlp", [name])

    return make


def test_the_same_code_has_the_same_hash(hash_with):
    assert hash_with() == hash_with()
    assert len(hash_with()) == 12


@pytest.mark.parametrize(
    "replaced",
    [
        {"module.py": MODULE.replace("+ constants.ONE", "- constants.ONE")},
        {"helper.py": FILES["helper.py"].replace("twice(x)", "twice(x) + 1")},
        {"relative.py": FILES["relative.py"].replace("2", "3")},
        {"other.py": "OTHER = 1\n"},
        {"__init__.py": "SETTING = 1\n"},
    ],
    ids=lambda replaced: next(iter(replaced)),
)
def test_the_hash_changes_with_code_of_the_contestant_or_of_what_it_imports(hash_with, replaced):
    assert hash_with(**replaced) != hash_with()


@pytest.mark.parametrize(
    "replaced",
    [
        {"module.py": MODULE.replace("# plainly", "# differently said")},
        {"module.py": MODULE.replace("Does something.", "Does something else, in more words.").replace("Act.", "Do.")},
        {"module.py": MODULE.replace("    def act(self, x)", "\n\n    def act( self,x )")},
        {"unused.py": "UNUSED = 2\n"},
        {"__init__.py": '"""A package, described in other words."""\n'},
    ],
    ids=["comment", "docstrings", "layout", "unused module", "docstring of the package"],
)
def test_the_hash_does_not_change_with_prose_or_with_code_that_is_not_used(hash_with, replaced):
    assert hash_with(**replaced) == hash_with()


def test_a_contestant_that_stands_in_a_packages_init_file_is_hashed(hash_with):
    code = "class Top:\n    VALUE = 1\n"
    assert hash_with("top", **{"__init__.py": code}) != hash_with("top", **{"__init__.py": code.replace("1", "2")})


def test_a_new_line_in_our_tables_leaves_the_trials_of_others_fresh(monkeypatch):
    before = code_hash("digits-mlp", ["dropout"])
    monkeypatch.setitem(REGULARIZERS.targets, "newcomer", "tasks.regularizers.l1:L1")
    provenance._hash_of.cache_clear()
    assert code_hash("digits-mlp", ["dropout"]) == before
    assert not any("tasks/regularizers/__init__" in str(provenance._source(m)) for m in ("tasks", "tasks.regularizers"))


def test_contestants_tasks_and_combinations_have_hashes_of_their_own():
    asked = [
        ("digits-mlp", ["dropout"]),
        ("digits-mlp", ["l1"]),
        ("digits-convnet", ["dropout"]),
        ("digits-mlp", ["dropout", "l1"]),
        ("shallow-linear-dropblock", ["dropout"]),
    ]
    assert len({code_hash(*each) for each in asked}) == len(asked)


def test_what_a_row_says_of_its_software_is_what_is_installed():
    import optuna
    import ray
    import torch

    said = software()
    assert said["torch_version"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert (said["ray_version"], said["optuna_version"]) == (ray.__version__, optuna.__version__)
    assert said["python_version"] == ".".join(map(str, sys.version_info[:3]))


def test_times_are_compared_only_where_processor_and_threads_are_the_same():
    assert hardware_key("cpu", 1) == hardware_key("cpu", 1)
    assert hardware_key("cpu", 1) != hardware_key("cpu", 2)
