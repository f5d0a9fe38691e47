"""What the facts mean: one module a subject, each a pure function from facts to findings."""
