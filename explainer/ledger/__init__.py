"""The tamper-evident record of what was shown and decided; standard library and `cryptography`."""
