"""How far judges agree with reference labels."""
