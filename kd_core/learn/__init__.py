"""What the labs show: each concept on real logits, number by number. numpy only: a page moves at once."""
