"""Tensors kept in pieces, as the processes of a run wrote them: what lies where, and how it is read."""
