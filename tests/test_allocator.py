"""What a process frees it keeps, where it is asked to and nobody said otherwise."""

import os
import resource
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(os, "confstr") or "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""), reason="glibc alone is told"
)

AS_GLIBC_BEGINS = {"MALLOC_TRIM_THRESHOLD_": "131072"}

BLOCKS = """
import resource, torch
from vae_runner.allocator import keep_freed_memory
keep_freed_memory(large={large})
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones({megabytes} * 2**20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print([faults() for _ in range(40)][-1])  # some blocks have to lie side by side before they are taken again
"""


def environment(more: dict[str, str]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    return {**own, **more}


@pytest.mark.parametrize(
    ("large", "megabytes", "chosen", "is_kept"),
    [
        (True, 50, {}, True),
        (False, 50, {}, False),
        (False, 20, {}, True),
        (True, 50, AS_GLIBC_BEGINS, False),
        (True, 50, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"}, False),
        (True, 50, {"GLIBC_TUNABLES": "glibc.pthread.rseq=1:glibc.malloc.mmap_max=65536"}, False),
        (True, 50, {"GLIBC_TUNABLES": "glibc.pthread.rseq=1:glibc.malloc.arena_max=2"}, True),
        (True, 50, {"MALLOC_ARENA_MAX": "2"}, True),
    ],
)
def test_a_block_that_was_freed_is_taken_again_without_asking_for_its_pages(large, megabytes, chosen, is_kept):
    code = BLOCKS.format(large=large, megabytes=megabytes)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment(chosen)
    )
    pages = megabytes * 2**20 // resource.getpagesize()
    assert (int(done.stdout) < pages // 10) == is_kept


def test_steps_on_a_cpu_take_again_what_the_one_before_freed(tmp_path):
    faults = []
    for name, chosen in (("kept", {}), ("given back", AS_GLIBC_BEGINS)):
        command = [sys.executable, "-m", "vae_runner", "train", "architecture=conv", "trainer.steps=60"]
        command += ["trainer.device=cpu", "trainer.evaluation_examples=100", f"hydra.run.dir={tmp_path / name}"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
        subprocess.run(command, capture_output=True, check=True, env=environment(chosen))
        faults.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt - before)
    assert faults[0] + 60 * 500 < faults[1]  # a step takes some 1,700 pages
