"""The record-level extracts that any state agency can send, declared once for all states."""
