"""A throw-away VM with a kernel that has every link kind and two network cards with virtual functions (SR-IOV).

It boots in seconds, needs no KVM, and runs this machine's own files, which it cannot change: `machine` says how it is
made, `runner` runs a command in it, `suite` runs the tests there that this machine's kernel cannot run.
"""
