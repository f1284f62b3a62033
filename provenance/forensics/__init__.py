"""What pixels alone suggest about how a picture was made.

A second opinion for pictures without mark or manifest: it informs and never decides. It says "AI
evidence", "our model", "insufficient evidence" or "out of scope", and never "real".
"""
