"""Teachers and students: presets, building, initialisation, vocabulary trimming, size arithmetic."""

import os

# Weights that are no safetensors are an error here; transformers would ask the Hub to convert them.
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
