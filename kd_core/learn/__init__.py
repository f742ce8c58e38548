"""What the labs show: each concept on real logits, number by number. What trains is in ``lab_training`` and
``claim_training``; the rest is numpy alone, so that a page moves at once."""
