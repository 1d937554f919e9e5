#!/bin/bash
# Does on a node what Multus does, for tests: chained behind the cluster's own plugins, it reads the Pod's annotation from
# the API when the sandbox is made, runs the plugin of each NetworkAttachmentDefinition that it names, and writes the
# network-status of every Pod. Of the annotation it knows the short form without interface names.
set -euo pipefail
state=/var/lib/cni/multus-standin
mkdir -p "$state"
conf=$(cat)
argument() { tr ';' '\n' <<<"${CNI_ARGS:-}" | sed -n "s/^$1=//p"; }
ask() { kubectl --kubeconfig=/etc/cni/multus-standin/kubeconfig --namespace="$1" "${@:2}"; }

add() {
    local namespace pod asked status nad space config result place=0
    namespace=$(argument K8S_POD_NAMESPACE) pod=$(argument K8S_POD_NAME)
    asked=$(ask "$namespace" get pod "$pod" --output=json |
        jq -r '.metadata.annotations["k8s.v1.cni.cncf.io/networks"] // ""' | tr ',' ' ')
    status='[{"name":"cluster","interface":"eth0","default":true,"dns":{}}]'
    for nad in $asked; do
        place=$((place + 1)) space=$namespace
        case $nad in */*) space=${nad%%/*} nad=${nad#*/} ;; esac
        config=$(ask "$space" get network-attachment-definitions "$nad" --output=json | jq -c '.spec.config | fromjson')
        jq -nc --argjson config "$config" --arg interface "net$place" '{$config, $interface}' >>"$state/$CNI_CONTAINERID"
        result=$(CNI_IFNAME=net$place "/opt/cni/bin/$(jq -r .type <<<"$config")" <<<"$config")
        status=$(jq -c --arg name "$space/$nad" --arg interface "net$place" --argjson result "$result" \
            '. + [{$name, $interface, ips: [$result.ips[].address | sub("/.*"; "")], dns: {}}]' <<<"$status")
        echo "$namespace/$pod net$place" >>"$state/attached"
    done
    ask "$namespace" annotate pod "$pod" --overwrite "k8s.v1.cni.cncf.io/network-status=$status" >/dev/null
    jq -c .prevResult <<<"$conf"
}

delete() {
    [ -f "$state/$CNI_CONTAINERID" ] || return 0
    tac "$state/$CNI_CONTAINERID" | while read -r line; do
        CNI_IFNAME=$(jq -r .interface <<<"$line") "/opt/cni/bin/$(jq -r .config.type <<<"$line")" <<<"$(jq -c .config <<<"$line")"
    done
    rm "$state/$CNI_CONTAINERID"
}

case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}' ;;
ADD) add ;;
DEL) delete ;;
esac
