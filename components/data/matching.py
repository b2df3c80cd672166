"""Raw ids of one table found in another."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def positions(values: pa.Array, among: pa.Array) -> npt.NDArray[np.int64]:
    """The position of each id in `among`, or -1; a number is the same id as its digits."""
    found = pc.index_in(values.cast(pa.string()), value_set=among.cast(pa.string()))
    position: npt.NDArray[np.int64] = pc.fill_null(found, -1).to_numpy(zero_copy_only=False)
    return position.astype(np.int64)
