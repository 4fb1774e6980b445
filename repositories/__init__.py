"""All SQL of the system, a module per family of tables. Functions take a connection first and
give domain objects; who calls them decides where a transaction begins and ends."""
