"""Sizes of the students that are no transformers. Imports nothing: an export brings this file along."""

CNN_WIDTHS = (2, 3, 4)  # word pieces that a filter of cnn sees
CNN_HIDDEN, CNN_FILTERS = 128, 384
CNN_POSITIONS = 18  # places in a text that cnn knows apart: 1, 1.4, 2, 2.8, ... 362 word pieces
PAIRS, PAIR_WEIGHTS = 65_536, 500_000  # rows of its table of pieces and pairs, and its weights, at most
STATIC_HIDDEN, STATIC_INNER = 128, 256
BILSTM_HIDDEN, BILSTM_STATE, BILSTM_INNER = 300, 150, 200  # the state is that of each direction
