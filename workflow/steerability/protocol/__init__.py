"""The nouns: what is asked, of whom, how it is measured, what comes back; imports no other room."""
