"""The doors: everything an asset touches besides its inputs.

No judgement stands here, and nothing is opened at import.
"""
