"""Support for the tests: waiting, examples, clusters."""
