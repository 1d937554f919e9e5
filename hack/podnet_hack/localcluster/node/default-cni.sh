#!/bin/sh
# Keeps this node's CNI configuration and its routes to the other nodes' Pods as the Node objects say.
set -u

configure() { # podCIDR
	cat >/etc/cni/net.d/.10-default.conflist <<-END
		{
		  "cniVersion": "1.0.0",
		  "name": "default",
		  "plugins": [
		    {
		      "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
		      "ipam": {
		        "type": "host-local", "dataDir": "/run/cni-default",
		        "ranges": [[{"subnet": "$1"}]], "routes": [{"dst": "0.0.0.0/0"}]
		      }
		    },
		    {"type": "portmap", "capabilities": {"portMappings": true}}
		  ]
		}
	END
	# What leaves the cluster does so with the node's address; what stays inside keeps the Pod's.
	nft -f - <<-END
		table ip default-cni
		delete table ip default-cni
		table ip default-cni {
		  chain postrouting {
		    type nat hook postrouting priority 110;
		    ip saddr $1 ip daddr != $PODS masquerade
		  }
		}
	END
	# The file appears last and whole: with it the kubelet calls the node Ready.
	mv /etc/cni/net.d/.10-default.conflist /etc/cni/net.d/10-default.conflist
}

PODS=${PODS:-10.244.0.0/16}
TEMPLATE='{.metadata.name}{" "}{.spec.podCIDR}{" "}{.status.addresses[?(@.type=="InternalIP")].address}{"\n"}'
# kind names the API server: its Service answers only after kube-proxy, and a connection tried earlier hangs for long.
ACCOUNT=/var/run/secrets/kubernetes.io/serviceaccount
configured=
while true; do
	kubectl --server="https://$CONTROL_PLANE_ENDPOINT" --certificate-authority=$ACCOUNT/ca.crt \
		--token="$(cat $ACCOUNT/token)" get nodes --watch --output "jsonpath=$TEMPLATE" | while read -r name cidr address _; do
		[ -n "$address" ] || continue
		if [ "$name" != "$NODE" ]; then
			ip route replace "$cidr" via "$address"
		elif [ "$configured" != "$cidr" ]; then
			configure "$cidr" && configured=$cidr
		fi
	done
	sleep 1
done
