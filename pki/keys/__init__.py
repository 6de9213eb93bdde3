"""Private keys behind the `Signer` protocol of `pki.ports`."""
