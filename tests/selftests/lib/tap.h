/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A network of one machine: a TAP interface with an rxe device on it. Frames
 * that are written here arrive at the device, frames that it sends are read
 * here, and nothing of it leaves the program.
 *
 *	TAP_DEV_IP	the device's address
 *	TAP_PEER_IP	ours, which no interface of this machine has
 */
#ifndef TAP_H
#define TAP_H

#include <stddef.h>
#include <stdint.h>

#define TAP_RXE		"rxefuzz0"
#define TAP_DEV_IP	"203.0.113.1"
#define TAP_PEER_IP	"203.0.113.2"
#define TAP_DEV_ADDR	0xcb007101
#define TAP_PEER_ADDR	0xcb007102

#define FRAME_MAX	9100
#define FRAME_IP	14			/* Ethernet header */
#define FRAME_UDP	(FRAME_IP + 20)
#define FRAME_BTH	(FRAME_UDP + 8)

/* All: 0 or -errno, after logging. */
int tap_open(void);
void tap_close(void);

/*
 * Send what is from FRAME_BTH on, len bytes of it; the headers in front of it
 * are filled in.
 */
int tap_send(uint8_t *frame, size_t len);

/*
 * The next RoCE packet from the device: its length from the BTH on, 0 if none
 * came in ms.
 */
size_t tap_receive(uint8_t *frame, uint64_t ms);

/* Fill in the headers only: the ICRC covers them. */
void tap_headers(uint8_t *frame, size_t len);

#endif
