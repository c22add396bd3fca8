"""A forgotten password: its owner chooses another one by a link that is sent to the account's address."""
