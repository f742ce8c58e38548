"""Teachers and students: presets, building, initialisation, vocabulary trimming, size arithmetic."""
