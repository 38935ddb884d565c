// SPDX-License-Identifier: GPL-2.0
/*
 * What a queue pair does while it waits for slow memory. No work item waits: a
 * task of the queue pair leaves things as they were before it met the slow page
 * and returns, and does the same again later.
 *
 * - The responder of RC answers RNR NAK, and the requester comes again.
 * - Where no peer will come again (the requester and the completer, a receiver
 *   of UC or UD) the queue pair is parked. It is woken when a slow fault ends,
 *   any one, and every PARK_MS in case it parked just after that. The list holds
 *   no reference to it, so it can go at any time; the packets that it keeps do,
 *   and are dropped then.
 *
 * What follows a parked packet is queued, up to a bound, and dropped beyond:
 * datagrams are lost, and a read asks again for the rest. These packets are
 * taken from the sender's account, so that it can be destroyed, too.
 *
 * The requester's side of an RNR NAK belongs to this, too. A peer that isn't
 * ready may not be for long. So the requester sends nothing while its RNR timer
 * runs, then a single packet, and goes on when that is acknowledged; and time
 * that passes so doesn't count as a lost packet's. Otherwise each round would
 * send all that is outstanding, for nothing, and use up a retry.
 */
#include <linux/skbuff.h>
#include <linux/workqueue.h>

#include "rxe.h"
#include "rxe_loc.h"
#include "rxe_slow.h"

#define PARK_MS		20
/* Packets that may wait behind a parked one. */
#define QUEUE_MAX	512

static void tick(struct work_struct *work);

static DEFINE_SPINLOCK(parked_lock);
static HLIST_HEAD(parked);
static DECLARE_DELAYED_WORK(tick_work, tick);

static void park(struct rxe_qp *qp)
{
	spin_lock(&parked_lock);
	if (hlist_unhashed(&qp->slow.parked))
		hlist_add_head(&qp->slow.parked, &parked);
	spin_unlock(&parked_lock);
	queue_delayed_work(system_dfl_wq, &tick_work, msecs_to_jiffies(PARK_MS));
}

/**
 * rxe_slow_wake - let all parked queue pairs try again
 *
 * Context: process context; does not sleep.
 */
void rxe_slow_wake(void)
{
	struct hlist_node *next;
	struct rxe_qp *qp;

	spin_lock(&parked_lock);
	hlist_for_each_entry_safe(qp, next, &parked, slow.parked) {
		hlist_del_init(&qp->slow.parked);
		/* one that is being destroyed isn't freed before it unparks */
		if (!rxe_get(qp))
			continue;
		rxe_sched_task(&qp->send_task);
		rxe_sched_task(&qp->recv_task);
		rxe_put(qp);
	}
	spin_unlock(&parked_lock);
}

static void tick(struct work_struct *work)
{
	rxe_slow_wake();
}

/**
 * rxe_slow_unpark - forget a queue pair that is about to be freed
 * @qp: the queue pair, whose tasks don't run any more
 *
 * Context: process context; does not sleep.
 */
void rxe_slow_unpark(struct rxe_qp *qp)
{
	spin_lock(&parked_lock);
	hlist_del_init(&qp->slow.parked);
	spin_unlock(&parked_lock);
}

/**
 * rxe_slow_qp_exit - stop waking
 *
 * Context: module exit, may sleep; no queue pair is left.
 */
void rxe_slow_qp_exit(void)
{
	cancel_delayed_work_sync(&tick_work);
}

static void free_packet(struct rxe_qp *qp, struct sk_buff *skb)
{
	kfree_skb(skb);
	ib_device_put(qp->ibqp.device);
	rxe_put(qp);
}

/* A packet from this host refers to the queue pair that has sent it. */
static void orphan_packets(struct sk_buff_head *list)
{
	struct sk_buff *skb;
	unsigned long flags;

	spin_lock_irqsave(&list->lock, flags);
	skb_queue_walk(list, skb)
		skb_orphan(skb);
	spin_unlock_irqrestore(&list->lock, flags);
}

