"""One training: batches, objectives, the loop, and what it keeps."""

# Raise it when the same resolved config ends with other weights than before: what another version has begun,
# or left in the cache, is not gone on with. KD Studio 0.1 has version 1, and wrote it nowhere.
# 2: the short rows of a batch go through a model apart from the long ones, and of long texts no attention is
# dropped.
TRAINING_VERSION = 2
