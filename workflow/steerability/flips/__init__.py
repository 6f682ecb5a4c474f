"""How many outputs and labels change between two engines, batch plans or quantisations."""
