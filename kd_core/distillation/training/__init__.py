"""One training: batches, objectives, the loop, and what it keeps."""

# Raise it when the same resolved config ends with weights that are better or worse than before: what another
# version has begun, or left in the cache, is not gone on with. KD Studio 0.1 has version 1, and wrote it
# nowhere. Other weights that are as good (short rows apart, long texts without dropout of attention) are no
# reason: whoever stopped a run would lose what it has.
TRAINING_VERSION = 1
