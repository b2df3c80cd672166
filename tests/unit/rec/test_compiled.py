"""Kernels where they can be kept, and everything without them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from components import compiled


def test_every_model_trains_without_numba() -> None:
    code = (
        "from components.compiled import available, prange; assert not available() and prange is range; "
        "from components.rec.precompile import main; main(); "
        "import sys; assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "RECLOOP_COMPILED": "0"}, check=True)


def test_where_nothing_beside_the_source_can_be_written_what_was_brought_along_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought = tmp_path / "brought"
    (brought / "hops").mkdir(parents=True)
    (brought / "hops" / "kernel.nbi").write_bytes(b"compiled")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("RECLOOP_KERNELS", str(brought))
    source = Path(compiled.__file__).parent
    monkeypatch.setattr(compiled.os, "access", lambda place, mode: Path(place) != source)
    assert compiled._find_cache()
    own = Path(os.environ["NUMBA_CACHE_DIR"])
    assert (own / "hops" / "kernel.nbi").read_bytes() == b"compiled"
    assert own.stat().st_mode & 0o777 == 0o700


def test_where_nothing_can_be_written_kernels_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(compiled.os, "access", lambda place, mode: False)
    assert not compiled._find_cache()
    assert "NUMBA_CACHE_DIR" not in os.environ


def test_threads_stay_within_what_there_is() -> None:
    if not compiled.available():
        pytest.skip("Numba is not installed")
    import numba

    before = numba.get_num_threads()
    compiled.use_threads(10_000)
    assert numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS
    compiled.use_threads(0)
    assert numba.get_num_threads() == 1
    compiled.use_threads(before)
