"""What all findings about a picture prove together: one table, and a verdict that can be signed.

Start at `table`; `finding` holds what goes in, `statement` the bytes that come out, and
`python -m provenance.verdict` prints docs/verdict.md.
"""
