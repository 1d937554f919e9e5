"""`python -m podnet_api.proxy`."""

from podnet_api.proxy.main import main

main()
