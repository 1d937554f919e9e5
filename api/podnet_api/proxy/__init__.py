"""The front proxy: ``spec.networks`` on Pods and pod templates, through an unmodified kube-apiserver.

A stock API server drops the field, so it travels as an annotation (DESIGN.md, "Carriage"). This program stands in front
of the API server: what is read shows the field beside the annotation, what is written may use either. Everything else
goes through as it came, with the caller's own credentials.

Layers, lowest first; none knows of the ones after it. All but the last four are pure:

carriers   the kinds that carry a list, and where
requests   what a request is about: path, query and media types -> Target
carriage   one list as field and annotation: which of the two counts
podips     status.podIPs with podNetwork and interfaceName
ownership  managedFields, and the field's name in what the API server says
bodies     objects that clients write
patches    merge and strategic patches
pointers   JSON patches (RFC 6902)
cuts       Pods that clients read, cut where they change
shown      objects that clients read, as bytes
streams    lists, tables and watches, chunk by chunk
openapi    the field in OpenAPI
headers    which headers go on, and which requests are refused
identity   who a client certificate says one is
answers    Status objects
upstream   the connections to the API server
exchange   one request to the API server and its answer
writing    create, replace and patch
splice     exec, attach, port-forward: raw after 101
app, main  the server
"""
