/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that takes long: faults that wait (rxe_slow.c), and what a queue pair
 * does meanwhile (rxe_slow_qp.c).
 */
#ifndef RXE_SLOW_H
#define RXE_SLOW_H

#include <linux/compiler.h>
#include <linux/list.h>
#include <linux/types.h>

struct rxe_ah;
struct rxe_mirror;
struct rxe_pkt_info;
struct rxe_qp;
struct sk_buff;
struct sk_buff_head;

/**
 * struct rxe_slow_qp - what a queue pair knows of slow memory
 * @parked: in the list of those that wait to be woken
 * @probe: the peer wasn't ready: one packet at a time until it acknowledges
 * @kept_wqe: resp.wqe was taken from the SRQ for a message that has to come again
 * @dropped: packets for the completer were dropped while it waited
 * @stopping: the queue pair is being destroyed
 *
 * All zero is the state of a new queue pair. @parked is under the list's lock;
 * @probe is the send task's, @kept_wqe the receive task's.
 */
struct rxe_slow_qp {
	struct hlist_node	parked;
	bool			probe;
	bool			kept_wqe;
	bool			dropped;
	bool			stopping;
};

/* rxe_slow.c */
int rxe_slow_fault(struct rxe_mirror *mirror, unsigned long va, bool write);
int rxe_slow_check(struct rxe_mirror *mirror, unsigned long va,
		   unsigned long length, bool write);
void rxe_slow_stop(struct rxe_mirror *mirror);
void rxe_slow_exit(void);

/* rxe_slow_qp.c: hooks of the responder, ... */
int rxe_slow_answer(struct rxe_qp *qp, struct rxe_pkt_info *pkt);
bool rxe_slow_reuse_wqe(struct rxe_qp *qp);

/* ... of the requester, ... */
bool rxe_slow_must_hold(struct rxe_qp *qp);
void rxe_slow_send(struct rxe_qp *qp, struct sk_buff *skb, struct rxe_ah *ah);

/* ... of the completer, ... */
void rxe_slow_receive(struct rxe_qp *qp, struct sk_buff *skb);
void rxe_slow_ask_again(struct rxe_qp *qp);
void rxe_slow_rnr(struct rxe_qp *qp, struct rxe_pkt_info *pkt);
bool rxe_slow_waits(struct rxe_qp *qp);

/* ... and of all. */
bool rxe_slow_must_drop(struct rxe_qp *qp, struct sk_buff_head *list,
			struct sk_buff *skb);
void rxe_slow_qp_stop(struct rxe_qp *qp);
void rxe_slow_unpark(struct rxe_qp *qp);
void rxe_slow_wake(void);
void rxe_slow_qp_exit(void);

/*
 * What each packet passes, without a call where nothing is slow. Macros, because
 * this is part of what struct rxe_qp is made of.
 */

/* rxe_slow_hold - must the requester wait for the peer? */
#define rxe_slow_hold(qp)						\
({									\
	struct rxe_qp *_qp = (qp);					\
									\
	unlikely(_qp->req.wait_for_rnr_timer || _qp->slow.probe) &&	\
		rxe_slow_must_hold(_qp);				\
})

/* rxe_slow_resume - ask again for responses that were dropped */
#define rxe_slow_resume(qp)						\
({									\
	struct rxe_qp *_qp = (qp);					\
									\
	if (unlikely(READ_ONCE(_qp->slow.dropped)))			\
		rxe_slow_ask_again(_qp);				\
})

/* rxe_slow_drop - look after a packet that comes behind a parked one */
#define rxe_slow_drop(qp, list, skb)					\
({									\
	struct rxe_qp *_qp = (qp);					\
									\
	unlikely(!hlist_unhashed_lockless(&_qp->slow.parked)) &&	\
		rxe_slow_must_drop(_qp, list, skb);			\
})

#endif /* RXE_SLOW_H */
