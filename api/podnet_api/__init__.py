"""The API of podnet: what every room and every user may rely on.

The types in this package are the specification; CRDs are generated from them. The other rooms import
this package and nothing of each other.
"""
