"""The guided tour: `python -m podnet_hack.demo --cluster NAME`, and what it and the tests see a cluster through.

narrate    prints what is done, runs it, and stops at the first statement that is not true
world      a cluster: objects, Pods from within, nodes from within
tour       the chapters, in order; each is a file named after what it shows
"""
