// Netlink: described here.
