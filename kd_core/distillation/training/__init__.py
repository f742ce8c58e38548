"""One training: batches, objectives, the loop, and what it keeps."""

# Raise it when the same resolved config ends with other weights than before: what another version has begun,
# or left in the cache, is not gone on with. KD Studio 0.1 has version 1, and wrote it nowhere.
TRAINING_VERSION = 1
