"""Plans: tariff templates whose terms are immutable revisions."""
