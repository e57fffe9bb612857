"""The search for connections and peers (AssembleNet++, supplement A.2), comparisons of searches, and a report."""
