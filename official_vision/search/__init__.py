"""The search for connections and peers: one-shot (AssembleNet++), evolution (AssembleNet), its report and studies."""
