"""Admission: an HTTPS server that answers AdmissionReviews, for every webhook of podnet.

Used by podnet's own webhook and by the room compat. A program hands ``serve`` one handler per path; certificates,
their rotation, the ``caBundle`` of the webhook configurations, probes and the wire form are done here.

Layers, lowest first; none knows of the ones after it:

review        AdmissionReview v1 as JSON <-> Request, Allow, Deny (pure)
certificates  a CA and a serving certificate (pure but for the clock)
secret        the Secret in which replicas share them
registration  caBundle in the webhook configurations, kept there
source        certificates of our own, or from a directory that others fill
app           the aiohttp application
server        serve: all of it together
"""

from podnet_api.admission.review import Allow, Deny, Handler, Request
from podnet_api.admission.server import serve

__all__ = ["Allow", "Deny", "Handler", "Request", "serve"]
