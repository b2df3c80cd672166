"""RecBole itself, where it can be imported: its own configuration, data loader, model and trainer.

It asks for versions that exclude today's Python packages, so it is no dependency of anything here:
`pip install --no-deps --target DIR recbole==1.2.1` with colorama, texttable, thop, tensorboard, plotly,
absl-py, markdown, werkzeug, tensorboard-data-server and narwhals, an empty module `ray` with `tune = None`,
and DIR on PYTHONPATH.
"""

import contextlib
import importlib.util
import tempfile
import warnings
from pathlib import Path
from typing import Any

from components.rec.data import RankingData
from tests.benchmarks.speed import generated
from tests.benchmarks.speed.peers.base import BATCH_SIZE, DIM, L2, LEARNING_RATE, NUM_LAYERS
from tests.benchmarks.speed.side_by_side import Work

_MODELS = {"mf": "BPR", "lightgcn": "LightGCN", "ngcf": "NGCF"}


def available() -> bool:
    """Whether RecBole and what it imports are there."""
    return importlib.util.find_spec("recbole") is not None


def training(kind: str, data_name: str, steps: int) -> Work:
    """`steps` batches at a time through its Trainer's _train_epoch."""
    data = generated.SETS[data_name]().ranking_data()
    trainer, loader = _prepare(kind, data)
    batches: Any = iter(())

    class Some:
        """What _train_epoch iterates over: the next few batches of an endless loader."""

        shuffle = True

        def __iter__(self) -> Any:
            nonlocal batches
            for _ in range(steps):
                batch = next(batches, None)
                if batch is None:
                    batches = iter(loader)
                    batch = next(batches)
                self.trained += len(batch)
                yield batch

    def work() -> int:
        some = Some()
        some.trained = 0
        trainer._train_epoch(some, 0, show_progress=False)
        return some.trained

    return work


def _prepare(kind: str, data: RankingData) -> tuple[Any, Any]:
    import numpy as np
    import scipy.sparse as sp
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer

    warnings.filterwarnings("ignore")  # of what newer versions deprecate
    # SciPy and NumPy took these away
    sp.dok_matrix._update = lambda self, values: self._dict.update(values)
    np.float_, np.complex_, np.unicode_ = np.float64, np.complex128, np.str_
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # it writes logs where it is
        for part, pairs in (("train", range(len(data))), ("valid", range(100)), ("test", range(100))):
            _write(Path(folder) / "pairs" / f"pairs.{part}.inter", data, pairs)
        settings = {
            "data_path": folder,
            "benchmark_filename": ["train", "valid", "test"],
            "load_col": {"inter": ["user_id", "item_id"]},
            "use_gpu": False,
            "state": "ERROR",
            "train_batch_size": BATCH_SIZE,
            "learning_rate": LEARNING_RATE,
            "embedding_size": DIM,
            "n_layers": NUM_LAYERS,
            "hidden_size_list": [DIM] * NUM_LAYERS,
            "reg_weight": L2,
            "checkpoint_dir": folder,
        }
        config = Config(model=_MODELS[kind], dataset="pairs", config_dict=settings)
        train, _, _ = data_preparation(config, create_dataset(config))
        model = get_model(config["model"])(config, train._dataset)
        return get_trainer(config["MODEL_TYPE"], config["model"])(config, model), train


def _write(path: Path, data: RankingData, rows: range) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        file.write("user_id:token\titem_id:token\n")
        for user, item in zip(data.user[: len(rows)].tolist(), data.item[: len(rows)].tolist(), strict=True):
            file.write(f"{user}\t{item}\n")
