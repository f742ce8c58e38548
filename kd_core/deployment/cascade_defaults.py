"""What is asked of a cascade unless somebody says otherwise. Without imports, as ``kd --help`` reads it."""

AGREE, LOWEST, HIGHEST, STEP = 97.0, 50, 99.5, 0.5  # percent; what is below 100 is legal, too
CORE_HOUR = 0.05  # price of a core for an hour
