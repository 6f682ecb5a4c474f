"""The fetch stage: outside files, each pinned in a table and checked before anything reads it."""
