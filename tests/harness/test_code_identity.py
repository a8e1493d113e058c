"""The hash of a trial's code: it follows what is used, on every version of Python, wherever it stands."""

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness import code_identity
from harness.code_identity import code_hash

ROOT = Path(__file__).parents[2]
CACHES = [value for value in vars(code_identity).values() if hasattr(value, "cache_clear")]
MODULE = '''
"""A contestant."""

from other_code import helper
from other_code.deeper import constants as numbers

UNUSED = 1
USED = 2
LOW, HIGH = 3, 4


class Contestant:
    """Does something."""

    field: float = 0.5

    def act(self, x: float) -> float:
        """Act."""
        from other_code.late import later

        return helper.helped(x) + numbers.ONE + USED + later(LOW)  # plainly
'''
FILES = {
    "__init__.py": '"""A package."""\n',
    "module.py": MODULE,
    "helper.py": "from . import relative\n\ndef helped(x):\n    return relative.twice(x)\n\nIDLE = 1\n",
    "relative.py": "def twice(x):\n    return 2 * x\n",
    "deeper/__init__.py": '"""Below."""\n',
    "deeper/constants.py": "from ..other import OTHER\n\nONE = 1 + OTHER\nTWO = 2\n",
    "other.py": "OTHER = 0\n",
    "late.py": "try:\n    from missing import later\nexcept ImportError:\n    def later(x):\n        return x\n",
}


