import sys
from types import SimpleNamespace

from harness import code_identity, provenance
from harness.provenance import code_hash, hardware_key, software
from tasks.experiments import TASKS
from tasks.regularizers import REGULARIZERS


def test_a_new_line_in_our_tables_leaves_the_trials_of_others_fresh(monkeypatch):
    before = code_hash("digits-mlp", ["dropout"])
    monkeypatch.setitem(REGULARIZERS.targets, "newcomer", "tasks.regularizers.l1:L1")
    code_identity._hash_of.cache_clear()
    assert code_hash("digits-mlp", ["dropout"]) == before


def test_a_protocol_beside_the_own_one_leaves_a_trial_fresh():
    digits, lenet = (TASKS.target(name).partition(":")[0] for name in ("digits-mlp", "mnist-lenet"))
    assert digits == lenet, "both tasks and their protocols stand in one module"
    assert code_hash("digits-mlp", ["none"]) != code_hash("mnist-lenet", ["none"])


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


def test_the_key_of_a_machine_holds_what_makes_machines_differ(monkeypatch, tmp_path):
    import torch

    def key(**changes):
        seen = {"name": "a GPU", "memory": 80, "driver": "550.54.15", "cuda": "12.4", "processor": "a CPU", "ram": 64}
        seen |= changes
        driver = tmp_path / "version"
        driver.write_text(f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {seen['driver']}  Tue Mar 5\n")
        monkeypatch.setattr(provenance, "DRIVER_FILE", driver)
        monkeypatch.setattr(provenance, "processor", lambda: seen["processor"])
        monkeypatch.setattr(provenance, "memory_bytes", lambda: seen["ram"] * 2**30)
        monkeypatch.setattr(torch.version, "cuda", seen["cuda"])
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        properties = SimpleNamespace(name=seen["name"], total_memory=seen["memory"] * 2**30)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
        provenance.driver_version.cache_clear()
        return hardware_key("cuda:0", 1)

    assert key() == "a GPU, 80 GiB, driver 550.54.15, CUDA 12.4 | a CPU, 64 GiB x1"
    others = {"name": "B", "memory": 40, "driver": "535.1", "cuda": "12.1", "processor": "C", "ram": 32}
    assert len({key(), *(key(**{name: value}) for name, value in others.items())}) == 1 + len(others)
    provenance.driver_version.cache_clear()