/* Wait with the packets of @list, unless nobody needs them any more. */
static void park_with(struct rxe_qp *qp, struct sk_buff_head *list)
{
	struct sk_buff *skb;

	if (READ_ONCE(qp->slow.stopping)) {
		while ((skb = skb_dequeue(list)))
			free_packet(qp, skb);
		return;
	}
	park(qp);
	orphan_packets(list);
}

/**
 * rxe_slow_qp_stop - let go of packets that wait
 * @qp: the queue pair, which is about to be destroyed
 *
 * Each packet holds a reference to the queue pair. The tasks drop those that
 * would have to wait.
 *
 * Context: process context.
 */
void rxe_slow_qp_stop(struct rxe_qp *qp)
{
	WRITE_ONCE(qp->slow.stopping, true);
	rxe_sched_task(&qp->send_task);
	rxe_sched_task(&qp->recv_task);
}

/* Forget the newest responder resource, so that the request gets it again. */
static void give_back(struct rxe_qp *qp, struct resp_res *res)
{
	res->type = 0;
	if (!qp->resp.res_head)
		qp->resp.res_head = qp->attr.max_dest_rd_atomic;
	qp->resp.res_head--;
}

/*
 * Leave a read, atomic or atomic write as if it hadn't begun, or a read that
 * has been answered in part so that the request for the rest is the next one:
 * the requester asks for it from the first packet that it doesn't have.
 */
static void undo_request(struct rxe_qp *qp, struct rxe_pkt_info *pkt)
{
	struct resp_res *res = qp->resp.res;

	if (!res)
		return;
	qp->resp.res = NULL;
	if (res->type == RXE_READ_MASK && !res->replay)
		qp->resp.msn = (qp->resp.msn - 1) & 0xffffff;
	if (!res->replay && res->cur_psn == res->first_psn) {
		give_back(qp, res);
		return;
	}
	pkt->psn = res->cur_psn;
	if (psn_compare(res->cur_psn, qp->resp.psn) > 0) {
		qp->resp.psn = res->cur_psn;
		qp->resp.opcode = -1;
	}
}

/**
 * rxe_slow_answer - what the responder does with a packet for slow memory
 * @qp: the queue pair
 * @pkt: the packet, first in req_pkts
 *
 * Context: the receive task.
 * Return: the next state, an enum resp_states.
 */
int rxe_slow_answer(struct rxe_qp *qp, struct rxe_pkt_info *pkt)
{
	if (qp->srq && qp->resp.wqe && pkt->mask & RXE_RWR_MASK)
		qp->slow.kept_wqe = true;

	if (qp_type(qp) != IB_QPT_RC) {
		if (qp->resp.mr) {
			rxe_put(qp->resp.mr);
			qp->resp.mr = NULL;
		}
		park_with(qp, &qp->req_pkts);
		return RESPST_EXIT;
	}

	undo_request(qp, pkt);
	/* what is on its way behind it comes again with it */
	qp->resp.sent_psn_nak = 1;

	return RESPST_ERR_RNR;
}

/**
 * rxe_slow_reuse_wqe - use again what was taken from the SRQ
 * @qp: the queue pair, which has an SRQ
 *
 * Context: the receive task, at the packet of a message that needs a WQE.
 * Return: whether qp->resp.wqe is set.
 */
bool rxe_slow_reuse_wqe(struct rxe_qp *qp)
{
	struct rxe_dma_info *dma;

	if (likely(!qp->slow.kept_wqe))
		return false;
	qp->slow.kept_wqe = false;
	qp->resp.wqe = &qp->resp.srq_wqe.wqe;
	dma = &qp->resp.wqe->dma;
	dma->resid = dma->length;
	dma->cur_sge = 0;
	dma->sge_offset = 0;

	return true;
}

