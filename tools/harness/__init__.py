"""What upgrade-test and chaos share: private managers, workloads that keep books, one checker of invariants.

place       a private machine: namespaces, cgroups and a scratch directory that are gone at the end, whatever happens
builds      a directory with somebody's executables
api         a manager's HTTP API, as a client that survives the manager
node        one manager: started, killed, stopped, upgraded
workloads   what runs in containers, and what is known of it from outside
sessions    clients that stay connected
logs        readers that follow a log on disk through its rotations
runs        short-lived containers whose end is known beforehand
ledger      everything that was asked for: what the invariants are held against
invariants  the checker
faults      what is done to managers and shims, planned from a seed
experiment  writers whose manager is away, beside containerd
report      tables and JSON
"""
