// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "rv_log.h"
#include "rv_sys.h"
#include "tap.h"

#define TAP_IF		"tapfuzz0"
#define PEER_MAC	"02:00:00:00:00:02"
#define UDP_PORT	4791

static int fd = -1;
static uint8_t dev_mac[6];

int tap_open(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int err;

	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (fd < 0) {
		rv_run("modprobe tun");
		fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	}
	strcpy(ifr.ifr_name, TAP_IF);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) ||
	    ioctl(fd, SIOCGIFHWADDR, &ifr)) {
		err = errno;
		rv_log("no TAP interface (root is needed): %s", strerror(err));
		return -err;
	}
	memcpy(dev_mac, ifr.ifr_hwaddr.sa_data, sizeof(dev_mac));
	if (rv_run("ip link set %s mtu 9000 txqueuelen 10000 up", TAP_IF) ||
	    rv_run("ip addr add %s/24 dev %s", TAP_DEV_IP, TAP_IF) ||
	    rv_run("ip neigh replace %s lladdr %s dev %s nud permanent",
		   TAP_PEER_IP, PEER_MAC, TAP_IF) ||
	    rv_run("rdma link add %s type rxe netdev %s", TAP_RXE, TAP_IF)) {
		tap_close();
		return -ENODEV;
	}
	return 0;
}

void tap_close(void)
{
	rv_run("rdma link delete %s", TAP_RXE);
	close(fd);
	fd = -1;
}

static void put16(uint8_t *at, uint16_t v)
{
	at[0] = v >> 8;
	at[1] = v;
}

static void put32(uint8_t *at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at + 2, v);
}

static uint16_t ip_checksum(const uint8_t *ip)
{
	uint32_t sum = 0;
	int i;

	for (i = 0; i < 20; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

void tap_headers(uint8_t *frame, size_t len)
{
	static const uint8_t peer_mac[6] = { 2, 0, 0, 0, 0, 2 };
	uint8_t *ip = frame + FRAME_IP, *udp = frame + FRAME_UDP;

	memset(frame, 0, FRAME_BTH);
	memcpy(frame, dev_mac, 6);
	memcpy(frame + 6, peer_mac, 6);
	put16(frame + 12, 0x0800);

	ip[0] = 0x45;
	put16(ip + 2, 20 + 8 + len);
	put16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	put32(ip + 12, TAP_PEER_ADDR);
	put32(ip + 16, TAP_DEV_ADDR);
	put16(ip + 10, ip_checksum(ip));

	put16(udp, 0xc000);
	put16(udp + 2, UDP_PORT);
	put16(udp + 4, 8 + len);
}

int tap_send(uint8_t *frame, size_t len)
{
	ssize_t n = write(fd, frame, FRAME_BTH + len);

	if (n != FRAME_BTH + len) {
		rv_log("write to the TAP interface: %s", strerror(errno));
		return -EIO;
	}
	return 0;
}

static size_t roce_length(const uint8_t *frame, ssize_t n)
{
	const uint8_t *udp = frame + FRAME_UDP;

	if (n < FRAME_BTH + 16 || frame[12] != 8 || frame[13] ||
	    frame[FRAME_IP] != 0x45 || frame[FRAME_IP + 9] != IPPROTO_UDP ||
	    (udp[2] << 8 | udp[3]) != UDP_PORT)
		return 0;
	return n - FRAME_BTH;
}

size_t tap_receive(uint8_t *frame, uint64_t ms)
{
	uint64_t now, end = rv_now_ms() + ms;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len;
	ssize_t n;

	for (;;) {
		n = read(fd, frame, FRAME_MAX);
		if (n >= 0) {
			len = roce_length(frame, n);
			if (len)
				return len;
			continue;
		}
		now = rv_now_ms();
		if (now >= end)
			return 0;
		poll(&p, 1, end - now);
	}
}