/**
 * rxe_slow_must_hold - must the requester wait for the peer, which wasn't ready?
 * @qp: the queue pair, whose RNR timer runs or that is to send a single packet
 *
 * Context: the send task, before a packet is made.
 * Return: whether it must not send now. The RNR timer or an ack
 * lets the task run again.
 */
bool rxe_slow_must_hold(struct rxe_qp *qp)
{
	if (qp->req.wait_for_rnr_timer)
		return true;
	if (psn_compare(qp->req.psn, qp->comp.psn) > 0) {
		qp->req.wait_psn = 1;
		return true;
	}
	/* the packet that probes asks for an ack */
	qp->req.noack_pkts = RXE_MAX_PKT_PER_ACK + 1;

	return false;
}

/**
 * rxe_slow_send - put off a packet whose data is in slow memory
 * @qp: the queue pair
 * @skb: the packet as far as it was made, is freed
 * @ah: its address handle or NULL, the reference is dropped
 *
 * Context: the send task.
 */
void rxe_slow_send(struct rxe_qp *qp, struct sk_buff *skb, struct rxe_ah *ah)
{
	kfree_skb(skb);
	if (ah)
		rxe_put(ah);
	park(qp);
}

/**
 * rxe_slow_receive - put off a response that goes to slow memory
 * @qp: the queue pair
 * @skb: the packet, which becomes the first of resp_pkts again
 *
 * Context: the send task.
 */
void rxe_slow_receive(struct rxe_qp *qp, struct sk_buff *skb)
{
	skb_queue_head(&qp->resp_pkts, skb);
	park_with(qp, &qp->resp_pkts);
}

/**
 * rxe_slow_waits - is the send task's time not to be held against the peer?
 * @qp: the queue pair
 *
 * Context: the send task.
 * Return: whether it waits for slow memory, its own or the peer's.
 */
bool rxe_slow_waits(struct rxe_qp *qp)
{
	return qp->req.wait_for_rnr_timer ||
	       !hlist_unhashed_lockless(&qp->slow.parked);
}

/**
 * rxe_slow_rnr - the peer isn't ready
 * @qp: the queue pair
 * @pkt: the RNR NAK
 *
 * The peer is alive and has all that was sent before: neither a retry nor a
 * packet is lost.
 *
 * Context: the send task.
 */
void rxe_slow_rnr(struct rxe_qp *qp, struct rxe_pkt_info *pkt)
{
	qp->comp.retry_cnt = qp->attr.retry_cnt;
	qp->comp.started_retry = 0;
	if (psn_compare(pkt->psn, qp->comp.psn) > 0)
		qp->comp.psn = pkt->psn;
	qp->slow.probe = true;
	timer_delete(&qp->retrans_timer);
}

/**
 * rxe_slow_must_drop - look after a packet that comes behind a parked one
 * @qp: the queue pair, which is parked
 * @list: req_pkts or resp_pkts
 * @skb: a packet for it, which is freed if there are too many
 *
 * Context: any that may receive packets.
 * Return: whether it was dropped.
 */
bool rxe_slow_must_drop(struct rxe_qp *qp, struct sk_buff_head *list,
			struct sk_buff *skb)
{
	if (skb_queue_len_lockless(list) < QUEUE_MAX) {
		skb_orphan(skb);
		return false;
	}

	if (list == &qp->resp_pkts) {
		WRITE_ONCE(qp->slow.dropped, true);
		rxe_sched_task(&qp->send_task);
	}
	free_packet(qp, skb);

	return true;
}

/**
 * rxe_slow_ask_again - ask again for responses that were dropped
 * @qp: the queue pair, with slow.dropped
 *
 * Context: the send task, before responses are looked at.
 */
void rxe_slow_ask_again(struct rxe_qp *qp)
{
	if (!skb_queue_empty(&qp->resp_pkts))
		return;

	WRITE_ONCE(qp->slow.dropped, false);
	if (psn_compare(qp->req.psn, qp->comp.psn) > 0) {
		qp->req.need_retry = 1;
		qp->req.again = 1;
	}
}
