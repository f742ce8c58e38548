"""Tasks: bundled ones, own files, Hub data sets."""
