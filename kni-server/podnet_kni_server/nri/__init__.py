"""The client of the Node Resource Interface: how a stock runtime calls the KNI server.

`plugin.run(socket_path, handler)` keeps one plugin registered for ever and calls the handler for every sandbox
and container event, in the runtime's order. Each layer knows only the ones before it:

    errors    the error tree
    framing   cuts a byte stream into headed frames
    protobuf  reading protobuf
    mux       many connections over one socket
    ttrpc     requests, responses and their status over one such connection
    types     what the events carry, as frozen dataclasses
    convert   types to and from protobuf
    hooks     one handler call at a time, answered before its deadline
    events    which method calls which handler, and what is answered
    session   one connection: register, be configured, be synchronized, serve
    plugin    reconnect for ever
    fake      a small runtime for tests
    recorder  a handler for tests
"""
