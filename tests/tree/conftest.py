"""Boards, which are real servers."""

from servers.sshd import board

__all__ = ["board"]