@pytest.fixture
def hash_with(tmp_path, monkeypatch):
    """The hash of a package's contestant, some of whose files are replaced, or which stands under another name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(target="other_code.module:Contestant", **replaced):
        for file, content in {**FILES, **replaced}.items():
            path = tmp_path / "other_code" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(content))
        for module in [name for name in sys.modules if name.startswith("other_code")]:
            del sys.modules[module]
        for cached in CACHES:
            cached.cache_clear()
        return code_hash([target])

    yield make
    for cached in CACHES:
        cached.cache_clear()


def edited(file, old, new):
    assert old in FILES[file]
    return {file: FILES[file].replace(old, new)}


USED = {
    "the class": edited("module.py", "+ numbers", "- numbers"),
    "a default": edited("module.py", "0.5", "0.25"),
    "the type of a field": edited("module.py", "field: float", "field: int"),
    "a constant of the module": edited("module.py", "USED = 2", "USED = 5"),
    "one of two constants": edited("module.py", "LOW, HIGH = 3", "LOW, HIGH = 0"),
    "a function of a module": edited("helper.py", "twice(x)", "twice(x) + 1"),
    "a relative import": edited("relative.py", "2", "3"),
    "an import of an import": edited("other.py", "0", "1"),
    "an import in a function": edited("late.py", "return x", "return -x"),
}
NOT_USED = {
    "another constant": edited("module.py", "UNUSED = 1", "UNUSED = 7"),
    "a constant of a helper": edited("helper.py", "IDLE = 1", "IDLE = 2"),
    "a constant elsewhere": edited("deeper/constants.py", "TWO = 2", "TWO = 7"),
    "a comment": edited("module.py", "# plainly", "# in other words"),
    "docstrings": edited("module.py", "Act.", "Do."),
    "layout": edited("module.py", "    def act(self, x", "\n\n    def act( self,x"),
    "hints of a function": edited("module.py", "x: float) -> float", "x: int) -> int"),
    "a new file": {"new.py": "NEW = 1\n"},
    "a constant of the package": {"__init__.py": "SETTING = 1\n"},
}


@pytest.mark.parametrize("replaced", USED.values(), ids=USED)
def test_the_hash_changes_with_what_is_used(hash_with, replaced):
    assert hash_with(**replaced) != hash_with()


@pytest.mark.parametrize("replaced", NOT_USED.values(), ids=NOT_USED)
def test_the_hash_does_not_change_with_what_is_not_used(hash_with, replaced):
    assert hash_with(**replaced) == hash_with()


def test_a_definition_that_moves_to_another_module_keeps_its_hash(hash_with):
    moved = {"module.py": MODULE.replace("other_code.late", "other_code.far.away"), "far/__init__.py": ""}
    assert hash_with(**moved, **{"far/away.py": FILES["late.py"]}) == hash_with()
    assert hash_with("other_code.contestants:Contestant", **{"contestants.py": MODULE}) == hash_with()


def test_two_helpers_of_one_name_that_change_places_change_the_hash(hash_with):
    def both(first, second):
        users = "from other_code import one, two\n\n\ndef act(x):\n    return one.help(x) - two.help(x)\n"
        text = "def help(x):\n    return {} * x\n"
        return hash_with(
            "other_code.both:act", **{"both.py": users, "one.py": text.format(first), "two.py": text.format(second)}
        )

    assert both(2, 3) != both(3, 2)


def test_a_name_that_a_module_makes_as_it_runs_stands_for_the_whole_module(hash_with):
    code = "for place in range({}):\n    globals()[f'made_{{place}}'] = place\n"
    two, three = (hash_with("other_code.made:made_1", **{"made.py": code.format(number)}) for number in (2, 3))
    assert two != three


def test_what_a_decorator_registers_belongs_to_what_it_registers_with(hash_with):
    code = "import torch\n\n\n@torch.op\ndef op(x):\n    return x\n\n\n@op.register_fake\ndef _(x):\n    return {}\n"
    assert hash_with("other_code.ops:op", **{"ops.py": code.format("x")}) != hash_with(
        "other_code.ops:op", **{"ops.py": code.format("2 * x")}
    )


# f-strings with nested quotes and a line of text in pieces: what `ast.unparse` writes of them differs by version.
QUOTES = "def f(x, y):\n    return f\"{x['a']}{y!r:>{x['w']}} {'it' 's'}\" 'and' f'{x}'\n"
OF_EVERY_VERSION = (
    "import ast, sys; sys.path.insert(0, sys.argv[1]); from harness.code_identity import code_hash, dump; "
    "print(code_hash(['tasks.training:Training', *sys.argv[3:]]), dump(ast.parse(sys.argv[2])))"
)
TARGETS = (
    "tasks.experiments.demos.tasks:DIGITS_MLP",
    "tasks.experiments.localdrop.tasks:CIFAR10_RESNET50",
    "tasks.regularizers.localdrop:LocalDrop",
    "tasks.regularizers.sparse_variational_dropout:SparseVariationalDropout",
)


def other_pythons():
    """Interpreters of other versions on this machine."""
    folders = [Path(sys.base_prefix).parent, Path("/usr/bin"), Path("/usr/local/bin")]
    found = {}
    for minor in range(11, 20):
        for folder in folders:
            for path in [*folder.glob(f"3.{minor}.*/bin/python3.{minor}"), folder / f"python3.{minor}"]:
                if minor != sys.version_info.minor and path.exists():
                    found.setdefault(minor, path)
    return found


def seen_by(python):
    command = [str(python), "-S", "-c", OF_EVERY_VERSION, str(ROOT), QUOTES, *TARGETS]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout


@pytest.mark.slow
def test_every_version_of_python_on_this_machine_gives_the_same_hash():
    here = seen_by(sys.executable)
    assert {minor: seen_by(python) for minor, python in other_pythons().items()} == dict.fromkeys(other_pythons(), here)


def test_the_text_of_a_sample_follows_from_the_grammar():
    text = (
        "Module(body=[FunctionDef(args=arguments(args=[arg(arg='x'), arg(arg='y')]), body=[Return(value=JoinedStr("
        "values=[FormattedValue(conversion=-1, value=Subscript(slice=Constant(value='a'), value=Name(id='x'))), "
        "FormattedValue(conversion=114, format_spec=JoinedStr(values=[Constant(value='>'), FormattedValue("
        "conversion=-1, value=Subscript(slice=Constant(value='w'), value=Name(id='x')))]), value=Name(id='y')), "
        "Constant(value=' '), FormattedValue(conversion=-1, value=Constant(value='its')), Constant(value='and'), "
        "FormattedValue(conversion=-1, value=Name(id='x'))]))], name='f')])"
    )
    assert code_identity.dump(ast.parse(QUOTES)) == text
