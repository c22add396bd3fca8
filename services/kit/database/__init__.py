"""Postgres for every service: the tables, and the queries that more than one service makes."""
