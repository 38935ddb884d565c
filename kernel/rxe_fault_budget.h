/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The budget of an access: one deadline over all its tries.
 *
 * A try is spent where one is lost to an invalidation. When none is left, the
 * access is served in another way (rxe_mirror_io.c).
 */
#ifndef RXE_FAULT_BUDGET_H
#define RXE_FAULT_BUDGET_H

#include <linux/jiffies.h>
#include <linux/types.h>

#define RXE_FAULT_BUDGET_MS	20
#define RXE_FAULT_BUDGET_TRIES	16
/* The clock doesn't count before: a migration alone may take longer. */
#define RXE_FAULT_BUDGET_MIN	4

/**
 * struct rxe_fault_budget - what is left to an access
 * @deadline: no try begins after this, in jiffies, but for the first few
 * @tries: how many were made
 */
struct rxe_fault_budget {
	unsigned long		deadline;
	unsigned int		tries;
};

/* Start the clock again: time that the memory took isn't lost to anybody. */
static inline void rxe_fault_budget_restart(struct rxe_fault_budget *budget)
{
	budget->deadline = jiffies + msecs_to_jiffies(RXE_FAULT_BUDGET_MS);
}

/* Start the clock of an access. */
static inline void rxe_fault_budget_init(struct rxe_fault_budget *budget)
{
	rxe_fault_budget_restart(budget);
	budget->tries = 0;
}

/* Take one try. Returns whether there was none left. */
static inline bool rxe_fault_budget_spent(struct rxe_fault_budget *budget)
{
	unsigned int tries = budget->tries++;

	return tries >= RXE_FAULT_BUDGET_TRIES ||
	       (tries >= RXE_FAULT_BUDGET_MIN &&
		time_after(jiffies, budget->deadline));
}

#endif /* RXE_FAULT_BUDGET_H */
