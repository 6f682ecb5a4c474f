"""What a config names outside itself, read in one place for rules, plan and needs."""
