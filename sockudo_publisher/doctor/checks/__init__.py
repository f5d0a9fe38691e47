"""Judge the facts: one module per subject, each a pure function from facts to findings."""
