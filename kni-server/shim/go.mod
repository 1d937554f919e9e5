module podnet.local/podnet-cni

go 1.22
