"""The data folder of a Metrica on one machine: its files, owners, passwords and free space."""
