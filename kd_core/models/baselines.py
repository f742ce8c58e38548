"""A floor for students: what counting words and letters can do, in seconds.

TF-IDF of words and of characters with logistic regression (Wang and Manning 2012, for how strong such
baselines are on short texts). Kept in memory only: it is fitted again where it is needed, never pickled.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # a second, which whoever only asks for sizes or for another model need not wait
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

FEATURES = 20_000  # of each kind, the most frequent
WEIGHTS = 2_000_000  # of each kind, at most: fitting takes 25 times their memory
CHARACTERS = 1_000  # of a text: what comes later is left out
LETTERS = 3_000_000  # that it is fitted on, at most: then evenly spaced texts
PENALTY = 10.0  # inverse; of 1, 10 and 100 the best or within 0.3 points of it on the bundled tasks


@dataclass(frozen=True)
class TfidfBaseline:
    """Fitted; for texts in any language, since letters are counted beside words."""

    vectorizers: tuple[TfidfVectorizer, ...]
    classifier: LogisticRegression
    classes: int

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        labels: Sequence[int],
        classes: int,
        weights: NDArray[np.float64] | None = None,
    ) -> TfidfBaseline:
        """``labels`` are numbers below ``classes``, at least two different ones. No randomness.

        ``weights`` (classes,): what a text of each class counts, None: all the same.
        """
        from scipy import sparse
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        cut = [text[:CHARACTERS] for text in texts]
        rows = np.arange(len(cut))[:: math.ceil(sum(map(len, cut)) / LETTERS) or 1]
        # A class whose texts are all left out would never be answered.
        rows = np.union1d(rows, np.unique(labels, return_index=True)[1])
        kept = [cut[row] for row in rows]
        # Of texts without a word, emoji or punctuation, whatever stands between spaces counts as one.
        pattern = r"\w+" if any(re.search(r"\w", text) for text in kept) else r"\S+"
        common = {"sublinear_tf": True, "max_features": min(FEATURES, WEIGHTS // classes)}
        vectorizers = (
            TfidfVectorizer(**common, ngram_range=(1, 2), token_pattern=pattern),
            TfidfVectorizer(**common, ngram_range=(2, 5), analyzer="char_wb"),
        )
        with threadpool_limits(1):
            features = sparse.hstack([one.fit_transform(kept) for one in vectorizers], format="csr")
            known = np.asarray(labels)[rows]
            classifier = LogisticRegression(C=PENALTY, max_iter=300).fit(
                features, known, None if weights is None else weights[known]
            )
        return cls(vectorizers, classifier, classes)

    def logits(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """Logarithms of its probabilities, (texts, classes); a class never seen is all but impossible."""
        from scipy import sparse

        cut = [text[:CHARACTERS] for text in texts]
        features = sparse.hstack([one.transform(cut) for one in self.vectorizers], format="csr")
        logits = np.full((len(cut), self.classes), -100.0, dtype=np.float32)
        logits[:, self.classifier.classes_] = self.classifier.predict_log_proba(features)
        return logits

    @property
    def params(self) -> int:
        return int(self.classifier.coef_.size + self.classifier.intercept_.size)

    @property
    def megabytes(self) -> float:
        """As 4 bytes for each weight and each feature's IDF, and the features' own letters."""
        names = sum(len(name.encode()) for one in self.vectorizers for name in one.vocabulary_)
        idf = sum(len(one.vocabulary_) for one in self.vectorizers)
        return (4 * (self.params + idf) + names) / 1e6
