"""The offline clouds: one loopback proxy with a certificate authority of its own, in front of emulators.

A command that runs behind it (``cloudops offline run -- COMMAND``) speaks to the clouds' real host names with its own
unmodified client code; what answers are the emulators that the installed providers bring. Every other host is refused
and listed.
"""
