"""Default routes that a Pod is not to have. Runs in the worker's thread."""

import errno
from collections.abc import Collection, Mapping

from podnet_kni_server.datapath import inet, observe
from podnet_kni_server.datapath.worker import Pod


def drop(pod: Pod, kept: Mapping[int, Collection[str]]) -> None:
    """See interface.Datapath.drop_defaults."""
    names = {link.index: name for name, link in observe.list_links(pod.channel).items()}
    found = [(v, body) for v in (4, 6) for body in pod.channel.dump(inet.get_routes(v)) if inet.is_default(body)]
    unwanted = [body for v, body in found if names.get(inet.parse_route(body)[1] or 0) not in kept.get(v, ())]
    for error in pod.channel.batch([inet.delete_route(body) for body in unwanted]).errors.values():
        if error.errno != errno.ESRCH:
            raise error
