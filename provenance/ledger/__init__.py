"""An append-only, signed log of records, and everything an outside auditor needs to check it.

`errors`, `merkle`, `note`, `record`, `proof`, `tiles` and `witness` import the standard library and
cryptography alone; `log`, `checkpoint`, `audit` and `export` work on the tables.
"""
