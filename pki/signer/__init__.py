"""
The signer: a process of its own that holds the keys of CAs, asked over a Unix socket.

Whoever asks names a committed intent; what is signed is what the signer reads of it over its own
connection to the database, after it judged it (`judge`). Keys that are no CA's may lie in it too.
"""

from pki.signer.client import RemoteKeys, SignerClient
from pki.signer.server import Server, SocketPlace

__all__ = ["RemoteKeys", "Server", "SignerClient", "SocketPlace"]
