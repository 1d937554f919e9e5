"""The question to the kubelet, over gRPC; imported when it is first asked."""

import grpc

from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.podresources import podresources_pb2, podresources_pb2_grpc

_SECONDS = 1.0
"""The runtime's hook waits for the answer (2 s by default), so this must be well below."""
_MAX_ANSWER = 16 << 20
"""Bytes; what the kubelet's own clients allow."""


async def listed(socket: str) -> podresources_pb2.ListPodResourcesResponse:
    """What all Pods of the node have. A channel for each question: a kubelet that restarts makes a new socket, and
    questions are rare. Raises DatapathError with the kubelet's words."""
    options = [("grpc.max_receive_message_length", _MAX_ANSWER)]
    try:
        async with grpc.aio.insecure_channel(f"unix:{socket}", options=options) as channel:
            stub = podresources_pb2_grpc.PodResourcesListerStub(channel)  # type: ignore[no-untyped-call]
            request = podresources_pb2.ListPodResourcesRequest()
            answer: podresources_pb2.ListPodResourcesResponse = await stub.List(request, timeout=_SECONDS)
            return answer
    except grpc.aio.AioRpcError as error:
        raise DatapathError(f"cannot list what Pods have: {error.details()}") from error
