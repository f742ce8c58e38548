"""One training: batches, objectives, the loop, and what it keeps."""

# Raise it when the same resolved config ends with other weights than before: what another version has begun,
# or left in the cache, is not gone on with. KD Studio 0.1 has version 1, and wrote it nowhere. Rounding and
# the order of random draws are no reason. What changes some trainings alone is better said by a field of
# their ``Recipe``: the others stay in the cache.
TRAINING_VERSION = 1
