import resource
from itertools import islice

import pytest

from harness.command import doctor


@pytest.mark.slow
def test_the_quick_checks_find_this_machine_well():
    found = {name: (is_well, finding) for name, is_well, finding in islice(doctor.examine(), 7)}
    assert list(found) == [
        "packages",
        "processor",
        "GPU",
        "free disk here",
        "limits of a process",
        "temporary folder",
        "a trial in a child process",
    ]
    assert all(is_well for is_well, _ in found.values()), found
    assert "ray 2" in found["packages"][1]
    assert found["a trial in a child process"][1].startswith("completed on cpu, test accuracy ")


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(monkeypatch):
    def broken():
        raise OSError("no such thing")

    monkeypatch.setattr(doctor, "_gpu", broken)
    monkeypatch.setattr(doctor, "PACKAGES", ("optuna", "no-such-package"))
    found = {name: (is_well, finding) for name, is_well, finding in islice(doctor.examine(), 4)}
    assert found["GPU"] == (False, "OSError: no such thing")
    assert found["packages"][0] is False
    assert found["packages"][1].startswith("missing no-such-package; found optuna ")
    assert found["processor"][0] is True


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("fpu avx512_bf16 amx_bf16 amx_tile", "multiplies matrices in bf16"),
        ("fpu avx512_vnni avx512_bf16", "computes in bf16"),
        ("fp asimd bf16 i8mm", "computes in bf16"),
        ("fpu avx512f avx512_vnni", "no bf16: on it --precision bf16 slows trials down"),
    ],
)
def test_the_processor_is_told_with_what_bf16_comes_to_on_it(monkeypatch, tmp_path, flags, said):
    (tmp_path / "cpuinfo").write_text(f"model name\t: A processor\nflags\t\t: {flags}\n")
    monkeypatch.setattr(doctor, "_PROCESSOR_FILE", tmp_path / "cpuinfo")
    _, is_well, finding = next(islice(doctor.examine(), 1, None))
    assert is_well
    assert finding.endswith(f" threads, {said}")


def examined(name):
    return next((is_well, finding) for what, is_well, finding in doctor.examine() if what == name)


@pytest.mark.parametrize(
    ("files", "memory", "is_well", "said"),
    [
        (65536, -1, True, "65536 open files, no limit of memory"),
        (256, -1, False, "256 open files, no limit of memory; at least 1024 open files are needed (ulimit -n)"),
        (1024, 2**31, False, "1024 open files, 2.0 GiB of memory; trials may need 4 GiB (ulimit -d, ulimit -v)"),
    ],
)
def test_limits_that_would_end_a_campaign_are_told(monkeypatch, files, memory, is_well, said):
    limits = {resource.RLIMIT_NOFILE: (files, files), resource.RLIMIT_DATA: (memory, memory)}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits.get(kind, (-1, -1)))
    assert examined("limits of a process") == (is_well, said)


def test_a_temporary_folder_in_which_others_may_remove_files_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "short_folder", lambda: str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tmp_path.chmod(0o1777)
    assert examined("temporary folder")[0]
    tmp_path.chmod(0o777)
    is_well, finding = examined("temporary folder")
    assert not is_well
    assert "set its sticky bit" in finding


def test_a_temporary_folder_with_a_long_path_is_told_with_the_one_for_sockets(monkeypatch, tmp_path):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    is_well, finding = examined("temporary folder")
    assert is_well
    assert finding.startswith("/tmp, ")
    assert finding.endswith(f"(paths of sockets in {long} would be too long)")
