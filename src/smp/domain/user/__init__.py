"""Users: the accounts of end users and administrators."""
