// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>

#include "rv_link.h"
#include "rv_sys.h"

bool rv_link_add(const char *name, const char *netdev, const char *address)
{
	unsigned int ip = ntohl(inet_addr(address));

	if (rv_run("ip link add %s type dummy && "
		   "ip link set %s mtu 9000 up && "
		   "ip address add %s/32 dev %s && "
		   "rdma link add %s type rxe netdev %s", netdev, netdev,
		   address, netdev, name, netdev))
		return false;
	/* The device takes a moment to learn its address. */
	return !rv_run("timeout 30 sh -c 'until grep -qi ffff:%04x:%04x "
		       "/sys/class/infiniband/%s/ports/1/gids/* "
		       "2>/dev/null; do sleep 0.05; done'", ip >> 16,
		       ip & 0xffff, name);
}

void rv_link_remove(const char *name, const char *netdev)
{
	rv_run("rdma link show %s/1 >/dev/null 2>&1 || exit 0; "
	       "rdma link delete %s", name, name);
	rv_run("ip link show %s >/dev/null 2>&1 || exit 0; "
	       "ip link delete %s", netdev, netdev);
}
